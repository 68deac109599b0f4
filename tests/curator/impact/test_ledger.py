"""What test rows were used for: every look once, by lock, never refunded."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from curator.errors import MeasureError
from curator.impact.ledger import Look, charge, state_folder, uses
from curator.versions import open_store

LOOK = Look("2026-11-24T10:00:00+00:00", "lock1", "a" * 64, "b" * 64, "probe", 3, 0.01, 0.01)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", create=True)


def test_rows_that_nobody_looked_at_say_so(store):
    assert (0, 0, 0.0, None, None) == tuple(uses(store, "lock1").as_dict().values())
    assert "these test rows were not looked at yet" == uses(store, "lock1").sentence()


def test_looks_add_up_by_lock_and_the_same_look_costs_once(store):
    later = replace(LOOK, date="2026-11-25T10:00:00+00:00")

    assert charge(store, LOOK)
    assert not charge(store, later)
    assert charge(store, replace(later, seeds=5, alpha=0.015, alpha_touched=0.015))
    assert charge(store, replace(later, lock="lock2"))

    used = uses(store, "lock1")
    assert (2, 1) == (used.looks, used.comparisons)
    assert 0.05 == pytest.approx(used.alpha)
    assert ("2026-11-24T10:00:00+00:00", "2026-11-25T10:00:00+00:00") == (used.first, used.last)
    assert "had 2 looks for 1 comparison since 2026-11-24" in used.sentence()
    assert used.sentence().endswith("alpha charged so far 5.00 %")


def test_a_store_that_is_deleted_and_made_again_does_not_refill_its_ledger(store, tmp_path):
    assert charge(store, LOOK)
    shutil.rmtree(tmp_path / "store")
    anew = open_store(tmp_path / "store", create=True)

    assert 1 == uses(anew, "lock1").looks
    assert not charge(anew, LOOK)
    assert 0.02 == pytest.approx(uses(anew, "lock1").alpha)


def test_the_state_folder_is_the_user_s_unless_the_environment_names_another(monkeypatch, tmp_path):
    assert tmp_path / "state of curator" == state_folder()
    monkeypatch.delenv("CURATOR_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert tmp_path / "xdg" / "curator" == state_folder()


def test_a_look_that_cannot_be_written_down_is_not_taken(store, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("CURATOR_STATE", str(tmp_path / "file"))

    with pytest.raises(MeasureError, match="is not taken; set CURATOR_STATE to a folder"):
        charge(store, LOOK)


def test_a_look_in_other_company_is_charged_what_it_costs_most(store):
    charge(store, replace(LOOK, alpha=0.002, alpha_touched=0.002))
    charge(store, LOOK)

    assert 0.02 == pytest.approx(uses(store, "lock1").alpha)
    assert 1 == uses(store, "lock1").looks
