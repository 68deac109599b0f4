from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest

import curator
from curator.errors import CuratorError, RecipeError, StepError
from curator.recipe import from_mapping

POLITE = """
def too_polite(rows, *, most: int = 1):
    # Find texts that say please more often than `most` times.
    said = [text.lower().count("please") for text in rows["text"].to_pylist()]
    return [
        {"row_id": row, "score": n, "evidence": f"{n} times please"}
        for row, n in zip(rows["id"].to_pylist(), said)
        if n > most
    ]
"""
WORDS = ["river", "stone", "cloud", "amber", "tiger", "maple", "ocean", "piano", "queen", "raven"]
RECORDS = [{"text": f"{w} and {w}", "label": "ab"[i % 2]} for i, w in enumerate(WORDS)]
RECORDS += [{"text": "please please help", "label": "a"}]


def recipe(folder, step, *, code=POLITE, records=RECORDS):
    (folder / "my_checks.py").write_text(code, "utf-8")
    test = [{"text": "one held out row", "label": "a"}]
    sources = [{"from": records, "split": "train"}, {"from": test, "split": "test"}]
    values = {"name": "own", "language": "la", "steps": [{"check": step}], "measure": False}
    return from_mapping({**values, "sources": sources}, base=folder)


def ran(folder, step, **options):
    store = curator.open_store(str(folder / "store"), create=True)
    return store, curator.run(recipe(folder, step, **options), store)


def test_a_function_of_a_file_reports_and_changes_nothing_by_default(tmp_path):
    store, result = ran(tmp_path, "my_checks.py:too_polite")

    found = store.findings(result.head).to_pylist()
    assert [("too_polite", "2 times please", "too_polite")] == [
        (f["issue_type"], f["evidence"], f["check"]) for f in found
    ]
    assert 12 == result.head.rows


def test_its_rule_may_drop_and_its_options_stand_beside_it(tmp_path):
    _, one = ran(tmp_path, {"use": "my_checks.py:too_polite", "action": "drop"})
    _, other = ran(tmp_path, {"use": "my_checks.py:too_polite", "action": "drop", "most": 2})

    assert 11 == one.head.rows
    assert 12 == other.head.rows
    assert 2 == other.head.step.options["most"]


def test_an_edited_check_is_another_step_and_a_moved_one_is_not(tmp_path):
    _, one = ran(tmp_path, "my_checks.py:too_polite")
    _, edited = ran(tmp_path, "my_checks.py:too_polite", code=POLITE + "\n# another line\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "renamed.py").write_text(POLITE, "utf-8")
    _, moved = ran(tmp_path, "deeper/renamed.py:too_polite")

    assert one.head.id != edited.head.id
    assert one.head.id == moved.head.id
    assert moved.steps[-1].cached


def test_it_gets_what_it_names_from_the_context(tmp_path):
    code = """
def flat(rows, embeddings, *, least: float = 0.0):
    assert len(embeddings) == rows.num_rows
    return [{"row_id": rows["id"][0].as_py(), "issue_type": "flat_vector", "flagged": False}]
"""

    store, result = ran(tmp_path, "my_checks.py:flat", code=code)

    (only,) = store.findings(result.head).to_pylist()
    assert ("flat_vector", False) == (only["issue_type"], only["flagged"])


def test_a_version_is_rebuilt_from_stored_findings_without_the_code(tmp_path):
    from curator.rebuilding import rebuild

    store, result = ran(tmp_path, {"use": "my_checks.py:too_polite", "action": "drop"})
    (tmp_path / "my_checks.py").unlink()

    assert rebuild(store, result.head).matches


def test_check_runs_it_too(tmp_path):
    own = recipe(tmp_path, "my_checks.py:too_polite")
    found = curator.check(RECORDS, cache=tmp_path, recipe=own)

    issue = next(i for i in found.summary()["issues"] if i["issue_type"] == "too_polite")
    assert 1 == issue["count"]
    assert {"too_polite": 1} == found.failing(["too_polite"])


@pytest.mark.parametrize(
    ("step", "code", "told"),
    [
        ("my_checks.py:too_polit", POLITE, r"no function 'too_polit'.*Did you mean 'too_polite'"),
        ("others.py:x", POLITE, r"there is no file 'others.py'"),
        ("nowhere", POLITE, r"no installed package brings a check of this name"),
        ("my_checks.py:x", "def x(:", r"cannot be loaded: SyntaxError"),
        ("my_checks.py:x", "1/0", r"cannot be loaded: ZeroDivisionError"),
        ("my_checks.py:x", "def x(): pass", r"takes no rows"),
        ("my_checks.py:x", "def x(rows, embedings): pass", r"Did you mean 'embeddings'\?"),
        ("my_checks.py:x", "def x(rows, *, most=1): pass", r"option 'most' has no type"),
        ({"use": "my_checks.py:too_polite", "mots": 2}, POLITE, r"Did you mean 'most'\?"),
        ({"use": "my_checks.py:too_polite", "most": "two"}, POLITE, r"expected whole number"),
        ({"use": "my_checks.py:too_polite", "action": "mend"}, POLITE, r"mend"),
        ({"use": "my_checks.py:too_polite", "code": "x"}, POLITE, r"`code` is filled in"),
        ({}, POLITE, r"needs `use:`"),
    ],
)  # fmt: skip
def test_a_fault_of_the_recipe_is_told_with_what_to_do(tmp_path, step, code, told):
    with pytest.raises(RecipeError, match=told):
        recipe(tmp_path, step, code=code)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 3", r"check 'x' returned int; expected a list of dicts"),
        ("return [{'row_id': 'nobody'}]", r"a finding is about row 'nobody', which is not among"),
        ("return [{'row_id': rows['id'][0].as_py(), 'scor': 1}]", r"Did you mean 'score'\?"),
        ("return [{'row_id': rows['id'][0].as_py(), 'score': 'x'}]", r"value of the wrong type"),
        ("return 1 / 0", r"check 'x' failed at my_checks.py:2: ZeroDivisionError"),
    ],
)
def test_a_fault_of_the_function_is_told_with_its_place(tmp_path, body, told):
    with pytest.raises(StepError, match=told):
        ran(tmp_path, "my_checks.py:x", code=f"def x(rows):\n    {body}\n")


def test_a_table_of_findings_may_come_back_as_well(tmp_path):
    code = """
import pyarrow as pa
def x(rows):
    return pa.table({"row_id": rows["id"][:1], "issue_type": ["odd"], "score": [1.0]})
"""

    store, result = ran(tmp_path, "my_checks.py:x", code=code)

    assert ["odd"] == store.findings(result.head)["issue_type"].to_pylist()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package that brings a check, the way an installer leaves it."""
    folder = tmp_path / "site"
    (folder / "polite-1.0.dist-info").mkdir(parents=True)
    (folder / "polite.py").write_text(POLITE, "utf-8")
    info = folder / "polite-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: polite\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[curator.checks]\ntoo_polite = polite:too_polite\n")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("polite", None)


def test_an_installed_package_brings_a_check(tmp_path, installed):
    _, by_name = ran(tmp_path, "too_polite")

    assert Path(installed).name == "site"
    assert "too_polite" == by_name.head.step.options["use"]
    found = curator.check(pa.Table.from_pylist(RECORDS), cache=tmp_path)
    assert "too_polite" in found.table["issue_type"].to_pylist()


def test_all_errors_of_own_checks_are_known_to_the_command_line():
    assert issubclass(StepError, CuratorError)
    assert issubclass(RecipeError, CuratorError)
