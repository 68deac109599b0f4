from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from curator import schema
from curator.decide import Rule, decide


def table(*records):
    filled = [
        {"group": r["id"], "label": "a", "split": "train", "weight": 1.0, "step": "import", **r}
        for r in records
    ]
    return pa.Table.from_pylist(filled, schema=schema.ROW_SCHEMA)


def found(*records):
    return schema.findings({"check": "c", **record} for record in records)


CLEAN = Rule({"html": "edit", "unicode": "edit", "empty": "drop", "leak": "drop"})


def test_a_drop_wins_over_an_edit():
    rows = table({"id": "1", "text": "<b>"})

    done = decide(
        rows,
        found(
            {"row_id": "1", "issue_type": "html", "suggestion": ""},
            {"row_id": "1", "issue_type": "empty", "score": 1.0},
        ),
        CLEAN,
        step="clean",
    )

    assert 0 == done.rows.num_rows
    (decision,) = done.decisions.to_pylist()
    assert ("drop", "empty text", "empty") == tuple(
        decision[name] for name in ("action", "reason", "issue_type")
    )


def test_edits_compose_in_order_and_the_last_text_stays():
    rows = table({"id": "1", "text": "Ã©<b>"})

    done = decide(
        rows,
        found(
            {"row_id": "1", "issue_type": "unicode", "suggestion": "é<b>"},
            {"row_id": "1", "issue_type": "html", "suggestion": "é"},
        ),
        CLEAN,
        step="clean",
    )

    assert [("é", "clean")] == [(r["text"], r["step"]) for r in done.rows.to_pylist()]
    (decision,) = done.decisions.to_pylist()
    assert "broken characters repaired, markup removed" == decision["reason"]
    assert {"text": "Ã©<b>"} == json.loads(decision["before"])
    assert {"text": "é"} == json.loads(decision["after"])


def test_an_edit_that_changes_nothing_is_no_decision():
    rows = table({"id": "1", "text": "x"})

    done = decide(
        rows, found({"row_id": "1", "issue_type": "html", "suggestion": "x"}), CLEAN, step="clean"
    )

    assert rows.equals(done.rows)
    assert 0 == done.decisions.num_rows


def test_a_protected_row_is_kept_and_the_reason_says_why():
    rows = table({"id": "1", "text": "x"})
    rule = Rule({"label": "drop"}, protected={"1": "its class would fall under 20 rows"})

    done = decide(rows, found({"row_id": "1", "issue_type": "label"}), rule, step="label_errors")

    assert rows.equals(done.rows)
    (decision,) = done.decisions.to_pylist()
    assert "keep" == decision["action"]
    assert "suspected label error, kept: its class would fall under 20 rows" == decision["reason"]


def test_what_is_not_flagged_or_has_no_action_is_left_alone():
    rows = table({"id": "1", "text": "x"}, {"id": "2", "text": "y"})

    done = decide(
        rows,
        found(
            {"row_id": "1", "issue_type": "leak", "flagged": False},
            {"row_id": "2", "issue_type": "label_conflict"},
        ),
        CLEAN,
        step="s",
    )

    assert rows.equals(done.rows)
    assert 0 == done.decisions.num_rows


issues = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(["html", "unicode", "empty", "leak", "label"]),
        st.booleans(),
    ),
    max_size=20,
)  # fmt: skip


@given(issues, st.sets(st.integers(0, 5)))
def test_every_row_is_kept_or_dropped_once_and_test_rows_never_change(doubts, tests):
    rows = table(
        *({"id": str(i), "text": f"<t{i}>", "split": "test" if i in tests else "train"}
          for i in range(6))
    )  # fmt: skip
    findings = found(
        *({"row_id": str(i), "issue_type": kind, "flagged": flagged, "suggestion": f"t{i}"}
          for i, kind, flagged in doubts)
    )  # fmt: skip

    done = decide(rows, findings, CLEAN, step="clean")

    decided = done.decisions["row_id"].to_pylist()
    assert len(decided) == len(set(decided))
    dropped = {d["row_id"] for d in done.decisions.to_pylist() if d["action"] == "drop"}
    kept = done.rows["id"].to_pylist()
    assert sorted([*kept, *dropped]) == [str(i) for i in range(6)]
    assert not {str(i) for i in tests} & set(decided)
    before = {r["id"]: r["text"] for r in rows.to_pylist()}
    changed = {r["id"] for r in done.rows.to_pylist() if r["text"] != before[r["id"]]}
    edited = {d["row_id"] for d in done.decisions.to_pylist() if d["action"] == "edit"}
    assert edited == changed
