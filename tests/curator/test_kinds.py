"""What the choice of rows adds to a claim."""

from __future__ import annotations

import numpy as np
import pytest

from curator.impact.statistics import crossed
from curator.kinds import PART, choice_of_rows, with_choice


def plain(seed_sd):
    rng = np.random.default_rng(1)
    seeds = rng.normal(0, seed_sd, (400, 1))
    return crossed(0.02 + seeds + rng.normal(0, 0.3, (400, 600)), np.arange(600) % 60)


@pytest.mark.parametrize("sd", [0.003, 0.006, 0.01])
def test_the_spread_of_whole_new_sets_is_found_from_parts_of_one(sd):
    """A part f of the rows moves by sqrt((1 - f) / f) of what a new set moves."""
    rng = np.random.default_rng(0)
    estimate = plain(0.004)
    noise = np.sqrt(estimate.seed * estimate.seeds)
    drawn = rng.normal(0, 1, 200)
    parts = drawn / drawn.std(ddof=1) * np.hypot(sd * np.sqrt((1 - PART) / PART), noise)

    choice = choice_of_rows(parts, estimate)

    assert sd == pytest.approx(np.sqrt(choice.variance), rel=1e-6)


def test_parts_that_move_no_more_than_training_does_add_nothing():
    estimate = plain(0.01)

    choice = choice_of_rows(np.full(8, 0.02), estimate)

    assert 0 == choice.variance
    assert estimate == with_choice(estimate, choice)


def test_the_wider_claim_is_never_sharper_than_the_narrow_one():
    estimate = plain(0.004)
    wide = with_choice(estimate, choice_of_rows(np.linspace(-0.05, 0.05, 8), estimate))

    assert wide.effect == estimate.effect
    assert wide.variance > estimate.variance
    assert wide.df < estimate.df


def test_the_command_line_claims_both_and_names_them_apart(curator, finished_copy):
    folder = finished_copy.folder

    said = curator(folder, "measure", "main~2", "main~1", "--kind-of-change", "--json")

    assert 0 == said.code, said.err
    found = said.json()
    wide = found["kind_of_change"]
    assert wide["low"] <= found["low"] <= found["high"] <= wide["high"]
    assert wide["sentence"].startswith("This kind of change, on training sets like this one: ")
    assert "on this training set" in found["sentence"]


def test_a_kind_of_change_cannot_be_asked_of_an_outside_trainer(curator, finished_copy):
    said = curator(
        finished_copy.folder, "measure", "main~2", "main", "--kind-of-change", "--train-with", "x"
    )

    assert 1 == said.code
    assert "--kind-of-change trains on parts of the rows" in said.err
