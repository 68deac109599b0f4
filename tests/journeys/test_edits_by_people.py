"""Edits by people: to a spreadsheet and back, two people at once, every way a file can be off."""

import csv
import datetime as dt
import json
from dataclasses import dataclass

import pytest
from openpyxl import load_workbook

from curator import schema
from curator.edit_cells import rewritten
from curator.versions import StepRecord, open_store

TINY = """\
name: tiny
sources:
  - {from: "file:train.csv", split: train}
  - {from: "file:test.csv", split: test}
steps: [clean]
measure: false
"""


@dataclass
class Desk:
    """A corpus, its store, and files of edits as people handle them."""

    corpus: object
    call: object

    def __call__(self, *arguments, code=0):
        said = self.call(self.corpus.folder, *arguments)
        assert code == said.code, said.out + said.err
        return said

    @property
    def store(self):
        return open_store(self.corpus.folder / ".curator", create=False)

    def export(self, name, *more):
        self("edits", "export", *more, "--to", "csv", "--out", name)
        return self.read(name)

    def read(self, name):
        with (self.corpus.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def write(self, name, records):
        with (self.corpus.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)

    def apply(self, name, by="ann", code=0, *more):
        return self("edits", "apply", name, "--by", by, "--reason", "read again", *more, code=code)

    def row(self, ref, row):
        return self.store.find(ref, [row])[row]


@pytest.fixture
def desk(corpus, curator):
    made = corpus(train=4, test=2, plants=False).say(TINY)
    for number, row in enumerate([*made.train, *made.test]):
        row |= {"code": "1-2", "stars": f"{number % 5}"}
    made.train[0]["text"] = "<b>bold</b> words at the start"
    made.write()
    desk = Desk(made, curator)
    desk("run", "recipe.yaml")
    return desk


def test_changed_cells_become_decisions_of_a_person_on_a_branch_of_their_own(desk):
    rows = desk.export("a.csv")
    one = rows[0]
    other = next(row for row in rows[1:] if row["label"] != "topic02")
    one |= {"text": "a text of mine", "code": "x9"}
    other |= {"label": "topic02", "weight": "0.5"}
    desk.write("a.csv", rows)
    said = desk.apply("a.csv")

    assert "1 edit, 1 relabel, 1 weight" in said.out
    assert "`curator merge reviews` brings them into main" in said.out
    made = desk.store.decisions("reviews").to_pylist()
    assert {("edit", "ann", "read again", "edits")} == {
        (d["action"], d["by"], d["reason"], d["step"]) for d in made if d["row_id"] == one["id"]
    }
    assert {"text": "a text of mine", "code": "x9"} == json.loads(
        next(d["after"] for d in made if d["row_id"] == one["id"])
    )
    assert "edits" == desk.row("reviews", other["id"])["step"]
    assert "topic02" != desk.row("main", other["id"])["label"]
    desk("merge", "reviews")
    assert "topic02" == desk.row("main", other["id"])["label"]
    assert "ann" in desk("why", one["id"]).out
    assert 0 == desk("rebuild", "main").code


def test_a_file_that_nobody_changed_changes_nothing_whatever_the_format(desk):
    for kind in ("csv", "xlsx"):
        desk("edits", "export", "--out", f"a.{kind}")
        said = desk.apply(f"a.{kind}")

        assert "nothing was changed" in said.out
    assert {"main"} == set(desk.store.branches())


def test_what_can_be_changed_and_what_is_there_to_be_read_is_told_by_the_header(desk):
    rows = desk.export("a.csv", "main~1..main")

    assert [
        "id", "base_hash", "text", "label", "weight", "code", "stars", "context: split",
        "context: source", "context: step", "context: action", "context: reason",
        "context: issue_type", "context: score", "context: suggestion", "context: partner_text",
        "context: evidence",
    ] == list(rows[0])  # fmt: skip
    assert ["markup removed"] == [row["context: reason"] for row in rows]


def test_a_query_is_an_expression_over_the_rows_of_main_too(desk):
    assert {"topic01"} == {row["label"] for row in desk.export("a.csv", "label = 'topic01'")}


def test_test_rows_are_left_out_and_said(desk):
    said = desk("edits", "export", "--out", "a.xlsx")

    assert "12 rows -> a.xlsx" in said.out
    assert "6 test rows are left out: they are frozen" in said.out
    assert "no row of \"label = 'none'\" is left" in desk(
        "edits", "export", "label = 'none'", code=1
    ).err  # fmt: skip


def test_a_workbook_edited_by_a_person_is_taken_back(desk):
    desk("edits", "export", "--out", "a.xlsx")
    path = desk.corpus.folder / "a.xlsx"
    book = load_workbook(path)
    sheet = book.active
    heads = [cell.value for cell in sheet[1]]
    row = sheet.cell(3, heads.index("id") + 1).value
    sheet.cell(3, heads.index("label") + 1).value = "topic02"
    sheet.cell(3, heads.index("stars") + 1).value = 7
    book.save(path)
    desk.apply("a.xlsx")

    assert ("topic02", "7") == tuple(desk.row("reviews", row)[n] for n in ("label", "stars"))


def test_a_workbook_that_turned_1_2_into_a_date_is_refused(desk):
    desk("edits", "export", "--out", "a.xlsx")
    path = desk.corpus.folder / "a.xlsx"
    book = load_workbook(path)
    heads = [cell.value for cell in book.active[1]]
    book.active.cell(2, heads.index("code") + 1).value = dt.datetime(2024, 1, 2)  # noqa: DTZ001
    book.save(path)
    said = desk.apply("a.xlsx", code=1)

    assert "line 2: column 'code'" in said.err
    assert "found '2024-01-02' where '1-2' was: a spreadsheet program made a date" in said.err
    assert {"main"} == set(desk.store.branches())


def test_files_of_two_people_are_joined_cell_by_cell(desk):
    ann, bob = desk.export("ann.csv"), desk.export("bob.csv")
    ann[0]["text"], bob[0]["label"] = "said anew by ann", "topic02"
    ann[1]["code"] = bob[1]["code"] = "same"
    ann[2]["code"], bob[2]["code"] = "by ann", "by bob"
    bob[3]["label"] = "topic02"
    desk.write("ann.csv", ann)
    desk.write("bob.csv", bob)
    desk.apply("ann.csv")
    said = desk.apply("bob.csv", "bob", 1, "--json")

    found = desk.row("reviews", ann[0]["id"])
    assert ("said anew by ann", "topic02") == (found["text"], found["label"])
    assert {"relabel": 2} == said.json()["counts"]
    (clash,) = said.json()["conflicts"]
    assert (ann[2]["id"], "code") == (clash["row_id"], clash["column"])
    assert ('{"code":"by ann"}', '{"code":"by bob"}') == (clash["ours"], clash["theirs"])
    assert ("ann", "bob") == (clash["ours_by"], clash["theirs_by"])
    assert "1 cells were not applied" in said.err


def test_a_row_that_a_step_changed_meanwhile_is_a_conflict_and_not_applied(desk):
    rows = desk.export("a.csv", "main~1")
    here = next(row for row in rows if row["text"].startswith("<b>"))
    here["label"] = "topic02"
    desk.write("a.csv", rows)
    said = desk.apply("a.csv", code=1)

    assert "broken characters" not in said.out
    assert "markup removed" in said.out
    assert "nothing was changed" in said.out
    assert {"main"} == set(desk.store.branches())


def test_a_branch_that_main_left_behind_is_told_how_to_catch_up(desk):
    rows = desk.export("a.csv")
    rows[0]["code"] = "x"
    desk.write("a.csv", rows)
    desk.apply("a.csv")
    desk("merge", "reviews")
    again = desk.export("b.csv")
    again[1]["code"] = "y"
    desk.write("b.csv", again)
    onward = desk.apply("b.csv").out
    moved = desk.store.head("main")
    _relabel_one(desk.store, moved)
    third = desk.export("c.csv", "reviews")
    third[2]["code"] = "z"
    desk.write("c.csv", third)

    assert "reviews goes on from" in onward or "main" in onward
    assert "`curator merge main --into reviews` brings that here" in desk.apply("c.csv").out


def _relabel_one(store, head):
    rows = store.rows(head)
    row = next(r for r in rows.to_pylist() if r["split"] == "train" and r["label"] == "topic00")
    made = {"row_id": row["id"], "action": "relabel", "step": "s", "reason": "r", "by": "rule"}
    new = rows.slice(0, 0).from_pylist([row | {"label": "topic01"}], schema=rows.schema)
    store.commit_changes(
        "main", new, parent=head, step=StepRecord("s", {}, 1),
        decisions=schema.decisions([made]), findings=schema.findings([]),
    )  # fmt: skip


def _spoilt(desk, change):
    rows = desk.export("a.csv")
    desk.write("a.csv", change(rows) or rows)
    return desk.apply("a.csv", code=1).err


def _set(column, value, line=0):
    return lambda rows: rows[line].update({column: value})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set("id", "0" * 32), "is no row of"),
        (_set("id", "0" * 32), "its base_hash is that of row"),
        (lambda rows: rows[0].update(id=rows[1]["id"]) or rows[1:2] * 0 or rows[:1],
         "so the id was changed"),
        (lambda rows: [*rows, rows[0]], "stands in line 2 already"),
        (lambda rows: [{k: v for k, v in r.items() if k != "code"} for r in rows],
         "column 'code' is missing"),
        (lambda rows: [{k: v for k, v in r.items() if k != "base_hash"} for r in rows],
         "column 'base_hash' is missing"),
        (lambda rows: [{k.replace("code", "codes"): v for k, v in r.items()} for r in rows],
         "did you mean 'codes'?"),
        (_set("label", "topic2"), "label 'topic2' does not exist. Did you mean 'topic02'?"),
        (_set("text", " "), "it is empty; give the text"),
        (_set("label", ""), "it is empty; give the label"),
        (_set("code", "02-Jan"), "made a date of it"),
        (_set("weight", "heavy"), "expected a number"),
        (_set("weight", "-1"), "expected a weight of 0 or more"),
    ],
)  # fmt: skip
def test_a_spoilt_file_is_refused_whole_with_every_fault_and_its_line(desk, change, told):
    said = _spoilt(desk, change)

    assert told in said
    assert "nothing was applied" in said
    assert {"main"} == set(desk.store.branches())


def test_every_fault_is_told_at_once(desk):
    said = _spoilt(desk, lambda rows: [rows[0] | {"label": "no"}, rows[1] | {"text": ""}])

    assert "2 faults in the file" in said
    assert "line 2" in said
    assert "line 3" in said


def test_a_test_row_is_refused(desk):
    rows = desk.export("a.csv")
    held = next(r for r in desk.store.rows("main").to_pylist() if r["split"] == "test")
    table = desk.store.rows("main")
    hash_ = schema.row_hashes(table)[table["id"].to_pylist().index(held["id"])]
    rows.append({**rows[0], "id": held["id"], "base_hash": hash_, "text": "another"})
    desk.write("a.csv", rows)

    assert "is a test row, and test rows are frozen" in desk.apply("a.csv", code=1).err


def test_a_new_label_is_allowed_by_name(desk):
    rows = desk.export("a.csv")
    rows[0]["label"] = "brand-new"
    desk.write("a.csv", rows)
    desk.apply("a.csv", "ann", 1)
    desk.apply("a.csv", "ann", 0, "--new-label", "brand-new")

    assert "brand-new" == desk.row("reviews", rows[0]["id"])["label"]


def test_changed_context_is_told_and_left(desk):
    rows = desk.export("a.csv")
    rows[0] |= {"context: split": "test", "note": "by me"}
    desk.write("a.csv", [{"note": "", **row} for row in rows])
    said = desk.apply("a.csv")

    assert "context: split was changed to 'test'; it is only there to be read" in said.out
    assert "columns ['note'] are none of the corpus" in said.out


def test_who_and_why_must_be_said(desk):
    desk.export("a.csv")

    assert "--by 'rule'" in desk.apply("a.csv", "rule", 1).err
    assert "--reason ''" in desk(
        "edits", "apply", "a.csv", "--by", "ann", "--reason", "", code=1
    ).err  # fmt: skip


@pytest.mark.parametrize(
    ("base", "cell", "made"),
    [
        ("1-2", "2024-01-02", "a date"),
        ("1-2", "02-Jan", "a date"),
        ("1/2", "1/2/2026", "a date"),
        ("3.4.21", "2021-04-03", "a date"),
        ("SEPT2", "2-Sep", "a date"),
        ("MARCH1", "2026-03-01", "a date"),
        ("1-2", "45293", "a date"),
        ("007", "7", "a number"),
        ("1e5", "100000", "a number"),
        ("12345678901234567890", "1.23457E+19", "a number"),
        ("1-2", "1-3", None),
        ("1-2", "2024-03-04", None),
        ("7", "8", None),
        ("may 2 be", "2-May", None),
        ("", "2024-01-02", None),
    ],
)
def test_what_a_spreadsheet_made_of_a_text_is_told_from_what_a_person_wrote(base, cell, made):
    assert made == rewritten(cell, base)
