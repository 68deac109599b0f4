"""`curator why` answers as a colleague would: whole sentences, for every kind of row."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def ask(curator, finished):
    """Ask for the history of the one row that a step handled so; ids and dates made short."""

    def answer(row):
        said = curator(finished.folder, "why", row)
        assert 0 == said.code
        names = re.sub(r"\b[0-9a-f]{32}\b", "ROW", said.out)
        names = re.sub(r"version [0-9a-f]{12}", "version V", names)
        return re.sub(r"\d{4}-\d\d-\d\d", "DAY", names).splitlines()

    return answer


@pytest.fixture
def find(curator, finished):
    """Find ids: `find("main~5..main", "--issue", "leak")` gives the first that is listed."""

    def first(*arguments):
        return curator(finished.folder, "rows", *arguments, "--json").json()[0]["id"]

    return first


def test_a_dropped_duplicate_names_the_row_that_was_kept(ask, find):
    text = "“tafugu figiki miribe rabepu komove balaza ragodi”"

    assert [
        (
            f"Row ROW is no longer in main (version V): step 'duplicates' dropped it on DAY. It "
            f"last read {text}, labelled “topic00”."
        ),
        "It came in as record 0 of file:train.csv (the first record is 0), in version V on DAY.",
        (
            "Step 'duplicates' dropped it in version V on DAY: exact duplicate (same text as a "
            f"kept row; score 1.00). It was compared with row ROW, which reads {text}. Decided by "
            "rule."
        ),
    ] == ask(find("main~5..main", "--issue", "exact_duplicate"))


def test_a_dropped_label_error_tells_what_the_model_thought(ask, find):
    told = ask(find("main~5..main", "--issue", "label"))

    assert 3 == len(told)
    assert re.fullmatch(
        r"Step 'label_errors' dropped it in version V on DAY: suspected label error \(P\(wrong\) "
        r"\.\d\d; out-of-fold: topic01 \.\d\d, given topic00 \.\d\d; cleanlab: issue, score "
        r"\.\d\d; score \d\.\d\d, suggestion “topic01”\)\. Decided by rule\.",
        told[2],
    )


def test_a_dropped_leak_names_the_test_row_it_stood_beside(ask, find):
    told = ask(find("main~5..main", "--issue", "leak"))

    assert (
        "Step 'leaks' dropped it in version V on DAY: near-duplicate of a frozen row (same text as "
        "a test row, same label; score 1.00). It was compared with row ROW, which reads “nutiro "
        "balaza komove divitu pedela tuzafi rabepu”. Decided by rule."
    ) == told[2]


def test_an_edited_row_shows_its_text_before_and_after(ask, find):
    assert [
        (
            "Row ROW is in main (version V) as a training row: “rabepu zafedi tuzafi tafugu butovu "
            "pirazo miribe & more”, labelled “topic00”, weight 1."
        ),
        "It came in as record 146 of file:train.csv (the first record is 0), in version V on DAY.",
        (
            "Step 'clean' changed its text from “<b>rabepu zafedi tuzafi tafugu butovu pirazo "
            "miribe</b> &amp; more” to “rabepu zafedi tuzafi tafugu butovu pirazo miribe & more” "
            "in version V on DAY: markup removed ('<b>' removed, and more). Decided by rule."
        ),
        "1 row was made from it: ROW by step 'augment' (in main).",
    ] == ask(find("main~5..main", "--issue", "html"))


def test_an_augmented_row_names_its_parent(ask, find):
    told = ask(find("main~5..main", "--action", "add"))

    assert 2 == len(told)
    assert re.fullmatch(
        r"Row ROW is in main \(version V\) as a training row: “.+”, labelled “topic\d\d”, "
        r"weight 0\.3\.",
        told[0],
    )
    assert re.fullmatch(
        r"Step 'augment' made it in version V on DAY, from row ROW, which reads “.+”: made by "
        r"keyboard\. Decided by rule\.",
        told[1],
    )


def test_an_untouched_test_row_says_that_nothing_changed_it(ask, find):
    told = ask(find("main", "--where", "split = 'test' and label = 'topic07'"))

    assert 3 == len(told)
    assert "as a test row: " in told[0]
    assert (
        "5 steps have run since (clean, duplicates, leaks, label_errors, augment); none of them "
        "changed it."
    ) == told[2]


def test_a_conflict_is_told_though_nothing_was_done(curator, finished):
    rows = curator(
        finished.folder, "rows", "main~5..main", "--issue", "label_conflict", "--json"
    ).json()

    assert ["doubt", "doubt"] == [row["action"] for row in rows]
    assert {"topic04", "topic05"} == {row["label"] for row in rows}
    assert rows[0]["partner_id"] == rows[1]["id"]
