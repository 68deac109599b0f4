"""What was declared of test rows: levels, who keeps to them, and what a spent budget says."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from curator.declared import Declared, online_level
from curator.errors import AlphaSpentError, MeasureError
from curator.impact.budget import (
    declare,
    declared,
    end_comparison,
    facts,
    left,
    next_level,
    open_comparison,
    refuse_locked,
)
from curator.impact.ledger import Look, charge
from curator.versions import open_store

LOCK = "lock1"
TEN = Declared("split", 0.05, 10)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", create=True)


def asked(store, *subject, **more):
    return open_comparison(store, LOCK, subject, **more)


def test_rows_of_which_nothing_is_declared_have_no_level(store):
    assert asked(store, "a", "b") is None
    assert left(store, LOCK) is None
    assert next_level(store, LOCK) is None


def test_comparisons_share_alpha_and_the_one_too_many_is_refused(store):
    assert declare(store, LOCK, Declared("split", 0.05, 2))

    assert 0.025 == asked(store, "a", "b").level
    assert asked(store, "a", "b") == asked(store, "a", "b")
    assert "2 comparisons at 2.50 % each (5.00 % in all); 1 of 2 used, 1 left" in left(store, LOCK)
    assert 2 == asked(store, "a", "c").number
    assert 0 == next_level(store, LOCK)
    with pytest.raises(AlphaSpentError, match="are used, so no alpha is left"):
        asked(store, "b", "c")


def test_a_store_that_is_made_again_is_held_to_what_was_declared_and_used(store, tmp_path):
    declare(store, LOCK, Declared("split", 0.05, 1))
    asked(store, "a", "b")
    shutil.rmtree(tmp_path / "store")
    anew = open_store(tmp_path / "store", create=True)

    assert Declared("split", 0.05, 1) == declared(anew, LOCK)
    assert 1 == asked(anew, "a", "b").number
    with pytest.raises(AlphaSpentError):
        asked(anew, "a", "c")


def test_a_state_folder_that_is_lost_is_made_good_by_the_store(store, monkeypatch, tmp_path):
    declare(store, LOCK, Declared("split", 0.05, 1))
    asked(store, "a", "b")
    monkeypatch.setenv("CURATOR_STATE", str(tmp_path / "elsewhere"))

    assert "1 of 1 used" in left(store, LOCK)


def test_what_was_declared_cannot_become_something_else(store):
    declare(store, LOCK, TEN)

    assert not declare(store, LOCK, TEN)
    with pytest.raises(MeasureError, match="levels chosen after looks are none"):
        declare(store, LOCK, Declared("lord"))


def test_nothing_is_declared_after_the_first_look(store):
    charge(store, Look("2026-11-24T10:00:00+00:00", LOCK, "a", "b", "probe", 3, 0.01, 0.01))

    with pytest.raises(MeasureError, match="shares of alpha are declared before the first look"):
        declare(store, LOCK, TEN)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Declared("split"), "expected how many comparisons share alpha"),
        (Declared("lord", 0.05, 4), "comparisons go with the rule split"),
        (Declared("lord", 5.0), "expected a fraction above 0, at most 0.2"),
        (Declared("often"), "rule 'often' is not one of explore, split, lord, saffron, final"),
    ],
    ids=["no number", "a number too many", "points", "unknown"],
)
def test_a_declaration_that_says_nothing_sound_is_refused(store, wanted, told):
    with pytest.raises(MeasureError, match=told):
        declare(store, LOCK, wanted)


def test_rows_to_explore_are_looked_at_for_nothing_and_claim_nothing(store):
    declare(store, LOCK, Declared("explore"))

    opened = [asked(store, "a", str(k)) for k in range(5)]

    assert not any(one.charged for one in opened)
    assert "a screen, no claim" in opened[0].note


def test_locked_rows_open_once_per_release(store):
    declare(store, LOCK, Declared("final"))

    with pytest.raises(AlphaSpentError, match="tag the version that is to be released first"):
        asked(store, "a", "b")
    assert "v1" == asked(store, "a", "b", releases=["v1"]).release
    assert "v1" == asked(store, "a", "b", releases=["v1"]).release
    with pytest.raises(AlphaSpentError, match="were opened for release v1 already"):
        asked(store, "c", "b", releases=["v1"])
    assert "v2" == asked(store, "b", "d", releases=["v1", "v2"]).release
    with pytest.raises(AlphaSpentError, match="scores: test rows lock1 are locked"):
        refuse_locked(store, LOCK, "scores")


def test_a_call_pays_for_later_comparisons_and_its_end_is_written_once(store):
    declare(store, LOCK, Declared("lord"))
    first = asked(store, "a", "b")
    poor = next_level(store, LOCK)
    end_comparison(store, LOCK, first, p=0.001, called=True)
    end_comparison(store, LOCK, first, p=1.0, called=False)

    assert first.level > poor
    assert next_level(store, LOCK) > 2 * poor
    assert [True] == [one["called"] for one in facts(store, LOCK)["ended"]]


def test_saffron_does_not_charge_what_looks_like_nothing():
    rule = Declared("saffron")

    dull = online_level(rule, 4, (), (1, 2, 3))

    assert online_level(rule, 1, (), ()) == dull
    assert dull > online_level(rule, 4, (), ())


@pytest.mark.parametrize("rule", ["lord", "saffron"])
def test_the_online_rules_keep_the_false_discovery_rate_of_independent_comparisons(rule):
    """Thirty comparisons, two in three do nothing; standard error of the rate about .5 points."""
    rng = np.random.default_rng(0)
    false, wanted = [], Declared(rule, 0.05)
    for _ in range(1500):
        real = rng.random(30) < 1 / 3
        p = np.where(real, rng.beta(0.05, 2, 30), rng.random(30))
        calls: list[int] = []
        candidates: list[int] = []
        for t in range(30):
            called = float(p[t]) < online_level(wanted, t + 1, calls, candidates)
            calls += [t + 1] * called
            candidates += [t + 1] * bool(p[t] <= 0.5)
        wrong = sum(not real[t - 1] for t in calls)
        false.append(wrong / max(1, len(calls)))

    assert 0.002 < np.mean(false) <= 0.055
