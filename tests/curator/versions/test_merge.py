import json

import pyarrow as pa
import pytest

from curator import schema
from curator.errors import ConflictError, LockError, StoreError
from curator.versions import describe, merge, plan_merge
from curator.versions.merging import common_ancestors
from curator.versions.verify import verify

pytestmark = pytest.mark.usefixtures("base")


@pytest.fixture
def base(store, commit, rows_of):
    """Three training rows and a test row on main, and a branch of reviews that starts there."""
    version = commit(
        rows_of(
            {"id": "r0", "text": "where is my card", "label": "arrival"},
            {"id": "r1", "text": "my card is lost", "label": "arrival"},
            {"id": "r2", "text": "top up", "label": "top_up"},
            {"id": "t0", "text": "is my card lost", "label": "lost", "split": "test"},
        )
    )
    store.branch("reviews", version)
    return version


@pytest.fixture
def change(store, commit, changed):
    """Change cells of a branch's head: change("reviews", {"r1": {"label": "lost"}}, by="ann")."""

    def commit_to(branch, cells, *, drop=(), by="rule", step="step", reason="because"):
        head = store.head(branch)
        rows = store.rows(head)
        old = {row["id"]: row for row in rows.to_pylist()}
        action = {"label": "relabel", "weight": "weight"}
        told = {"step": step, "by": by, "reason": reason}
        decided = [{"row_id": row, "action": "drop", **told} for row in drop]
        for row, new in cells.items():
            for name, value in new.items():
                sides = {"before": {name: old[row][name]}, "after": {name: value}}
                as_json = {side: json.dumps(cell) for side, cell in sides.items()}
                decided.append(
                    {"row_id": row, "action": action.get(name, "edit"), **told, **as_json}
                )
        new_rows = changed(rows, {r: {**c, "step": step} for r, c in cells.items()}, drop=drop)
        return commit(new_rows, on=head, step=step, decided=decided, branch=branch)

    return commit_to


def cells(store, ref, column="label"):
    rows = store.rows(ref)
    return dict(zip(rows["id"].to_pylist(), rows[column].to_pylist(), strict=True))


def test_rows_changed_on_one_side_are_taken_with_the_reason_and_the_person(store, change):
    change("main", {}, drop=["r2"], reason="near-duplicate")
    change("reviews", {"r1": {"label": "lost"}}, by="ann", reason="reads so")
    ours, theirs = store.head("main"), store.head("reviews")
    merged = merge(store, "reviews")

    assert (ours.id, theirs.id) == merged.parents
    assert "merge" == merged.step.name
    assert merged == store.head("main")
    assert {"r0": "arrival", "r1": "lost", "t0": "lost"} == cells(store, merged)
    assert [
        {
            "row_id": "r1",
            "action": "relabel",
            "step": "merge",
            "reason": "merged from reviews: reads so",
            "by": "ann",
            "before": '{"label":"arrival"}',
            "after": '{"label":"lost"}',
            "issue_type": None,
            "score": None,
            "partner_id": None,
        }
    ] == store.decisions(merged).to_pylist()


def test_different_columns_of_one_row_meet_without_a_conflict(store, change):
    change("main", {"r1": {"text": "my card is gone"}})
    change("reviews", {"r1": {"label": "lost"}}, by="ann")
    merged = merge(store, "reviews")

    assert ("my card is gone", "lost") == (
        cells(store, merged, "text")["r1"],
        cells(store, merged)["r1"],
    )


def test_the_same_change_on_both_sides_is_no_conflict(store, change):
    change("main", {"r1": {"label": "lost"}}, drop=["r2"])
    change("reviews", {"r1": {"label": "lost"}}, drop=["r2"], by="ann")
    merged = merge(store, "reviews")

    assert store.version("main~1").content == merged.content
    assert 0 == store.decisions(merged).num_rows


def test_a_conflict_stops_the_merge_with_both_reasons_and_names(store, change):
    change("main", {"r1": {"label": "top_up"}}, reason="label contradicted")
    change("reviews", {"r1": {"label": "lost"}}, by="ann", reason="reads so")
    before = store.head("main")

    with pytest.raises(ConflictError, match="both changed 1 cell of 1 row to different") as caught:
        merge(store, "reviews")
    assert before == store.head("main")
    assert [
        {
            "row_id": "r1",
            "column": "label",
            "base": '{"label":"arrival"}',
            "ours": '{"label":"top_up"}',
            "theirs": '{"label":"lost"}',
            "ours_reason": "label contradicted",
            "ours_by": "rule",
            "theirs_reason": "reads so",
            "theirs_by": "ann",
        }
    ] == caught.value.conflicts.to_pylist()


def test_dropped_here_and_changed_there_is_a_conflict_of_the_whole_row(store, change):
    change("main", {}, drop=["r1"], reason="near-duplicate")
    change("reviews", {"r1": {"label": "lost"}}, by="ann")

    with pytest.raises(ConflictError) as caught:
        merge(store, "reviews")
    conflict = caught.value.conflicts.to_pylist()[0]
    assert ("r1", "(row)", None, '{"label":"lost"}', "near-duplicate") == (
        conflict["row_id"],
        conflict["column"],
        conflict["ours"],
        conflict["theirs"],
        conflict["ours_reason"],
    )


@pytest.mark.parametrize(("rule", "label"), [("ours", "top_up"), ("theirs", "lost")])
def test_a_stated_rule_settles_a_conflict_and_its_loser_stands_in_the_reason(
    store, change, rule, label
):
    change("main", {"r1": {"label": "top_up"}}, reason="label contradicted")
    change("reviews", {"r1": {"label": "lost"}}, by="ann", reason="reads so")
    merged = merge(store, "reviews", rule=rule)
    reasons = {
        "ours": "its label kept as it is by rule ours, against reviews: reads so",
        "theirs": "merged from reviews (rule theirs, against ours: label contradicted): reads so",
    }

    assert label == cells(store, merged)["r1"]
    assert [reasons[rule]] == store.decisions(merged)["reason"].to_pylist()


@pytest.mark.parametrize("rule", ["ours", "theirs"])
def test_a_rule_settles_a_row_that_was_dropped_there_and_changed_here(store, change, rule):
    change("main", {"r1": {"label": "lost"}})
    change("reviews", {}, drop=["r1"])
    merged = merge(store, "reviews", rule=rule)

    assert (rule == "ours") == ("r1" in cells(store, merged))


def test_a_rule_brings_back_a_row_that_was_dropped_here_and_changed_there(store, change):
    change("main", {}, drop=["r1"])
    change("reviews", {"r1": {"label": "lost"}}, by="ann")
    merged = merge(store, "reviews", rule="newest-human")

    assert "lost" == cells(store, merged)["r1"]
    assert ["add"] == store.decisions(merged)["action"].to_pylist()


def test_a_person_wins_over_the_machine_and_the_newer_person_over_the_older(
    store, change, monkeypatch
):
    days = iter(range(10, 30))
    monkeypatch.setattr("curator.versions.refs.now", lambda: f"2026-01-{next(days)}T00:00:00")
    change("reviews", {"r1": {"label": "lost"}, "r0": {"label": "lost"}}, by="ann")
    change("main", {"r1": {"label": "top_up"}, "r0": {"label": "top_up"}})
    change("main", {"r0": {"label": "arrived"}}, by="bo")
    merged = merge(store, "reviews", rule="newest-human")

    assert ("arrived", "lost") == (cells(store, merged)["r0"], cells(store, merged)["r1"])


def test_two_machines_at_odds_stay_a_conflict_under_newest_human(store, change):
    change("main", {"r1": {"label": "top_up"}})
    change("reviews", {"r1": {"label": "lost"}})

    with pytest.raises(ConflictError, match="newest-human does not settle them"):
        merge(store, "reviews", rule="newest-human")


def test_what_is_merged_already_is_not_merged_again(store, change):
    change("reviews", {"r1": {"label": "lost"}}, by="ann")
    merged = merge(store, "reviews")
    entries = len(store.entries("main"))

    assert merged == merge(store, "reviews")
    assert merged == merge(store, "main")
    assert entries == len(store.entries("main"))
    assert not plan_merge(store, "reviews").is_needed


def test_a_second_merge_starts_from_the_first(store, change):
    change("reviews", {"r1": {"label": "lost"}}, by="ann")
    merge(store, "reviews")
    change("main", {"r1": {"label": "arrived"}})
    change("reviews", {"r0": {"label": "lost"}}, by="ann")
    merged = merge(store, "reviews")

    assert {"r0": "lost", "r1": "arrived", "r2": "top_up", "t0": "lost"} == cells(store, merged)


def test_branches_merged_crosswise_have_two_nearest_ancestors_and_ask_where_they_disagree(
    store, change
):
    ours = change("main", {"r0": {"label": "lost"}})
    theirs = change("reviews", {"r1": {"label": "lost"}})
    store.branch("old-main", ours)
    merge(store, "reviews", into="main")
    merge(store, "old-main", into="reviews")
    assert {ours.id, theirs.id} == {v.id for v in common_ancestors(store, "main", "reviews")}
    change("main", {"r1": {"label": "arrival"}})  # taken back, and still known there

    with pytest.raises(ConflictError):
        merge(store, "reviews")


def test_rows_made_on_the_other_branch_come_along(store, change, commit, rows_of):
    rows = store.rows("reviews")
    child = rows_of(
        {"id": "x0", "group": "r1", "text": "my crad is lost", "parent": "r1", "step": "augment"}
    )
    added = [{"row_id": "x0", "action": "add", "partner_id": "r1"}]
    commit(pa.concat_tables([rows, child]), on=store.head("reviews"), step="augment",
           decided=added, branch="reviews")  # fmt: skip
    change("main", {"r1": {"label": "lost"}})
    merge(store, "reviews")
    parent, child = store.why("r1"), store.why("x0")

    assert [("x0", "augment", True)] == [(c.row_id, c.step, c.present) for c in parent.children]
    assert "r1" == child.parent
    assert ["added", "added"] == [event.kind for event in child.events]
    assert ("merge",) == child.steps


def test_why_tells_the_steps_of_both_sides_in_order_of_time(store, change):
    change("reviews", {"r1": {"label": "lost"}}, by="ann", reason="reads so")
    change("main", {"r1": {"text": "my card is gone"}}, step="clean")
    merged = merge(store, "reviews")
    lines = describe(store.why("r1")).split("\n")

    assert ["imported", "relabelled", "edited", "relabelled"] == [
        event.kind for event in store.why("r1").events
    ]
    assert "“my card is gone”, labelled “lost”" in lines[0]
    assert (
        f"Step 'merge' changed its label from “arrival” to “lost” in version {merged.short}"
        in (lines[-1])
    )
    assert lines[-1].endswith(": merged from reviews: reads so. Decided by ann.")


def test_a_row_kept_over_another_is_named_once_after_a_merge(store, commit, changed):
    rows = changed(store.rows("reviews"), {}, drop=["r1"])
    dropped = [{"row_id": "r1", "action": "drop", "partner_id": "r0"}]
    commit(rows, on=store.head("reviews"), step="duplicates", decided=dropped, branch="reviews")
    merge(store, "reviews")

    assert ("r1",) == store.why("r0").kept_over


def test_serving_transforms_of_both_sides_are_kept(store, base, commit):
    clean = {"step": "clean", "options": {}, "version": 1}
    commit(store.rows("reviews"), on=base, step="clean", branch="reviews", transforms=[clean])
    commit(store.rows("main"), on=base, step="other", branch="main")

    assert (clean,) == merge(store, "reviews").transforms


def test_two_imports_have_no_common_ancestor(store, commit, rows_of):
    commit(rows_of({"id": "n0", "text": "new"}), branch="other")

    with pytest.raises(StoreError, match="have no common ancestor: they come from different impor"):
        merge(store, "other")


def test_unknown_names_are_answered_with_what_exists(store):
    with pytest.raises(StoreError, match="is called 'review'; did you mean 'reviews'"):
        merge(store, "review")
    with pytest.raises(StoreError, match="no branch is called 'mian'"):
        merge(store, "reviews", into="mian")
    with pytest.raises(StoreError, match="merge rule 'newest' is not one of"):
        merge(store, "reviews", rule="newest")


def widen(store, commit, branch, name, values, *, kind=None):
    """Commit a step that adds a column of the user's, with values for some rows by id."""
    head = store.head(branch)
    rows = store.rows(head)
    filled = pa.array([values.get(row) for row in rows["id"].to_pylist()], kind or pa.string())
    decided = [{"row_id": row, "action": "edit"} for row in values]
    wider = rows.append_column(name, filled)
    return commit(wider, on=head, step=f"widen {name}", decided=decided, branch=branch)


def test_a_column_that_one_side_added_is_null_where_the_other_says_nothing(store, commit, change):
    widen(store, commit, "reviews", "channel", {"r1": "web"})
    widen(store, commit, "main", "stars", {"r0": "5"})
    change("main", {"r0": {"label": "lost"}})
    merged = merge(store, "reviews")

    assert ["stars", "channel"] == schema.user_columns(store.rows(merged))
    assert {"r0": None, "r1": "web", "r2": None, "t0": None} == cells(store, merged, "channel")
    assert {"r0": "5", "r1": None, "r2": None, "t0": None} == cells(store, merged, "stars")
    assert "lost" == cells(store, merged)["r0"]
    assert [("r1", "edit", '{"channel":"web"}')] == [
        (d["row_id"], d["action"], d["after"]) for d in store.decisions(merged).to_pylist()
    ]
    assert () == verify(store).faults


def test_a_column_both_sides_added_meets_cell_by_cell(store, commit):
    widen(store, commit, "reviews", "channel", {"r0": "web", "r1": "app"})
    widen(store, commit, "main", "channel", {"r0": "web", "r1": "post"})

    with pytest.raises(ConflictError, match="1 cell of 1 row") as told:
        merge(store, "reviews")
    assert [("r1", "channel")] == [
        (c["row_id"], c["column"]) for c in told.value.conflicts.to_pylist()
    ]
    assert "app" == cells(store, merge(store, "reviews", rule="theirs"), "channel")["r1"]


def test_columns_of_one_name_and_two_types_are_refused(store, commit):
    widen(store, commit, "reviews", "stars", {"r0": 5}, kind=pa.int64())
    widen(store, commit, "main", "stars", {"r0": "5"})

    with pytest.raises(StoreError, match=r"two types \(stars: string and int64\); give them one"):
        merge(store, "reviews")


def test_a_column_that_one_side_took_away_is_refused(store, commit):
    wide = widen(store, commit, "main", "stars", {"r0": "5"})
    store.branch("other", wide)
    narrow = store.rows("main").drop_columns("stars")
    commit(narrow, on=wide, step="narrow", decided=[{"row_id": "r0", "action": "edit"}])

    with pytest.raises(StoreError, match=r"main took the columns \['stars'\] away"):
        merge(store, "other")


def test_versions_with_other_test_rows_are_refused_and_the_rows_named(
    store, base, monkeypatch, changed
):
    monkeypatch.setattr("curator.versions.freeze.check_same_lock", lambda *_: None)
    rows = changed(store.rows(base), {"t0": {"label": "arrival"}})
    store.commit(
        "reviews", rows, parents=(base,), task="classification", step=base.step,
        decisions=schema.decisions(
            [{"row_id": "t0", "action": "relabel", "step": "s", "reason": "r", "by": "ann"}]
        ),
        findings=schema.findings([]),
    )  # fmt: skip

    with pytest.raises(LockError, match=r"different frozen test rows \(changed: t0\)"):
        merge(store, "reviews")
