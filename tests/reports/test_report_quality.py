import dataclasses

import pytest

from reports.facts import (
    WHOLE_CHAIN,
    ClassFacts,
    CorpusFacts,
    ImpactFacts,
    IssueFacts,
    LockFacts,
    RunFacts,
    SourceFacts,
)
from reports.impact import VERDICT_WORDS, faults
from reports.quality import describe, fitness

LOCK = LockFacts(
    digest="0" * 64,
    test_rows=1000,
    made_here=False,
    first_used=None,
    smallest_effect=0.009,
    power=0.8,
    margin=0.01,
    command="curator verify",
)


def issue(issue_type, count=0, *, test_count=0, left=0):
    return IssueFacts(
        issue_type=issue_type,
        title="",
        explanation="",
        step="",
        count=count,
        share=0.0,
        test_count=test_count,
        open=left,
        actions=(),
        command="",
        examples=(),
    )


CLEAN = {name: issue(name) for name in ("leak", "label", "exact_duplicate")}


def classes(**counts):
    return tuple(
        ClassFacts(name=name, train=train, validation=0, test=test)
        for name, (train, test) in counts.items()
    )


def impact(step=WHOLE_CHAIN, tier="probe", verdict="better", **changed):
    intervals = {
        "better": (0.01, 0.02, 0.03),
        "worse": (-0.03, -0.02, -0.01),
        "equivalent": (-0.004, 0.0, 0.004),
        "undecided": (-0.02, 0.01, 0.04),
    }
    given = {"why": "because", "what_would_decide": "more rows"}
    if verdict in intervals:
        low, effect, high = intervals[verdict]
        given |= {"low": low, "effect": effect, "high": high, "level": 0.95, "margin": 0.01}
        given |= {"mde": 0.02, "before_score": 0.5, "after_score": 0.5 + effect}
    return ImpactFacts(
        step=step,
        tier=tier,
        method="head",
        model="m",
        metric="accuracy",
        verdict=verdict,
        sentence="",
        command="",
        **given | changed,
    )


def facts(issues=(), records=10_000, quarantined=0, lock=LOCK, impacts=(), **corpus):
    source = SourceFacts(
        address="a", split="train", records=records, quarantined=quarantined, command=""
    )
    given = {
        "rows": 9_000,
        "train": 8_000,
        "validation": 0,
        "test": 1_000,
        "classes": classes(yes=(4_000, 500), no=(4_000, 500)),
        "sources": (source,),
        "warnings": (),
        "classes_command": "",
    }
    found = CLEAN | {i.issue_type: i for i in issues}
    return RunFacts(
        name="n",
        task="classification",
        language="en",
        created="",
        curator_version="",
        recipe_text="",
        examples_shown="full",
        versions=(),
        corpus=CorpusFacts(**given | corpus),
        issues=tuple(found.values()),
        changes=(),
        impacts=tuple(impacts),
        lock=lock,
        next_steps=(),
        commands=(),
    )


def said(run, level):
    return [reason.text for reason in fitness(run).reasons if reason.level == level]


def test_clean_data_that_was_looked_at_is_fit_and_says_why():
    answer = fitness(facts())

    assert answer.answer == "fit"
    assert answer.sentence == "Yes."
    assert said(facts(), "good") == [
        "No training row repeats a test row.",
        "No label in training looks clearly wrong.",
        "No row repeats another.",
        "The 1,000 test rows can show effects from 0.9 points on.",
    ]


NO_TEST = dataclasses.replace(LOCK, digest=None, test_rows=0, smallest_effect=None)
BLUNT = dataclasses.replace(LOCK, smallest_effect=0.03)
UNKNOWN = dataclasses.replace(LOCK, smallest_effect=None)
FREE = dataclasses.replace(LOCK, smallest_effect=0.03, margin=None)

CASES = {
    "no_test_rows": (facts(lock=NO_TEST), "not_yet", "There are no test rows"),
    "a_class_only_in_test": (
        facts(classes=classes(yes=(8_000, 900), odd=(0, 100))),
        "not_yet",
        "1 class has test rows but no training rows: odd.",
    ),
    "a_leak_left_in": (
        facts([issue("leak", 7, left=1)]),
        "not_yet",
        "1 training row still repeats test rows",
    ),
    "one_record_too_many_unreadable": (
        facts(quarantined=101),
        "not_yet",
        "101 records of 10,000 could not be read",
    ),
    "unreadable_records_at_the_bound": (facts(quarantined=100), "fit", "100 records of 10,000"),
    "many_suspect_labels": (
        facts([issue("label", 900, left=400)]),
        "not_yet",
        "400 training rows (5.0 %) still have labels that look wrong.",
    ),
    "some_suspect_labels": (facts([issue("label", 90, left=80)]), "limits", "80 training rows"),
    "few_suspect_labels": (facts([issue("label", 90, left=79)]), "fit", "79 training rows"),
    "suspect_test_labels": (
        facts([issue("label", 10, test_count=10)]),
        "limits",
        "10 test rows (1.0 %) look wrongly labelled",
    ),
    "repeats_left_in": (
        facts([issue("near_duplicate", 80, left=80)]),
        "limits",
        "80 rows (1.0 %) still repeat other rows.",
    ),
    "few_repeats_left_in": (
        facts([issue("near_duplicate", 80, left=79)]),
        "fit",
        "79 rows still repeat other rows.",
    ),
    "a_class_without_test_rows": (
        facts(classes=classes(a=(50, 0), b=(50, 0), c=(50, 0), d=(50, 0), e=(50, 10))),
        "limits",
        "4 classes have no test rows, so what happens to them cannot be seen: a, b, c and 1 more.",
    ),
    "an_empty_class": (
        facts(classes=classes(yes=(50, 10), ghost=(0, 0))),
        "limits",
        "1 class has no rows at all: ghost.",
    ),
    "a_thin_class": (
        facts(classes=classes(yes=(20, 10), thin=(19, 10))),
        "limits",
        "1 class has fewer than 20 training rows: thin.",
    ),
    "a_blunt_test_set": (
        facts(lock=BLUNT),
        "limits",
        "The 1,000 test rows can show effects from 3.0 points on, not those of 1.0 points",
    ),
    "an_unknown_smallest_effect": (facts(lock=UNKNOWN), "limits", "is not known"),
    "three_points_without_a_margin": (facts(lock=FREE), "fit", "effects from 3.0 points on."),
    "a_step_that_made_it_worse": (
        facts(impacts=[impact("leaks", verdict="worse")]),
        "limits",
        "The step 'leaks' made the model worse (tier probe).",
    ),
    "the_whole_chain_worse": (
        facts(impacts=[impact(verdict="worse")]),
        "not_yet",
        "All changes together made the model worse (accuracy, tier probe).",
    ),
    "the_dearest_measured_tier_decides": (
        facts(
            impacts=[
                impact(verdict="worse"),
                impact(tier="top-layers", verdict="better"),
                impact(tier="all-layers", verdict="not_measurable"),
            ]
        ),
        "fit",
        "All changes together made the model better (accuracy, tier top-layers).",
    ),
    "an_undecided_chain": (
        facts(impacts=[impact(verdict="undecided")]),
        "fit",
        "Whether all changes together helped is undecided",
    ),
    "a_warning": (facts(warnings=("A class is odd.",)), "fit", "A class is odd."),
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule_of_the_headline_gives_its_answer_and_its_reason(case):
    run, answer, reason = CASES[case]

    assert answer == fitness(run).answer
    assert [r.text for r in fitness(run).reasons if reason in r.text]


@pytest.mark.parametrize("unseen", CLEAN)
def test_what_nobody_looked_for_is_unknown_and_not_clean(unseen):
    run = facts()
    run = dataclasses.replace(run, issues=tuple(i for i in run.issues if i.issue_type != unseen))

    assert fitness(run).answer == "limits"
    assert any(text.startswith("Nobody looked for") for text in said(run, "limit"))


def test_the_gravest_reasons_come_first_and_are_counted():
    answer = fitness(facts([issue("leak", 7, left=2)], lock=BLUNT, warnings=("w",)))

    assert answer.sentence == "Not yet: 1 reason to stop."
    assert [r.level for r in answer.reasons] == ["stop", "limit", "note", "good", "good"]


def test_an_issue_type_of_a_newer_release_still_gets_a_title():
    assert describe("odd_thing")[0] == "Odd thing"


@pytest.mark.parametrize("verdict", VERDICT_WORDS)
def test_a_sound_impact_of_each_verdict_has_no_fault(verdict):
    assert faults(impact(verdict=verdict)) == []


@pytest.mark.parametrize("claimed", ["better", "worse", "equivalent", "undecided"])
@pytest.mark.parametrize("true", ["better", "worse", "equivalent", "undecided"])
def test_a_verdict_that_its_interval_does_not_carry_is_a_fault(claimed, true):
    found = faults(dataclasses.replace(impact(verdict=true), verdict=claimed))

    assert bool(found) == (claimed != true)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"mde": None}, "verdict 'better' needs mde"),
        ({"effect": 0.2}, "lies outside its interval"),
        ({"verdict": "undecided", "low": -0.01, "why": None}, "needs its reason"),
        ({"verdict": "undecided", "low": -0.01, "what_would_decide": ""}, "`what_would_decide`"),
        ({"verdict": "identical"}, "yet an effect is given"),
        ({"verdict": "great"}, "is not one of"),
    ],
    ids=["no_mde", "outside", "no_reason", "nothing_decides", "identical_effect", "unknown"],
)
def test_a_claim_without_its_grounds_is_a_fault(changed, fault):
    assert any(fault in text for text in faults(dataclasses.replace(impact(), **changed)))
