"""What answers say of people and page: time, quality, agreement, anchoring, repairs to expect."""

import pyarrow as pa
import pytest

from curator.annotating_consensus import ANSWER_SCHEMA, rating_findings
from curator.annotating_figures import counted_seconds, difference_of, figures, share_of


def answer(row, who, value, *, control="open", lead=10.0, given="a", suggested="b",
           decision="other"):  # fmt: skip
    return {
        "row_id": row, "task": 1, "annotator": who, "decision": decision, "value": value,
        "at": "t", "lead_time": lead, "accepted": False, "control": control, "given": given,
        "suggested": suggested, "content": "h", "input": "i",
    }  # fmt: skip


def table(answers):
    return pa.Table.from_pylist(answers, schema=ANSWER_SCHEMA)


def test_the_difference_of_two_shares_is_that_of_newcombes_table():
    # Newcombe 1998, table II: 56/70 - 48/80, method 10: .0524 to .3339
    found = difference_of(
        share_of([True] * 56 + [False] * 14), share_of([True] * 48 + [False] * 32)
    )

    assert (0.2, 0.0524, 0.3339) == pytest.approx((found.effect, found.low, found.high), abs=5e-5)


def test_an_idle_page_does_not_count_as_work():
    answers = [answer(f"r{i}", "ann", "a", lead=20.0) for i in range(9)]
    away = answer("r9", "ann", "a", lead=7200.0)
    quick = [answer(f"q{i}", "bob", "a", lead=2.0) for i in range(3)]
    pause = answer("q9", "bob", "a", lead=55.0)  # under a minute always counts

    assert [20.0] * 9 + [100.0] == counted_seconds([*answers, away])
    assert [2.0] * 3 + [55.0] == counted_seconds([*quick, pause])
    assert [0.0] == counted_seconds([answer("r", "eve", "a", lead=None)])
    found = figures(table([*answers, away]), asked=10).people[0]
    assert 1 == found.idle
    assert found.per_hour == pytest.approx(10 * 3600 / 280)


def test_anchoring_is_what_showing_the_suggestion_does():
    shown = [answer(f"s{i}", "ann", "b" if i < 45 else "a") for i in range(50)]
    hidden = [answer(f"h{i}", "ann", "b" if i < 10 else "a", control="blind") for i in range(20)]
    found = figures(table([*shown, *hidden]), asked=140)

    assert 0.4 == pytest.approx(found.anchoring.effect)
    assert found.anchoring.low > 0.1
    assert 70 == pytest.approx(found.repairs[0])  # half of the blind ones were wrong
    assert found.repairs[1] < 70 < found.repairs[2]


def test_without_blind_answers_no_repair_is_promised_and_no_anchoring_told():
    found = figures(table([answer("r", "ann", "b")]), asked=10)

    assert found.repairs is None
    assert found.anchoring.effect is None
    assert 0 == found.wrong.of


def test_a_person_is_held_against_the_others_and_the_known_answers():
    rows = [f"r{i}" for i in range(20)]
    answers = [answer(row, who, "a") for row in rows for who in ("ann", "bob")]
    answers += [answer(row, "eve", "a" if n < 10 else "b") for n, row in enumerate(rows)]
    answers += [
        answer("k1", "eve", "a", control="known"),
        answer("k2", "eve", "a", control="swapped"),
    ]
    by_name = {p.name: p for p in figures(table(answers), asked=20, quality={"eve": 0.4}).people}

    assert (10, 20) == (by_name["eve"].with_others.count, by_name["eve"].with_others.of)
    assert (10, 10) == (by_name["ann"].with_others.count, by_name["ann"].with_others.of)  # ties out
    assert (1, 2) == (by_name["eve"].known_right.count, by_name["eve"].known_right.of)
    assert 0.4 == by_name["eve"].quality


def test_agreement_counts_drop_and_ambiguous_as_answers_and_leaves_controls_out():
    rows = [f"r{i}" for i in range(12)]
    answers = [answer(row, who, "a" if n % 2 else "b") for n, row in enumerate(rows)
               for who in ("ann", "bob")]  # fmt: skip
    answers += [answer("d", who, None, decision="drop") for who in ("ann", "bob")]
    answers += [answer("k", "ann", "a", control="known"), answer("k", "bob", "z", control="known")]
    found = figures(table(answers), asked=13)

    assert 1.0 == found.alpha.value == found.fleiss.value
    assert 13 == found.alpha.units
    assert [("ann", "bob", 1.0)] == [(a, b, k.value) for a, b, k in found.pairs]
    assert "people" in found.as_dict()["pairs"][0]


def test_ratings_become_their_median_on_rows_that_are_still_there():
    given = {"r0": [5, 1, 4, 4], "r1": [2, 5], "gone": [1]}
    answers = [
        {**answer(row, f"p{i}", "a"), "rating": rating}
        for row, ratings in given.items()
        for i, rating in enumerate(ratings)
    ]
    silent = {**answer("r2", "p0", "a"), "rating": None}

    found = rating_findings(table([*answers, silent]), {"r0", "r1", "r2"}).to_pylist()

    # Of an even number of people the lower of the two in the middle.
    told = [("r0", 4.0, "rated 5, 1, 4, 4", False), ("r1", 2.0, "rated 2, 5", False)]
    assert told == [(f["row_id"], f["score"], f["evidence"], f["flagged"]) for f in found]
