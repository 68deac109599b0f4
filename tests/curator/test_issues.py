from __future__ import annotations

import pytest

from curator.decide import REASONS
from curator.errors import CuratorError
from curator.issues import ABOUT_THE_SET, ISSUE_TYPES, Limit, check_known, limit, ranked
from curator.registry import STEPS


def test_what_matters_stands_before_what_is_frequent():
    counts = {"whitespace": 900, "leak": 1, "personal_card": 2, "label": 30, "near_duplicate": 80,
              "too_polite": 7, "unlike_prose": 5, "label_conflict": 31}  # fmt: skip

    assert ["leak", "personal_card", "label_conflict", "label", "near_duplicate", "too_polite",
            "unlike_prose", "whitespace"] == ranked(counts)  # fmt: skip


def test_every_issue_of_a_step_is_ranked_and_has_a_reason():
    issues = {issue for step in STEPS.values() for issue in step.issues} | ABOUT_THE_SET

    assert set() == issues - set(ISSUE_TYPES)
    assert set() == issues - set(REASONS)


@pytest.mark.parametrize(
    ("said", "count", "rows", "is_broken"),
    [
        ("leak", 1, 100, True),
        ("leak", 0, 100, False),
        ("label:5", 4, 100, False),
        ("label:5", 5, 100, True),
        ("label:0.02", 1, 100, False),
        ("label:2%", 2, 100, True),
        ("label:0.02", 0, 0, False),
    ],
)
def test_a_limit_is_broken_from_its_number_on(said, count, rows, is_broken):
    assert is_broken == limit(said).broken_by(count, rows)


@pytest.mark.parametrize("said", ["leak:", "leak:0", "leak:-1", "leak:200%", "leak:x", "leak:0.0"])
def test_a_limit_that_cannot_be_read_is_told(said):
    with pytest.raises(CuratorError, match=r"expected ISSUE, ISSUE:COUNT such as leak:20"):
        limit(said)


def test_a_limit_says_what_was_found():
    assert "3 leak" == limit("leak").sentence(3, 10)
    assert "3 leak (no from 2 on)" == limit("leak:2").sentence(3, 10)
    assert "30.0% leak (no from 10.0% on)" == limit("leak:10%").sentence(3, 10)


def test_personal_data_and_own_issues_may_be_limited_too():
    check_known([Limit("personal_badge_number"), Limit("too_polite")], ["too_polite"])
    with pytest.raises(CuratorError, match=r"no issue type 'too_polite'"):
        check_known([Limit("too_polite")], [])
