"""The laws of a run: order and parts do not matter, nothing vanishes, nothing is done twice."""

from __future__ import annotations

import hashlib
import html.parser
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.errors import StoreError
from curator.impact.placebo import SEEDS
from curator.versions import open_store


def ids_of(curator, folder):
    return [entry["version"] for entry in curator(folder, "log", "--json").json()]


def files_of(folder):
    """Give every file below a folder with the hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


# Order and parts


def test_a_shuffled_file_in_three_parts_gives_the_same_everything(curator, corpus, finished):
    made = corpus(classes=24, train=6, test=4)
    rows = list(made.train)
    random.Random(5).shuffle(rows)
    parts = []
    for number in range(3):
        made.train = rows[number::3]
        made.write()
        (made.folder / "train.csv").rename(made.folder / f"part-{number}.csv")
        parts.append(f'  - {{from: "file:part-{number}.csv", split: train}}\n')
    made.swap('  - {from: "file:train.csv", split: train}\n', "".join(parts))

    assert 0 == curator(made.folder, "run", "recipe.yaml", "--no-measure").code

    assert ids_of(curator, finished.folder) == ids_of(curator, made.folder)
    one, other = (open_store(m.folder / ".curator", create=False) for m in (finished, made))
    for back in range(5):
        version = f"main~{back}"
        assert one.findings(version).equals(other.findings(version))
        assert one.decisions(version).equals(other.decisions(version))
        ours = one.rows(version).drop_columns(["source", "source_row"])
        assert ours.equals(other.rows(version).drop_columns(["source", "source_row"]))


def test_the_folder_it_runs_in_and_what_is_measured_enter_no_id(curator, corpus, finished):
    made = corpus("elsewhere/deeper", classes=24, train=6, test=4)
    made.swap("tiers: [probe]", "tiers: [probe], margin: 0.02").swap("report.html", "other.html")
    made.swap("name: tiny", "# a comment\nname: another")

    curator(made.folder, "--store", "../another-store", "run", "recipe.yaml", "--no-measure")

    listed = curator(made.folder, "--store", "../another-store", "log", "--json").json()
    assert ids_of(curator, finished.folder) == [entry["version"] for entry in listed]


# Nothing vanishes


def test_each_version_is_its_parent_less_the_dropped_plus_the_added(finished):
    store = open_store(finished.folder / ".curator", create=False)
    line = store.ancestry("main")

    for child, parent in itertools.pairwise(line):
        said = {"drop": set(), "add": set(), "edit": set()}
        for decision in store.decisions(child).to_pylist():
            said.setdefault(decision["action"], set()).add(decision["row_id"])
        before, after = (
            {row["id"]: (row["text"], row["label"], row["weight"]) for row in t.to_pylist()}
            for t in (store.rows(parent), store.rows(child))
        )
        assert (set(before) - said["drop"]) | said["add"] == set(after)
        assert said["drop"] <= set(before)
        assert said["edit"] == {i for i in set(before) & set(after) if before[i] != after[i]}


def test_why_answers_for_every_row_that_ever_entered_was_made_or_refused(curator, corpus):
    """After a second delivery that withdrew rows, and with augmented rows refused as leaks."""
    made = corpus()
    curator(made.folder, "run", "recipe.yaml", "--no-measure")
    made.train = [row for number, row in enumerate(made.train) if number % 7]
    made.write().swap("with: [keyboard]", "with: [{keyboard: {share: 0.01}}, label_text]")
    made.swap("steps:", "labels: {from: labels.yaml}\nsteps:")
    entries = [
        f"{row['label']}: {{definition: {json.dumps(row['text'])}}}" for row in made.test[:3]
    ]
    (made.folder / "labels.yaml").write_text("\n".join(entries), "utf-8")
    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")
    assert 0 == said.code, said.err

    store = open_store(made.folder / ".curator", create=False)
    every = {entry.version for entry in store.entries("main")}
    ever = {row for version in every for row in store.rows(version)["id"].to_pylist()}
    decided = {
        d["row_id"]: d["action"] for version in every for d in store.decisions(version).to_pylist()
    }
    assert {"add", "drop", "edit", "reject"} <= set(decided.values())

    kinds = set()
    for row in ever | set(decided):
        history = store.why(row)
        assert history.row_id == row
        assert history.events[0].kind in ("imported", "added", "rejected")
        kinds.add(history.state.where)
    assert {"present", "dropped", "rejected", "withdrawn", "elsewhere"} >= kinds
    assert {"present", "dropped", "rejected", "withdrawn"} <= kinds


# Nothing twice


def test_running_again_with_nothing_changed_writes_nothing_and_computes_nothing(
    curator, finished_copy
):
    store = finished_copy.folder / ".curator"
    curator(finished_copy.folder, "run", "recipe.yaml")  # the copy lies in a folder of its own
    before = files_of(store)

    said = curator(finished_copy.folder, "run", "recipe.yaml", "--json").json()

    assert before == files_of(store)
    assert (0, 0, 0) == tuple(said["work"][name] for name in ("embedded", "fits", "crossfits"))
    assert all(version["cached"] for version in said["versions"])


def test_without_its_cache_a_store_says_the_same_and_only_takes_longer(curator, finished_copy):
    folder = finished_copy.folder
    first = curator(folder, "run", "recipe.yaml", "--json").json()
    for path in sorted((folder / ".curator" / "cache").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()

    again = curator(folder, "run", "recipe.yaml", "--json").json()

    assert first["versions"] == again["versions"]
    assert first["impacts"] == again["impacts"]


def test_a_measurement_made_anew_from_nothing_is_the_same_to_the_last_bit(
    curator, corpus, finished
):
    made = corpus(classes=24, train=6, test=4)
    curator(made.folder, "run", "recipe.yaml", "--no-measure")

    one, other = (
        curator(folder, "measure", "main~1", "main", "--json").json()
        for folder in (finished.folder, made.folder)
    )

    for name in ("effect", "low", "high", "verdict", "mde", "slices", "before_score"):
        assert one[name] == other[name]
    assert "augment" == other["placebo"]["kind"]
    looked = len(other["seeds"])  # on both sides; the placebo asks both at its own seeds
    assert 2 * looked + (2 * len(SEEDS) - looked) == other["work"]["fits"]


# kill -9


def stored_work(folder):
    """Count texts embedded and fits in the cache, and cross-fits."""
    cache = folder / ".curator" / "cache"
    fits = len(list((cache / "fits").glob("*.npz"))) if (cache / "fits").exists() else 0
    folds = len(list((cache / "crossfit").glob("*.npz"))) if (cache / "crossfit").exists() else 0
    return fits, folds


FORKS = """
import os, sys
import curator.cli, curator.reporting, curator.running, curator.versions, finetune
import cleanlab, nlpaug.augmenter.char, sklearn.decomposition, torch
for folder in sys.stdin:
    child = os.fork()
    if child == 0:
        os.chdir(folder.strip())
        sys.argv = ["curator", "--quiet", "run", "recipe.yaml"]
        sys.stdout = open("out.txt", "w")
        try:
            curator.cli.main()
        finally:
            os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()  # until then an ended child keeps its number: a kill hits no other
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Runs recipes in processes that have their libraries loaded: a kill then hits the run itself."""


@pytest.fixture
def forks():
    """Start runs: `forks(folder, kill_after_s=None)` -> the signal that ended it, or 0."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:

        def call(folder, *, kill_after_s=None):
            server.stdin.write(f"{folder}\n")
            server.stdin.flush()
            child = int(server.stdout.readline())
            if kill_after_s is not None:
                time.sleep(kill_after_s)
                os.kill(child, signal.SIGKILL)
            server.stdin.write("wait\n")
            server.stdin.flush()
            return os.WTERMSIG(int(server.stdout.readline()))

        yield call
        server.stdin.close()


@pytest.mark.slow
def test_killed_at_ten_random_points_a_run_goes_on_and_does_little_again(curator, corpus, forks):
    """What was finished and kept is not done again: fits, cross-fits and texts embedded."""

    def short(name):
        """Two steps, one with a cross-fit, and fits of both: all there is to be interrupted."""
        made = corpus(name, classes=24, train=6, test=4)
        augment = "  - augment: {with: [keyboard], keep_label: 0}\n"
        for line in ("  - duplicates\n", "  - leaks\n", augment, "report: report.html\n"):
            made.swap(line, "")
        return made

    made = short("undisturbed")
    forks(made.folder)  # the first also warms the server
    expected = ids_of(curator, made.folder)
    made = short("measured")
    started = time.monotonic()
    assert 0 == forks(made.folder)
    lasts = time.monotonic() - started
    whole = stored_work(made.folder)
    draw = random.Random(9)
    killed = 0

    for number in range(10):
        made = short(f"killed-{number}")
        ended = forks(made.folder, kill_after_s=lasts * (number + draw.random()) / 10)
        killed += ended == signal.SIGKILL
        fits, folds = stored_work(made.folder)

        said = curator(made.folder, "run", "recipe.yaml", "--json")

        assert 0 == said.code, said.err
        assert expected == ids_of(curator, made.folder)
        work = said.json()["work"]
        assert whole == (fits + work["fits"], folds + work["crossfits"])
        if fits:  # what fits rest on was embedded and kept before them
            assert 0 == work["embedded"]
    assert killed >= 5


# Frozen test rows


def forge(store, version):
    """Change one character of a test row in a version's parts, with names and layout to match."""
    rows = store.rows(version).to_pylist()
    row = next(r for r in rows if r["split"] == "test")
    row["text"] = "q" + row["text"][1:]  # no word of the corpus has a q
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=store.rows(version).schema), sink)
    data = sink.getvalue().to_pybytes()
    name = hashlib.sha256(data).hexdigest()
    root = Path(store.folder.root)
    target = root / "objects" / name[:2] / name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(data)
    (path,) = (root / "layouts" / version.id).iterdir()
    layout = json.loads(path.read_bytes())
    layout["parts"] = [{**layout["parts"][0], "object": name, "rows": len(rows), "deleted": None}]
    path.write_text(json.dumps(layout))
    return row["id"]


def test_one_character_of_a_test_row_under_a_forged_layout_stops_measure_export_and_run(
    curator, finished_copy
):
    folder = finished_copy.folder
    store = open_store(folder / ".curator", create=False)
    for version in store.ancestry("main"):
        row = forge(store, version)

    for arguments in (
        ("measure", "main~1", "main"),
        ("export", "main", "--out", "exported"),
        ("run", "recipe.yaml"),
    ):
        said = curator(folder, *arguments)
        assert 1 == said.code
        assert "its stored test rows are not those that were frozen" in said.err
        assert f"changed: {row}" in said.err
    assert not (folder / "exported").exists()


def test_one_flipped_byte_of_an_object_stops_whoever_reads_it(finished_copy):
    store = open_store(finished_copy.folder / ".curator", create=False)
    name = store.layout("main~5").parts[0].object
    path = finished_copy.folder / ".curator" / "objects" / name[:2] / name
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)

    with pytest.raises(StoreError, match="this object was altered after it was written"):
        store.rows("main~5")


def test_no_step_touched_a_test_row(finished):
    store = open_store(finished.folder / ".curator", create=False)
    first = store.version("main~5")
    raw = {row["id"]: row for row in store.rows(first).to_pylist() if row["split"] == "test"}

    for version in store.ancestry("main"):
        now = {row["id"]: row for row in store.rows(version).to_pylist() if row["split"] == "test"}
        assert raw == now
        assert first.lock == version.lock
        store.check_lock(version)


# The report


class Numbers(html.parser.HTMLParser):
    """Collects what the page shows as (path in the twin, value)."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "data" and "data-fact" in given:
            self.found.append((given["data-fact"], given["value"]))


def looked_up(twin, path):
    for part in path.split("."):
        twin = twin[int(part)] if isinstance(twin, list) else twin[part]
    return twin


def test_every_number_on_the_page_stands_in_the_twin(finished):
    page = Numbers()
    page.feed((finished.folder / "report.html").read_text("utf-8"))
    twin = json.loads((finished.folder / "report.json").read_text("utf-8"))

    assert len(page.found) > 100
    for path, value in page.found:
        assert json.loads(value.replace("'", '"')) == looked_up(twin, path), path


def test_the_counts_of_the_twin_are_those_that_duckdb_counts(curator, finished, tmp_path):
    twin = json.loads((finished.folder / "report.json").read_text("utf-8"))

    for back, told in enumerate(reversed(twin["versions"])):
        out = tmp_path / f"v{back}"
        curator(finished.folder, "export", f"main~{back}", "--out", out)
        counted = dict(
            duckdb.sql(f"select split, count(*) from '{out}/*.parquet' group by split").fetchall()
        )
        assert told["rows"] == sum(counted.values())
        assert {"train": told["train"], "test": told["test"]} == counted
        if back == 5:
            continue
        rows = tmp_path / f"d{back}.parquet"
        curator(finished.folder, "diff", f"main~{back + 1}", f"main~{back}", "--rows", rows)
        ops = dict(duckdb.sql(f"select op, count(*) from '{rows}' group by op").fetchall())
        for name in ("added", "dropped", "edited", "relabelled", "weighted"):
            assert told[name] == ops.get(name, 0), (back, name)
    by_class = duckdb.sql(
        f"select label, count(*) filter (split = 'train'), count(*) filter (split = 'test') "
        f"from '{tmp_path}/v0/*.parquet' group by label order by label"
    ).fetchall()
    assert by_class == [(c["name"], c["train"], c["test"]) for c in twin["corpus"]["classes"]]


def test_each_count_of_an_issue_is_what_its_command_lists(curator, finished):
    twin = json.loads((finished.folder / "report.json").read_text("utf-8"))

    for issue in twin["issues"]:
        program, *arguments = issue["command"].split()
        assert "curator" == program
        said = curator(finished.folder, *arguments, "--json")
        assert 0 == said.code, said.err
        listed = said.json()
        assert issue["count"] == len({row["id"] for row in listed}), issue["command"]
        for action in issue["actions"]:
            listed = curator(finished.folder, *action["command"].split()[1:], "--json").json()
            assert action["count"] == len(listed), action["command"]


def test_each_impact_of_the_twin_is_what_measure_says(curator, finished):
    twin = json.loads((finished.folder / "report.json").read_text("utf-8"))

    assert 6 == len(twin["impacts"])
    for told in twin["impacts"]:
        said = curator(finished.folder, *told["command"].split()[1:], "--json").json()
        assert (told["effect"], told["test_rows"]) == (said["effect"], said["test_rows"])
        assert told["before_score"] == said["before_score"]
