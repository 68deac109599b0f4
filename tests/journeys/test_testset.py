"""A test set from its size to a frozen benchmark: two sheets, a dispute, and what it refuses."""

import csv

import pytest

from curator.versions import open_store


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fill(path, answer):
    records = read(path)
    for record in records:
        record["label"] = answer(record)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)


@pytest.fixture
def pool(corpus, curator):
    """A corpus that was imported, every tenth label wrong; (corpus, truth by text)."""
    made = corpus(classes=4, train=60, test=0, plants=False)
    truth = {row["text"]: row["label"] for row in made.train}
    for i in range(0, 240, 10):
        made.train[i]["label"] = "topic01" if made.train[i]["label"] != "topic01" else "topic02"
    made.write().say(
        "name: pool\nlanguage: en\nsources: [{from: 'file:train.csv', split: train}]\n"
        "steps: [clean]\nmeasure: false\n"
    )
    assert 0 == curator(made.folder, "run", "recipe.yaml").code
    return made, truth


def test_two_people_a_dispute_and_a_frozen_set_per_part(pool, curator):
    made, truth = pool
    call = ("testset", "main", "--name", "bank")
    said = curator(made.folder, *call, "--detect", "0.09", "--out", "sheets")
    assert 0 == said.code, said.err
    assert "smallest visible effect" in said.out
    first, second = (made.folder / f"sheets/bank-{n}.csv" for n in (1, 2))
    assert {"id", "text", "label"} == read(first)[0].keys()  # no label, no score: blind
    assert [r["id"] for r in read(first)] != [r["id"] for r in read(second)]
    assert {r["id"] for r in read(first)} == {r["id"] for r in read(second)}

    fill(first, lambda r: truth[r["text"]])
    slips = {r["id"] for r in read(second)[:5]}
    fill(second, lambda r: "topic00" if r["id"] in slips and truth[r["text"]] != "topic00"
         else truth[r["text"]])  # fmt: skip
    half = curator(made.folder, *call, "--apply", first, "--by", "ann", "--json").json()
    assert (0, len(read(first))) == (half["settled"], half["waiting"])
    early = curator(made.folder, *call, "--freeze")
    assert 1 == early.code
    assert "rows lack an answer" in early.err
    done = curator(made.folder, *call, "--apply", second, "--by", "bob", "--json").json()
    assert 0 < done["disputed"] <= 5
    assert done["visible_now"] > done["visible_when_done"]
    assert 0.8 < done["kappa"][0] < 1

    curator(made.folder, *call, "--out", "sheets")
    disputed = made.folder / "sheets/bank-disputed.csv"
    assert {"a", "b"} <= read(disputed)[0].keys()
    fill(disputed, lambda r: "a" if r["a"] == truth[r["text"]] else "b")
    said = curator(made.folder, *call, "--adjudicate", disputed, "--by", "eve", "--freeze")
    assert 0 == said.code, said.err
    assert "given labels wrong" in said.out
    store = open_store(made.folder / ".curator", create=False)
    parts = {p: store.rows(f"bank-{p}").to_pylist() for p in ("explore", "confirm", "final")}
    everything = [row for rows in parts.values() for row in rows]
    assert len(read(first)) == len({row["id"] for row in everything}) == len(everything)
    assert all(truth[row["text"]] == row["label"] for row in everything)
    assert {"test"} == {row["split"] for row in everything}
    assert {"confirm"} == {row["benchmark_part"] for row in parts["confirm"]}
    assert 0 == curator(made.folder, *call, "--freeze").code  # the same again is nothing new
    assert 0 == curator(made.folder, "verify").code


def test_a_frozen_part_is_a_test_source_and_its_rows_leave_training(pool, curator):
    made, truth = pool
    call = ("testset", "main", "--name", "bank")
    curator(made.folder, *call, "--detect", "0.09", "--out", "sheets")
    for n in (1, 2):
        sheet = made.folder / f"sheets/bank-{n}.csv"
        fill(sheet, lambda r: truth[r["text"]])
        curator(made.folder, *call, "--apply", sheet, "--by", f"p{n}")
    curator(made.folder, *call, "--freeze")
    curator(made.folder, "export", "bank-confirm", "--to", "jsonl", "--out", "held")
    train = "{from: 'file:train.csv', split: train}"
    made.swap(train, train + ", {from: 'file:held/test.jsonl', split: test}")
    made.swap("[clean]", "[clean, leaks]")
    assert 0 == curator(made.folder, "run", "recipe.yaml").code
    rows = open_store(made.folder / ".curator", create=False).rows("main").to_pylist()
    held = {row["text"] for row in rows if row["split"] == "test"}

    assert len(held) > 10
    assert not held & {row["text"] for row in rows if row["split"] == "train"}


def test_bad_sheets_and_bad_names_are_told_and_nothing_is_taken(pool, curator):
    made, _ = pool
    call = ("testset", "main", "--name", "bank")
    assert "no test set 'bank' was drawn yet" in curator(made.folder, *call).err
    curator(made.folder, *call, "--detect", "0.09", "--out", "sheets")
    sheet = made.folder / "sheets/bank-1.csv"
    fill(sheet, lambda _: "no such label")
    assert "say who filled it in with --by" in curator(made.folder, *call, "--apply", sheet).err
    said = curator(made.folder, *call, "--apply", sheet, "--by", "ann")
    assert 1 == said.code
    assert "line 2: 'no such label' is no label of the corpus" in said.err
    assert [] == curator(made.folder, *call, "--json").json()["people"]
    again = curator(made.folder, *call, "--detect", "0.1")
    assert "was drawn before" in again.err
    large = curator(made.folder, "testset", "main", "--name", "big", "--detect", "0.01")
    assert "groups: add rows, or ask for a larger effect" in large.err
