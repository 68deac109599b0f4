"""A made corpus for near-duplicate search: real fragments put together, duplicates planted.

The one idea: the planted pairs are known, and so is how alike each is. Short fragments of banking77
(English, 60 %) and CIC (Chinese, 40 %) make base rows (70 %); 9 % repeat an earlier row but for
case, spaces or width; 21 % are one to four small edits of an earlier row. Fragments recur, so there
are many pairs at a Jaccard of .2 to .6: hard on purpose, real intents look like that.
"""

from __future__ import annotations

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
ENGLISH, BASE, EXACT = 0.6, 0.7, 0.79
LETTERS = "abcdefghijklmnoprstuvwy"


@dataclass(frozen=True, slots=True)
class Made:
    """Texts, and for each the earlier row it was made from; -1 for a base row."""

    texts: list[str]
    parents: list[int]
    exact: list[bool]


def real_texts() -> tuple[list[str], list[str]]:
    """Give the training texts of banking77 and of CIC."""
    with (DATA / "banking77" / "train.csv").open(encoding="utf-8") as file:
        english = [row["text"] for row in csv.DictReader(file)]
    with (DATA / "dataclue_cic" / "train.json").open(encoding="utf-8") as file:
        chinese = [json.loads(line)["sentence"] for line in file]
    return english, chinese


def corpus(rows: int, *, seed: int, long: bool = False) -> Made:
    """Make a corpus.

    Args:
        rows: How many.
        seed: Of all that is drawn.
        long: English texts of some 110 words instead of short texts of both languages.
    """
    draw = random.Random(seed)
    english, chinese = real_texts()
    words = [text.split() for text in english]
    texts: list[str] = []
    parents: list[int] = []
    exact: list[bool] = []
    for _ in range(rows):
        kind = draw.random() if texts else 0.0
        parent = -1 if kind < BASE else draw.randrange(len(texts))
        if parent < 0:
            is_english = long or draw.random() < ENGLISH
            pieces = draw.randint(20, 30) if long else draw.randint(2, 3)
            text = _english(draw, words, pieces) if is_english else _chinese(draw, chinese)
        else:
            same = kind < EXACT
            text = _rewritten(draw, texts[parent]) if same else _edited(draw, texts[parent])
        texts.append(text)
        parents.append(parent)
        exact.append(BASE <= kind < EXACT)
    return Made(texts, parents, exact)


def _english(draw: random.Random, words: list[list[str]], pieces: int) -> str:
    said: list[str] = []
    for _ in range(pieces):
        some = draw.choice(words)
        at = draw.randrange(len(some))
        said += some[at : at + draw.randint(2, 6)]
    return " ".join(said)


def _chinese(draw: random.Random, texts: list[str]) -> str:
    said = ""
    for _ in range(draw.randint(2, 4)):
        some = draw.choice(texts)
        at = draw.randrange(max(len(some) - 4, 1))
        said += some[at : at + draw.randint(3, 10)]
    return said


def _rewritten(draw: random.Random, text: str) -> str:
    """Change how a text is written: its case, spaces or width, or an entity."""
    how = draw.randrange(4)
    if how == 0:
        return text.upper()
    if how == 1:
        return "  " + text.replace(" ", "  ")
    if how == 2:
        return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    return "".join(f"&#{ord(c)};" if c in "aeiou我的" else c for c in text)


def _edited(draw: random.Random, text: str) -> str:
    """Change one to four words or characters."""
    units = text.split(" ") if " " in text else list(text)
    joint = " " if " " in text else ""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(units)) if units else 0
        new = draw.choice(LETTERS) if joint else draw.choice("啊吧呢嘛请好大小多少")
        how = draw.randrange(3)
        if how == 0 and len(units) > 1:
            del units[at]
        elif how == 1:
            units.insert(at, new)
        elif units:
            units[at] = units[at] + new if joint and draw.random() < 0.5 else new
    return joint.join(units)
