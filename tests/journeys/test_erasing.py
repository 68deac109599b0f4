"""A row is erased: nothing of it is found anywhere, everything else is as it was."""

import io
import json
import shutil
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.versions import open_store
from curator.versions.erasure import erase
from curator.versions.local import LocalFolder
from curator.versions.verify import verify
from finetune.keys import text_key
from finetune.shards import Shards

ASKED = ("--by", "the data office", "--reason", "request 17")


def speaking(store, *words):
    """Name the files of a store that hold one of these words, decompressed, in any form."""
    written = {f for w in words for f in (json.dumps(w), json.dumps(w, ensure_ascii=False))}
    forms = {f.encode() for f in (*words, *(w[1:-1] for w in written))}
    return {
        path.relative_to(store).as_posix()
        for path in store.rglob("*")
        if path.is_file()
        for data in _contents(path)
        if any(form in data for form in forms)
    }


def _contents(path):
    data = path.read_bytes()
    yield data
    yield str(path).encode()
    if data[:4] == b"PAR1":
        table = pq.read_table(pa.BufferReader(data))
        yield json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            yield from (array.tobytes() for array in arrays.values())


@pytest.fixture
def run_corpus(corpus, curator):
    """A corpus with every kind of doubt, a quarantined record, and its finished run."""
    made = corpus(train=8, test=3)
    with (made.folder / "train.csv").open("a", encoding="utf-8") as file:
        file.write(f'"{made.train[0]["text"]}, again, and half a record",\n')
    made.swap("name: tiny\n", "name: tiny\nmax_bad_share: 0.5\n")
    said = curator(made.folder, "run", "recipe.yaml")
    assert 0 == said.code, said.err
    return made


def _store(made):
    return open_store(made.folder / ".curator", create=False)


def _rows(made, ref="main"):
    return _store(made).rows(ref).to_pylist()


@pytest.fixture
def victim(run_corpus):
    """A row that other rows were dropped for, with children, and each with its text."""
    text = run_corpus.train[0]["text"]
    every = _rows(run_corpus, "main~5")
    return [row["id"] for row in every if text in row["text"] and row["split"] == "train"], text


def test_nothing_of_an_erased_row_is_found_and_all_else_holds(run_corpus, victim, curator):
    folder, store = run_corpus.folder, run_corpus.folder / ".curator"
    ids, text = victim
    children = [r["id"] for r in _rows(run_corpus) if r["parent"] in ids]
    child_texts = [r["text"] for r in _rows(run_corpus) if r["parent"] in ids]
    before = [e.version for e in _store(run_corpus).log("main")]
    others = {r["id"]: r["text"] for r in _rows(run_corpus) if r["id"] not in {*ids, *children}}
    assert len(ids) > 1
    assert children
    assert speaking(store, text)
    assert any(name.startswith("quarantine/") for name in speaking(store, text))

    said = curator(folder, "erase", *ids, *ASKED)

    assert 0 == said.code, said.err
    assert f"erased: {len(ids)} rows and {len(children)}" in said.out
    assert set() == speaking(store, text, *child_texts)
    assert set() == speaking(store, *ids, *children)
    assert before == [e.version for e in _store(run_corpus).log("main")]
    assert others == {r["id"]: r["text"] for r in _rows(run_corpus)}
    verified = curator(folder, "verify")
    assert 0 == verified.code, verified.out
    assert "erasure 1 superseded content" in verified.out
    assert 0 == curator(folder, "rebuild", "main").code
    assert 0 == curator(folder, "gc", "--grace", "0s").code
    assert 0 == curator(folder, "verify").code


def test_no_cache_keeps_the_key_the_words_or_the_numbers_of_an_erased_text(
    run_corpus, victim, curator
):
    """Token ids spell a text, and states of each token nearly do, so these caches go as a whole."""
    ids, text = victim
    cache, key = run_corpus.folder / ".curator" / "cache", text_key(text)
    for kind, number in (("tokens", np.int32), ("activations", np.float16)):
        shards = Shards(cache / kind / "a-model", width=1, dtype=number)
        shards.append([text_key("another text")], [np.ones((3, 1))])
        shards.append([key], [np.ones((3, 1))])
    before = _files_with(cache, key)

    assert {"activations", "embeddings", "tokens"} <= {name.split("/")[0] for name in before}
    assert 0 == curator(run_corpus.folder, "erase", *ids, *ASKED).code
    assert set() == _files_with(cache, key)
    left = {path.relative_to(cache).parts[0] for path in cache.rglob("*") if path.is_file()}
    assert left.isdisjoint({"activations", "crossfit", "models", "tokens"})
    shards = {path.name.split(".")[0] for path in (cache / "embeddings").rglob("*.values")}
    assert shards == {path.name.split(".")[0] for path in (cache / "embeddings").rglob("*.npz")}
    assert 0 == curator(run_corpus.folder, "run", "recipe.yaml").code


def _files_with(cache, key):
    """Name the cache files in which a key stands, as bytes or as hexadecimal digits."""
    return {
        path.relative_to(cache).as_posix()
        for path in cache.rglob("*")
        if path.is_file()
        for data in _contents(path)
        if key in data or key.hex().encode() in data
    }


def test_why_answers_that_a_row_was_erased(run_corpus, victim, curator):
    ids, _ = victim
    curator(run_corpus.folder, "erase", *ids, *ASKED)
    said = curator(run_corpus.folder, "why", ids[0])

    assert 0 == said.code
    assert "was erased" in said.out
    assert "by the data office: request 17" in said.out
    assert ids[0] == curator(run_corpus.folder, "why", ids[0], "--json").json()["row_id"]


def test_a_run_on_the_same_sources_brings_no_erased_row_back(run_corpus, victim, curator):
    ids, text = victim
    before = [e.version for e in _store(run_corpus).log("main")]
    curator(run_corpus.folder, "erase", *ids, *ASKED)
    again = curator(run_corpus.folder, "run", "recipe.yaml", "--no-measure")

    assert 0 == again.code, again.err
    assert f"{len(ids)} rows of the sources were erased and are left out" in again.err
    assert set() == speaking(run_corpus.folder / ".curator", text, *ids)
    # TF-IDF is fitted on the import's texts, so steps that ask a model are run again.
    assert before[2:] == [e.version for e in _store(run_corpus).log("main")][2:]
    run_corpus.train.append({"text": "a wholly new sentence about things", "label": "topic00"})
    run_corpus.write()
    assert 0 == curator(run_corpus.folder, "run", "recipe.yaml", "--no-measure").code
    assert set() == speaking(run_corpus.folder / ".curator", text, *ids)


def test_a_dry_run_counts_and_changes_nothing(run_corpus, victim, curator):
    ids, text = victim
    store = run_corpus.folder / ".curator"
    before = speaking(store, text)
    said = curator(run_corpus.folder, "erase", *ids, *ASKED, "--dry-run", "--json").json()

    assert said["dry_run"]
    assert sorted(ids) == said["rows"]
    assert 6 == said["versions"]
    assert 1 == said["quarantined"]
    assert before == speaking(store, text)


def test_an_erased_test_row_supersedes_the_lock_and_measure_goes_on(run_corpus, curator):
    store = _store(run_corpus)
    row = next(r for r in _rows(run_corpus) if r["split"] == "test" and r["label"] == "topic01")
    lock = store.version("main").lock
    used = curator(run_corpus.folder, "show", "main", "--json").json()["test_uses"]
    said = curator(run_corpus.folder, "erase", row["id"], *ASKED)

    assert 0 == said.code, said.err
    assert used == curator(run_corpus.folder, "show", "main", "--json").json()["test_uses"]
    now = _store(run_corpus).version("main")
    assert lock != now.lock
    assert 1 == now.superseded
    assert set() == speaking(run_corpus.folder / ".curator", row["text"], row["id"])
    assert "superseded" in curator(run_corpus.folder, "verify").out
    exported = curator(run_corpus.folder, "export", "main", "--out", "out")
    assert f"that erasure 1 left, and its test lock is {now.lock[:12]}" in exported.err
    measured = curator(run_corpus.folder, "measure", "main~1", "main", "--tier", "probe", "--json")
    assert 0 == measured.code, measured.err
    assert "that erasure 1 left, and its test lock" in measured.err
    done = curator(run_corpus.folder, "run", "recipe.yaml", "--no-measure")
    assert "frozen rows (as erasure 1 left them)" in done.err


def test_reports_and_exports_that_may_hold_the_rows_are_listed(run_corpus, victim, curator):
    curator(run_corpus.folder, "export", "main", "--out", "out")
    curator(run_corpus.folder, "edits", "export", "--to", "csv")
    said = curator(run_corpus.folder, "erase", *victim[0], *ASKED).out

    for name in ("report.html", "out", "edits.csv"):
        assert f"yours to clear: {run_corpus.folder / name} (" in said
    assert "not known to this store: files written by --out" in said


def test_rows_that_say_the_same_are_told_and_stay(run_corpus, victim, curator):
    _, text = victim
    same = [r["id"] for r in _rows(run_corpus, "main~5") if r["text"] == text]
    said = curator(run_corpus.folder, "erase", same[0], *ASKED, "--json").json()

    assert set(said["twins"]) == set(same) - {same[0]}
    assert 0 == curator(run_corpus.folder, "verify").code


def test_erasing_twice_says_so_and_a_wrong_id_erases_nothing(run_corpus, victim, curator):
    ids, _ = victim
    curator(run_corpus.folder, "erase", *ids, *ASKED)
    again = curator(run_corpus.folder, "erase", ids[0], *ASKED)

    assert 0 == again.code
    assert "is gone already (erasure 1" in again.out
    wrong = curator(run_corpus.folder, "erase", "nobody", *ASKED)
    assert "no row was ever called 'nobody'" in wrong.err
    nobody = curator(run_corpus.folder, "erase", ids[0], "--by", " ", "--reason", "r")
    assert "--by is empty" in nobody.err


def test_a_second_erasure_goes_on_from_the_first(run_corpus, curator):
    rows = [r for r in _rows(run_corpus) if r["split"] == "train" and r["parent"] is None][:2]
    for row in rows:
        assert 0 == curator(run_corpus.folder, "erase", row["id"], *ASKED).code
        assert 0 == curator(run_corpus.folder, "verify").code

    store = run_corpus.folder / ".curator"
    assert set() == speaking(store, *(r["id"] for r in rows), *(r["text"] for r in rows))
    assert "erasure 2 superseded" in curator(run_corpus.folder, "verify").out


class Killed(BaseException):
    """What a kill is to a test: nothing of ours catches it."""


class Clock:
    """Lets so many writes happen, leases aside, and then kills."""

    def __init__(self, patch, steps):
        self.left = steps
        for name in ("put_new", "replace", "delete"):
            patch.setattr(LocalFolder, name, self.counting(getattr(LocalFolder, name)))

    def counting(self, call):
        def counted(folder, name, *more):
            if not name.startswith("leases/"):
                if not self.left:
                    raise Killed
                self.left -= 1
            return call(folder, name, *more)

        return counted


def killed_after(steps, folder, ids, monkeypatch):
    """Erase, killed after so many writes; tells whether it came to its end."""
    with monkeypatch.context() as patch:
        Clock(patch, steps)
        try:
            erase(open_store(folder, create=False), ids, by="a", reason="b")
        except Killed:
            return False
    return True


def test_an_erasure_killed_anywhere_leaves_whole_versions_and_is_gone_on_with(
    run_corpus, victim, tmp_path, monkeypatch
):
    ids, text = victim
    shutil.rmtree(run_corpus.folder / ".curator/cache")
    steps, finished = 0, False
    while not finished:
        folder = tmp_path / f"killed{steps}"
        shutil.copytree(run_corpus.folder / ".curator", folder)
        finished = killed_after(steps, folder, ids, monkeypatch)
        assert () == verify(open_store(folder, create=False)).faults, steps
        erase(open_store(folder, create=False), ids, by="a", reason="b")

        store = open_store(folder, create=False)
        assert () == verify(store).faults, steps
        assert set() == speaking(folder, text, *ids), steps
        assert 1 == len(store.records("erasures")), steps
        shutil.rmtree(folder)
        steps += 1 if steps < 6 else 5

    assert 30 < steps
