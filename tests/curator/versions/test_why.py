import json

import pytest

from curator.errors import StoreError
from curator.versions import describe, open_store, to_json, why

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


@pytest.fixture
def answer(story):
    """The sentences on a row, with v0 to v4 for the versions and DAY for today."""
    store, versions = story
    days = {entry.time[:10] for entry in store.entries()}

    def tell(row, **options):
        text = describe(why(store, row, **options))
        for number, version in enumerate(versions):
            text = text.replace(version.short, f"v{number}")
        for day in days:
            text = text.replace(day, "DAY")
        return text.split("\n")

    return tell


def test_a_dropped_row_says_which_step_dropped_it_and_next_to_which_row(answer):
    assert [
        (
            "Row r1 is no longer in main (version v4): step 'duplicates' dropped it on DAY. It "
            "last read “where is my card?”, labelled “arrival”."
        ),
        "It came in as record 1 of file:train.csv (the first record is 0), in version v0 on DAY.",
        (
            "Step 'duplicates' dropped it in version v2 on DAY: near-duplicate (score 0.95). It "
            "was compared with row r0, which reads “where is my card”. Decided by rule."
        ),
    ] == answer("r1")


def test_a_relabelled_row_says_from_what_to_what_and_what_was_made_from_it(answer):
    assert [
        (
            "Row r3 is in main (version v4) as a training row: “my card is lost”, labelled “lost”, "
            "weight 1."
        ),
        "It came in as record 3 of file:train.csv (the first record is 0), in version v0 on DAY.",
        (
            "Step 'label_errors' changed its label from “top_up” to “lost” in version v3 on DAY: "
            "label contradicted (score 2.50). Decided by rule."
        ),
        "1 row was made from it: x0 by step 'augment' (in main).",
    ] == answer("r3")


def test_an_augmented_row_says_which_row_it_was_made_from(answer):
    assert [
        (
            "Row x0 is in main (version v4) as a training row: “my crad is lost”, labelled “lost”, "
            "weight 1."
        ),
        (
            "Step 'augment' made it in version v4 on DAY, from row r3, which reads “my card is "
            "lost”: keyboard typo, copy 0. Decided by rule."
        ),
    ] == answer("x0")


def test_an_untouched_row_says_that_no_step_changed_it(answer):
    assert [
        (
            "Row t0 is in main (version v4) as a test row: “is my card lost”, labelled “lost”, "
            "weight 1."
        ),
        "It came in as record 4 of file:train.csv (the first record is 0), in version v0 on DAY.",
        (
            "4 steps have run since (clean, duplicates, label_errors, augment); none of them "
            "changed it."
        ),
    ] == answer("t0")


def test_a_flagged_row_that_was_kept_says_so_and_what_was_dropped_for_it(answer):
    assert [
        (
            "Row r0 is in main (version v4) as a training row: “where is my card”, labelled "
            "“arrival”, weight 1."
        ),
        "It came in as record 0 of file:train.csv (the first record is 0), in version v0 on DAY.",
        (
            "Step 'label_errors' flagged it as “label” and kept it in version v3 on DAY (score "
            "0.25, suggestion “lost”)."
        ),
        (
            "4 steps have run since (clean, duplicates, label_errors, augment); none of them "
            "changed it."
        ),
        "It was kept when 1 other row was dropped: r1.",
    ] == answer("r0")


def test_an_edited_and_weighted_row_tells_both_in_order(answer):
    assert [
        (
            "Step 'clean' changed its text from “top &amp; up” to “top & up” in version v1 on DAY: "
            "HTML entities. Decided by rule."
        ),
        (
            "Step 'label_errors' changed its weight from 1 to 0.5 in version v3 on DAY: in doubt. "
            "Decided by ann."
        ),
    ] == answer("r2")[2:]


def test_a_refused_candidate_says_why_it_never_became_a_row(answer):
    assert [
        (
            "Row x1 never entered main (version v4): it was a candidate that was refused. It read "
            "“is my crad lost”, labelled “lost”."
        ),
        (
            "Step 'augment' refused it in version v4 on DAY: near-duplicate of a test row (score "
            "0.90). It was compared with row t0, which reads “is my card lost”. Decided by rule."
        ),
    ] == answer("x1")


@both
def test_a_prefix_that_one_row_has_is_enough(story):
    store, _ = story

    assert "x1" == store.why("x1").row_id
    assert "t0" == store.why("t").row_id


@both
def test_a_prefix_of_several_rows_lists_them(story):
    store, _ = story

    with pytest.raises(StoreError, match="4 rows have an id that starts with 'r': r0, r1, r2, r3"):
        store.why("r")


@both
def test_an_unknown_row_is_answered_with_the_nearest(story):
    store, _ = story

    with pytest.raises(StoreError, match=r"no row was ever called 'r9', .*r3.*COLUMN"):
        store.why("r9")


def test_an_empty_store_says_that_it_has_no_version(store):
    with pytest.raises(StoreError, match="holds no version yet"):
        store.why("r0")


@both
def test_an_unknown_branch_is_said(story):
    store, _ = story

    with pytest.raises(StoreError, match="no branch is called 'dev'"):
        store.why("r0", branch="dev")


@both
def test_a_history_is_plain_json(story):
    store, versions = story
    history = store.why("r1")

    assert to_json(history) == json.loads(json.dumps(to_json(history)))
    assert {
        "where": "dropped",
        "branch": "main",
        "version": versions[4].id,
        "line": versions[4].id,
        "line_branch": "main",
        "text": "where is my card?",
        "label": "arrival",
        "split": "train",
        "weight": 1.0,
        "task": "classification",
    } == to_json(history)["state"]
    assert ["imported", "dropped"] == [event["kind"] for event in to_json(history)["events"]]


def test_every_id_ever_imported_has_a_history(story, commit, rows_of):
    store, versions = story
    commit(rows_of({"id": "n0", "text": "new"}))
    commit(rows_of({"id": "o0", "text": "other"}), branch="other")
    store.restore(versions[0])
    every = {"r0", "r1", "r2", "r3", "t0", "x0", "x1", "n0", "o0"}

    assert every == {store.why(row).row_id for row in every}
    assert all(describe(store.why(row)) for row in every)


def test_a_row_of_an_earlier_state_of_the_branch_says_so(story):
    store, versions = story
    store.restore(versions[0])
    history = store.why("x0")

    assert "elsewhere" == history.state.where
    assert (
        f"Row x0 is not in main (version {versions[0].short}). Its history is that of an earlier "
        f"state of main, version {versions[4].short}; there it last read “my crad is lost”, "
        "labelled “lost”."
    ) == describe(history).split("\n")[0]


def test_a_row_of_another_branch_says_so(story, commit, rows_of):
    store, versions = story
    other = commit(rows_of({"id": "o0", "text": "other"}), branch="other")

    assert (
        f"Row o0 is not in main (version {versions[4].short}). Its history is that of branch "
        f"other, version {other.short}; there it last read “other”, labelled “a”."
    ) == describe(store.why("o0")).split("\n")[0]
    assert "present" == store.why("o0", branch="other").state.where


def test_a_row_that_its_source_withdrew_says_so(story, commit, rows_of):
    store, _ = story
    again = commit(rows_of({"id": "r0", "text": "where is my card", "label": "lost"}))
    lines = describe(store.why("r3")).split("\n")

    assert "withdrawn" == store.why("r3").state.where
    assert (
        f"Row r3 is no longer in main (version {again.short}): its source withdrew it. It last "
        "read “my card is lost”, labelled “lost”."
    ) == lines[0]
    assert f"The delivery imported in version {again.short} on " in lines[3]
    assert lines[3].endswith(" no longer has it.")


def test_a_row_that_its_source_relabelled_says_so(story, commit, rows_of):
    store, _ = story
    again = commit(rows_of({"id": "r0", "text": "where is my card", "label": "lost"}))
    imported, redelivered = store.why("r0").events

    assert ("imported", "redelivered") == (imported.kind, redelivered.kind)
    assert (again.id, {"label": "arrival"}, {"label": "lost"}) == (
        redelivered.version,
        redelivered.before,
        redelivered.after,
    )
    assert "with its label from “arrival” to “lost”." in describe(store.why("r0"))


def test_a_row_delivered_again_unchanged_says_so(story, commit, rows_of):
    store, _ = story
    again = commit(
        rows_of(
            {"id": "n0", "text": "new"},
            {"id": "r3", "text": "my card is lost", "label": "top_up"},
            source="file:later.csv",
        )
    )
    lines = describe(store.why("r3")).split("\n")

    assert "It came in as record 3 of file:train.csv" in lines[1]
    assert (
        "Its source delivered it again as record 1 of file:later.csv (the first record is 0), in "
        f"version {again.short} on "
    ) in lines[2]
    assert lines[2].endswith(", unchanged.")


def test_without_main_the_branch_that_moved_last_is_named(tmp_path, commit, rows_of):
    store = open_store(tmp_path / "bare", create=True)
    commit(rows_of({"id": "a", "text": "1"}), branch="trial", store=store)

    assert "Row a is in trial (version " in describe(store.why("a"))


def test_a_long_text_is_cut_and_its_length_said(store, commit, rows_of):
    commit(rows_of({"id": "a", "text": "x" * 1500}))

    assert f"“{'x' * 200}…” (1,500 characters)" in describe(store.why("a"))


def test_a_label_text_has_no_parent_and_says_so(store, commit, rows_of):
    rows = rows_of({"id": "a", "text": "1"})
    both = rows_of({"id": "a", "text": "1"}, {"id": "x", "text": "2", "source": None})
    first = commit(rows)
    commit(both, on=first, step="augment", decided=[{"row_id": "x", "action": "add"}])

    assert "Step 'augment' made it in version" in describe(store.why("x"))
    assert ", from no other row: because. Decided by rule." in describe(store.why("x"))
