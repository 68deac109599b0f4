"""Erasing a row of messages: nothing it said, now or before an edit, is left in any byte."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curator.erasing import erase_rows
from curator.recipe import from_mapping
from curator.running import run
from curator.tasks import contents
from curator.versions import open_store
from curator.versions.superseding import ERASURES
from curator.versions.traces import said_in_cells
from curator.versions.verify import verify

ASKED = "Please  tell me &amp; my friends where the plughword lives and what the house looks like"
SAID = (
    "She lives  in the zorkword street behind the mill &amp; has done so since her birth, she says"
)
OTHER = "That is nothing you should ask me, as I tell no one where people live"


def turn(role, content):
    return {"role": role, "content": content}


def plain(number):
    asked = f"What does item {number * 7919} of shelf {number} weigh?"
    return {"messages": [turn("user", asked), turn("assistant", f"It weighs {number * 17} grams")]}


def pair(record):
    asked, said = record["messages"]
    return {"prompt": asked["content"], "chosen": said["content"], "rejected": "I will not tell"}


INSTRUCTIONS = [
    *map(plain, range(12)),
    {"messages": [turn("system", "Be brief"), turn("user", ASKED), turn("assistant", SAID)]},
    {"messages": [turn("user", ASKED), turn("assistant", OTHER)]},
]
PREFERENCES = [pair({"messages": record["messages"][-2:]}) for record in INSTRUCTIONS]


def holding(folder, *words):
    """Name the files below a folder that hold one of these words, decompressed."""
    found = set()
    for path in Path(folder).rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if data[:4] == b"PAR1":
            rows = pq.read_table(pa.BufferReader(data)).to_pylist()
            data = json.dumps(rows, ensure_ascii=False, default=str).encode()
        if any(word.encode() in data for word in words):
            found.add(path.name)
    return found


@pytest.fixture(params=["instruction", "preference"])
def erased(request, tmp_path):
    """Give a store whose row with SAID was edited and erased, its id, and what held it before."""
    records = {"instruction": INSTRUCTIONS, "preference": PREFERENCES}[request.param]
    sources = [{"from": records[2:], "split": "train"}, {"from": records[:2], "split": "test"}]
    store = open_store(tmp_path / "store", create=True)
    steps = [{"clean": {}}, {"duplicates": {}}]
    made = {"name": "r", "task": request.param, "sources": sources, "measure": False}
    run(from_mapping({**made, "steps": steps}), store)
    rows = store.rows("main").to_pylist()
    (row,) = [row["id"] for row in rows if "zorkword" in json.dumps(row)]
    held = holding(store.address, "zorkword"), holding(store.address, "zorkword street behind the")
    decided = {d["action"] for d in store.decisions("main~1").to_pylist() if d["row_id"] == row}
    erase_rows(store, [row], by="ann", reason="asked for")
    return open_store(store.address, create=False), row, held, decided


def test_what_an_erased_answer_said_is_in_no_byte(erased):
    store, row, held, decided = erased

    assert {"edit"} == decided
    assert len(held[0]) >= 4  # two states of the row, its decision, what contradicts it
    assert set() == holding(store.address, "zorkword", "behind the mill", "since her birth")
    assert set() == holding(store.address, row)
    assert () == verify(store).faults
    assert 1 == len(store.records(ERASURES))


def test_the_row_it_contradicted_keeps_its_own_words(erased):
    store, *_ = erased
    found = store.findings("main").to_pylist()
    (told,) = [f["evidence"] for f in found if f["issue_type"] == "label_conflict"]

    assert "[erased] in a train row" in told
    assert "nothing you should ask" in told


def test_cells_of_any_task_say_their_text_or_each_of_their_messages():
    said = [turn("system", "s"), turn("user", "a"), turn("assistant", "b"), turn("user", "c")]

    assert ["t"] == list(said_in_cells({"text": "t", "label": "l", "weight": 1.0}))
    assert ["s", "a", "b", "c", "a\nc", "s\na\nb\nc"] == list(said_in_cells({"messages": said}))
    assert ["s\na\nb\nc"] == [contents(said)]
    assert [] == list(said_in_cells({"weight": 1.0}))
