"""The six tasks end to end: import, quarantine, steps, store, edits, export."""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import curator
from curator.checks.text import clean, fix_texts
from curator.editing import apply_edits, export_edits
from curator.errors import RecipeError, RowError, StoreError
from curator.exporting import export
from curator.importing import import_rows
from curator.recipe import from_mapping
from curator.rewriting import moved_spans, rewritten
from curator.running import run
from curator.tasks import TASKS, span_fault, task_of
from curator.versions import open_store

WORDS = ("river", "stone", "cloud", "amber", "tiger", "maple", "ocean", "piano", "queen", "raven")


def say(number):
    """Give a text unlike those of other numbers."""
    told = hashlib.sha256(str(number).encode()).hexdigest()
    return " ".join([WORDS[number % 10], told[:7], told[7:14], told[14:20]])


def turn(role, content):
    return {"role": role, "content": content}


RECORDS = {
    "classification": lambda i: {"text": say(i) + "  x", "label": "ab"[i % 2]},
    "multilabel": lambda i: {"text": say(i) + "  x", "labels": [["a"], ["b", "a"], []][i % 3]},
    "tokens": lambda i: {
        "text": f"say  {say(i)}",
        "spans": [{"start": 5, "end": 5 + len(WORDS[i % 10]), "label": "W"}],
    },
    "instruction": lambda i: {
        "messages": [turn("user", say(i) + "  ?"), turn("assistant", f"yes {i}")]
    },
    "preference": lambda i: {"prompt": say(i), "chosen": f"good  {i}", "rejected": "bad"},
    "corpus": lambda i: {"text": say(i) + "  and on"},
}


def recipe(task, records, **options):
    source = {"from": records, **options.pop("source", {})}
    return from_mapping({"name": "r", "task": task, "sources": [source], "measure": False,
                         **options})  # fmt: skip


def imported(task, records, **source):
    return import_rows(recipe(task, records, source=source, max_bad_share=1), for_check=True)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_goes_through_import_steps_store_and_comes_back(task, tmp_path):
    records = [RECORDS[task](i) for i in range(20)]
    store = open_store(tmp_path / "s", create=True)
    steps = [{"clean": {}}, {"duplicates": {}}, {"leaks": {}}]

    done = run(recipe(task, [*records, records[0]], steps=steps), store)
    rows = store.rows(done.head)

    assert TASKS[task] == task_of(rows)
    assert TASKS[task].schema.names == rows.column_names
    assert 1 == (store.decisions(done.steps[2].version)["action"].to_pylist()).count("drop")
    edited = store.decisions(done.steps[1].version).to_pylist()
    assert {"edit"} == {d["action"] for d in edited}
    assert store.why(edited[0]["row_id"]) is not None
    assert {"clean"} == {r["step"] for r in rows.to_pylist() if r["id"] == edited[0]["row_id"]}


@pytest.mark.parametrize("task", TASKS)
def test_ids_come_from_the_input_columns_only(task):
    records = [RECORDS[task](i) for i in range(6)]
    one = imported(task, records).rows
    other = imported(task, [{**r, "note": "mine"} for r in records[::-1]]).rows

    assert one["id"].to_pylist() == other["id"].to_pylist()
    assert one.select(TASKS[task].columns).equals(other.select(TASKS[task].columns))


@pytest.mark.parametrize(
    ("task", "record", "reason"),
    [
        ("multilabel", {"text": "x", "labels": ["a", "a"]}, "label 'a' stands twice"),
        ("multilabel", {"text": "x", "labels": "a; b"}, "name it with separator: in the source"),
        ("multilabel", {"text": None, "labels": []}, "there is no text"),
        ("tokens", {"text": "ab", "spans": [[0, 3, "P"]]}, "ends beyond the text, which has 2"),
        ("tokens", {"text": "abcd", "spans": [[0, 2, "P"], [1, 3, "Q"]]}, "cross; spans may only"),
        ("tokens", {"text": "abcd", "spans": [[0, 2, "P"], [0, 2, "P"]]}, "stands twice"),
        ("tokens", {"text": "abcd", "spans": [[1, 1, "P"]]}, "is empty or begins before"),
        ("instruction", {"messages": "hello"}, "expected a list of messages"),
        ("preference", {"prompt": "x", "chosen": "y", "rejected": None}, "no rejected answer"),
        ("corpus", {"text": None}, "there is no text"),
    ],
)
def test_a_record_of_another_form_is_set_aside_with_its_number_and_reason(task, record, reason):
    good = RECORDS[task](1)

    made = imported(task, [good, record])

    assert 1 == made.rows.num_rows
    assert [1] == [bad.record for bad in made.bad]
    assert reason in made.bad[0].reason


def test_labels_are_sorted_read_from_lists_and_separated_cells_and_may_be_none():
    cells = [("x", '["b", "a"]'), ("y", "['b']"), ("z", "[]")]
    listed = imported("multilabel", [{"text": t, "labels": c} for t, c in cells]).rows
    parted = imported("multilabel", [{"text": "x", "labels": "b; a"}], separator=";").rows

    found = dict(zip(listed["text"].to_pylist(), listed["labels"].to_pylist(), strict=True))
    assert {"x": ["a", "b"], "y": ["b"], "z": []} == found
    assert [["a", "b"]] == parted["labels"].to_pylist()


def test_tags_on_tokens_become_spans_keep_their_columns_and_broken_ones_are_told():
    record = {"tokens": ["Ann", "Lee", "left"], "ner": ["I-P", "I-P", "O"]}

    made = imported("tokens", [record], columns={"tokens": "tokens", "tags": "ner"})

    assert "Ann Lee left" == made.rows["text"][0].as_py()
    assert [{"start": 0, "end": 7, "label": "P"}] == made.rows["spans"][0].as_py()
    assert {"tokens", "ner"} <= set(made.rows.column_names)
    assert "1 records of frame have tags that break their scheme" in made.warnings[0]


def test_tool_calls_stay_beside_the_messages():
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}

    rows = imported("instruction", [{"messages": [turn("user", "x"), call]}]).rows

    assert [turn("user", "x"), turn("assistant", "")] == rows["messages"][0].as_py()
    assert "tool_calls" in rows["orig_messages"][0].as_py()


def test_a_text_fix_moves_spans_or_leaves_the_row_with_a_finding():
    rows = imported("tokens", [
        {"text": "a  <b>Bob</b> x", "spans": [[6, 9, "P"]]},
        {"text": "see  Tom &amp; Co", "spans": [[9, 12, "P"]]},
    ]).rows  # fmt: skip
    made = rewritten(rows, fix_texts)
    told = {r["text"]: r["spans"] for r in made.rows.to_pylist()}

    assert [{"start": 2, "end": 5, "label": "P"}] == told["a Bob x"]
    assert 1 == int(made.unedited.sum())
    assert "span_edit" in clean(rows)["issue_type"].to_pylist()


@given(st.text("ab <>&;\u00a0\t😀", max_size=30), st.data())
def test_moved_spans_say_what_the_fix_says_of_them(text, data):
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    fixed = fix_texts(pa.array([text]))[0].as_py()

    moved = moved_spans(text, fixed, [{"start": start, "end": end, "label": "P"}], fix_texts)

    if moved is not None:
        (span,) = moved
        assert (
            fix_texts(pa.array([text[start:end]]))[0].as_py() == fixed[span["start"] : span["end"]]
        )
        assert None is span_fault(fixed, moved)


def test_equal_prompts_with_other_answers_are_conflicts_not_duplicates(tmp_path):
    records = [RECORDS["instruction"](i) for i in range(20)]
    other = {"messages": [records[0]["messages"][0], turn("assistant", "no, never")]}
    store = open_store(tmp_path / "s", create=True)

    done = run(recipe("instruction", [*records, other], steps=[{"duplicates": {}}]), store)

    assert 0 == store.decisions(done.head).num_rows
    assert ["label_conflict"] * 2 == store.findings(done.head)["issue_type"].to_pylist()


def test_a_step_that_does_not_know_a_task_says_so_before_anything_runs():
    with pytest.raises(RecipeError, match="'label_errors' does not know the task 'tokens' yet; it"):
        recipe("tokens", [RECORDS["tokens"](1)], steps=[{"label_errors": {}}])


def test_spans_are_edited_as_json_and_a_bad_one_is_refused(tmp_path):
    store = open_store(tmp_path / "s", create=True)
    run(recipe("tokens", [RECORDS["tokens"](i) for i in range(20)]), store)
    sheet = tmp_path / "edits.csv"
    export_edits(store, "main", out=sheet, to="csv")
    before = sheet.read_text("utf-8")
    assert '""start"": 5' in before

    sheet.write_text(before.replace('""start"": 5', '""start"": 500'), "utf-8")
    with pytest.raises(RowError, match=r"nothing was applied\nrow .*is empty or begins before"):
        apply_edits(store, sheet, by="ann", reason="wrong")
    sheet.write_text(before.replace('""start"": 5', '""start"": 4'), "utf-8")
    made = apply_edits(store, sheet, by="ann", reason="begins earlier")

    assert {"edit"} == set(made.counts)


def test_forms_are_written_and_one_that_cannot_hold_a_row_is_refused(tmp_path):
    store = open_store(tmp_path / "s", create=True)
    run(recipe("instruction", [RECORDS["instruction"](i) for i in range(20)]), store)
    export(store, "main", to="alpaca", out=tmp_path / "out")
    lines = (tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()
    again = imported("instruction", [json.loads(line) for line in lines],
                     columns={"prompt": "instruction", "response": "output"})  # fmt: skip

    held = store.rows(store.version("main"))
    train = [r["messages"] for r in held.to_pylist() if r["split"] == "train"]
    assert sorted(map(str, train)) == sorted(map(str, again.rows["messages"].to_pylist()))
    with pytest.raises(StoreError, match=r"no form of that name .*'instruction'; there are"):
        export(store, "main", to="conll", out=tmp_path / "other")


def test_spans_go_to_conll_and_come_back(tmp_path):
    store = open_store(tmp_path / "s", create=True)
    run(recipe("tokens", [RECORDS["tokens"](i) for i in range(20)], steps=[{"clean": {}}]), store)
    export(store, "main", to="conll", out=tmp_path / "out")
    source = {
        "from": f"file:{tmp_path}/out/train.conll",
        "columns": {"tokens": "tokens", "tags": "tags"},
    }
    back = from_mapping({"task": "tokens", "sources": [source]})

    held = store.rows(store.version("main")).to_pylist()
    train = {(r["text"], str(r["spans"])) for r in held if r["split"] == "train"}
    rows = import_rows(back, for_check=True).rows.to_pylist()
    assert train == {(r["text"], str(r["spans"])) for r in rows}


def test_a_task_without_a_bank_is_not_measurable_and_the_run_goes_on(tmp_path):
    store = open_store(tmp_path / "s", create=True)
    made = from_mapping({
        "task": "corpus", "sources": [{"from": [RECORDS["corpus"](i) for i in range(20)]}],
        "steps": [{"clean": {}}], "measure": {"model": "tfidf", "tiers": ["probe"]},
    })  # fmt: skip

    impacts = run(made, store).impacts

    assert {"not_measurable"} == {impact.verdict for _, impact in impacts}
    assert "no A/A bank for task corpus yet" in impacts[0][1].sentence


def test_the_public_api_gives_rows_of_a_task(tmp_path):
    store = curator.open_store(str(tmp_path / "s"), create=True)
    curator.run(recipe("corpus", [RECORDS["corpus"](i) for i in range(20)]), store)

    assert "text" in curator.rows(store, "main", frame="pyarrow").column_names
