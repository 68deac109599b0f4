"""A measurement (what was seen) and the impact (what may be claimed of it, at a stated level).

The one idea: the level of a claim depends on how many claims stand beside it, so a measurement
keeps its estimate and a claim is derived from it, as often as the company changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from curator.impact.planning import PLANNED, planned_effect, smallest_effect, what_would_decide
from curator.impact.sequence import (
    Plan,
    Standing,
    extended,
    later_looks,
    sequential_p,
    share_at,
    standing,
)
from curator.impact.statistics import (
    ALPHA,
    Estimate,
    Verdict,
    holm_levels,
    interval,
    p_value,
    verdict,
)
from curator.impact.touched import (
    Part,
    TouchedClaim,
    claim_touched,
    touched_standings,
    whole_is_blind,
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What training on version `before` and on version `after` showed, on the same test rows.

    estimate: None where nothing was compared; `reason` then says why.
    seeds: The paired seeds, as numbers.
    test_rows: Rows the estimate rests on: test rows without a near-duplicate in training.
    before_score, after_score: Mean of the metric over seeds and those rows, 0..1, or None.
    margin: The smallest change worth acting on, a fraction.
    slices: Effects on named parts of the test rows, "all test rows" first.
    cost_cpu_s: CPU seconds of the fits behind it, cached ones at what they once cost.
    fits: Number of fits behind it, cached ones included.
    shared: Which labels both sides were scored on, where a label map stands between them.
    plan: The looks it is one of; empty where the number of seeds was fixed beforehand.
    touched: The effect inside each class that the change touched.
    rest: The effect on all other test rows; None where there is none.
    placebo: What random changes did beside this one, on the probe; None where it was not asked.
    epochs: The effect at equal epochs, where the number of rows moved and a call hung on it; the
        estimate is at equal updates.
    level: The level of its claim over all looks, where one was declared for the test rows; it
        takes the place of Holm's.
    declared: What to say of that.
    scores: Of tasks without a verdict: metrics of both sides, seed by seed, see `shown`.
    """

    before: str
    after: str
    tier: str
    spec: str
    metric: str
    identical: bool
    reason: str | None
    estimate: Estimate | None
    seeds: tuple[int, ...]
    test_rows: int
    margin: float
    before_score: float | None
    after_score: float | None
    slices: tuple[Mapping[str, Any], ...]
    cost_cpu_s: float
    fits: int
    model: str
    shared: str | None = None
    plan: Plan = ()
    touched: tuple[Part, ...] = ()
    rest: Part | None = None
    placebo: Mapping[str, Any] | None = None
    epochs: Estimate | None = None
    level: float | None = None
    declared: str | None = None
    scores: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the measurement as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Read a measurement back from `as_dict`."""
        parts = dict(values)
        for name in ("estimate", "epochs"):
            parts[name] = Estimate(**parts[name]) if parts.get(name) else None
        parts["seeds"] = tuple(parts["seeds"])
        parts["slices"] = tuple(parts["slices"])
        parts["plan"] = tuple((seeds, share) for seeds, share in parts.get("plan", ()))
        parts["touched"] = tuple(map(Part.from_dict, parts.get("touched", ())))
        parts["rest"] = Part.from_dict(parts["rest"]) if parts.get("rest") else None
        return cls(**parts)


@dataclass(frozen=True, slots=True)
class Impact:
    """What one data change did to one metric, as far as may be claimed.

    effect, low, high: After minus before and its interval at level 1 - alpha, fractions.
    alpha: Level of the interval: the share of the claim's level that its look may use.
    claims: Number of claims that stand beside it (Holm), itself included.
    mde: Smallest effect that the planned last look shows (80 % power, two-sided, at its alpha).
    sentence: The claim in words, with what it is about.
    next: What would decide it, where it is undecided.
    budget: Level of the claim over all its looks.
    stopped: Why no further seeds were trained; `open` where they may be.
    touched: What may be claimed of the classes that the change touched, and of the rest.
    """

    measurement: Measurement
    effect: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    alpha: float
    claims: int
    mde: float | None
    sentence: str
    next: str
    budget: float = ALPHA
    stopped: Standing = "decided"
    touched: TouchedClaim | None = None

    def equal_epochs(self) -> dict[str, float] | None:
        """Give effect and interval at equal epochs; None where they were not asked for."""
        arm = self.measurement.epochs
        if arm is None:
            return None
        low, high = interval(arm, self.alpha)
        return {"effect": arm.effect, "low": low, "high": high}

    def as_dict(self) -> dict[str, Any]:
        """Give the impact under the names scripts rely on."""
        m = self.measurement
        return {
            "metric": m.metric,
            "effect": self.effect,
            "low": self.low,
            "high": self.high,
            "verdict": self.verdict,
            "seeds": list(m.seeds),
            "test_rows": m.test_rows,
            "margin": m.margin,
            "mde": self.mde,
            "tier": m.tier,
            "cost_cpu_s": m.cost_cpu_s,
            "slices": [dict(s) for s in m.slices],
            "before": m.before,
            "after": m.after,
            "scores": dict(m.scores) if m.scores else None,
            "before_score": m.before_score,
            "after_score": m.after_score,
            "alpha": self.alpha,
            "alpha_over_looks": self.budget,
            "declared": m.declared,
            "looks": [
                {"seeds": seeds, "alpha": self.budget * share, "used": seeds <= len(m.seeds)}
                for seeds, share in m.plan
            ],
            "stopped": self.stopped,
            "touched": self.touched.as_dict() if self.touched else None,
            "equal_epochs": self.equal_epochs(),
            "placebo": dict(m.placebo or {"better_than_random": "not asked", "p": None}),
            "claims": self.claims,
            "fits": m.fits,
            "model": m.model,
            "sentence": self.sentence,
            "what_would_decide": self.next,
        }


def claim(measurement: Measurement, *, alpha: float = ALPHA, claims: int = 1) -> Impact:
    """Say what may be claimed of a measurement at a level.

    Args:
        measurement: What was seen, at the last of its looks.
        alpha: Allowed chance of a false claim over all looks, 0..1; the classes that the change
            touched are a family of their own, at the same level.
        claims: Number of claims judged together, for the record.

    Raises:
        MeasureError: The measurement is no look of its own plan.
    """
    return _claim(measurement, _own(measurement) or _Levels(alpha, alpha), claims)


def _own(m: Measurement) -> _Levels | None:
    """Give the declared levels of a measurement; None where none were declared."""
    return None if m.level is None else _Levels(m.level, m.level)


def p_of_claim(m: Measurement) -> float:
    """Give the p-value of the claim on all test rows, at its last look; 1 where nothing ran."""
    if m.estimate is None:
        return 1.0
    return sequential_p(_p(m), share_at(m.plan, len(m.seeds)))


@dataclass(frozen=True, slots=True)
class _Levels:
    """Levels over all looks: of the claim on all test rows, of the family of touched classes."""

    whole: float
    touched: float


def _claim(m: Measurement, levels: _Levels, claims: int) -> Impact:
    alpha = levels.whole
    if m.estimate is None:
        word: Verdict = "identical" if m.identical else "not_measurable"
        effect = 0.0 if m.identical else None
        # What cannot be measured can show no effect, however large.
        mde = _planned(m, alpha) if m.identical and not m.reason else None
        open_impact = Impact(m, effect, effect, effect, word, alpha, claims, mde, "", "", alpha)
        return replace(open_impact, sentence=_sentence(open_impact))
    level = alpha * share_at(m.plan, len(m.seeds))
    low, high = _span(m, level)
    word = verdict(low, high, m.margin)
    following = _following(m, level) if word == "undecided" else ""
    seeds, share = _last_look(m)
    mde = smallest_effect(extended(m.estimate, seeds), alpha=alpha * share)
    found = Impact(
        m, m.estimate.effect, low, high, word, level, claims, mde, "", following, alpha,
        _standing(m, levels), _touched(m, levels.touched),
    )  # fmt: skip
    return replace(found, sentence=_sentence(found))


def _arms(m: Measurement) -> list[Estimate]:
    """Give the estimates that a claim on all test rows needs: at equal updates, at equal epochs."""
    return [one for one in (m.estimate, m.epochs) if one is not None]


def _span(m: Measurement, level: float) -> tuple[float, float]:
    """Give the interval that holds those of all arms, so that a call needs each of them."""
    lows, highs = zip(*(interval(arm, level) for arm in _arms(m)), strict=True)
    return min(lows), max(highs)


def _p(m: Measurement) -> float:
    """Give the p-value of a claim: below a level exactly where its interval excludes 0."""
    arms = _arms(m)
    agree = len({arm.effect > 0 for arm in arms}) == 1
    return max(map(p_value, arms)) if agree else 1.0


def _following(m: Measurement, level: float) -> str:
    """Say what would decide an undecided claim."""
    for arm in _arms(m):
        if verdict(*interval(arm, level), m.margin) == "undecided":
            return what_would_decide(arm, m.margin, alpha=level)
    return (
        "Equal updates and equal epochs say different things: the effect is one of training "
        "length; choose which of the two your training holds fixed, and set epochs for it."
    )


def _touched(m: Measurement, alpha: float) -> TouchedClaim | None:
    if not m.touched:
        return None
    share = share_at(m.plan, len(m.seeds))
    return claim_touched(m.touched, m.rest, alpha=alpha, share=share, margin=m.margin)


def _standing(m: Measurement, levels: _Levels) -> Standing:
    """Say whether a measurement is done with.

    Where a change touches so few classes that the whole cannot show it, they keep it open.
    """
    if m.estimate is None:
        return "decided"
    whole = _standing_of_arms(m, levels.whole)
    if whole in {"open", "last look"} or not m.touched:
        return whole
    if not whole_is_blind(m.estimate, m.touched, alpha=levels.whole * _last_look(m)[1]):
        return whole
    apart = touched_standings(m.touched, alpha=levels.touched, margin=m.margin, plan=m.plan)
    return "open" if "open" in apart else whole


def _standing_of_arms(m: Measurement, alpha: float) -> Standing:
    found = [standing(arm, margin=m.margin, alpha=alpha, plan=m.plan) for arm in _arms(m)]
    level = alpha * share_at(m.plan, len(m.seeds))
    if verdict(*_span(m, level), m.margin) != "undecided":
        return "decided"
    left = [one for one in found if one != "decided"]
    ended: Standing = "open" if later_looks(m.plan, len(m.seeds)) else "last look"
    return left[0] if left else ended


def _last_look(m: Measurement) -> tuple[int, float]:
    return m.plan[-1] if m.plan else (len(m.seeds), 1.0)


def claim_together(measurements: Sequence[Measurement], *, alpha: float = ALPHA) -> list[Impact]:
    """Claim what several measurements show, with Holm's correction over those that were tested.

    A claim enters with the p-value of its last look over that look's share of alpha, which is a
    p-value however the looks were stopped; so Holm holds for any dependence between the claims.

    Args:
        measurements: The steps of one run, one tier, each at the last of its looks.
        alpha: Chance of one false better or worse, or more, that the whole family may take.
    """
    count = max(1, sum(m.estimate is not None and m.level is None for m in measurements))
    levels = _holm(measurements, alpha)
    return [
        _claim(m, at, count if m.level is None else 1)
        for m, at in zip(measurements, levels, strict=True)
    ]


def standings(measurements: Sequence[Measurement], *, alpha: float = ALPHA) -> list[Standing]:
    """Say of each of several claims judged together whether it is done with, as things stand."""
    levels = _holm(measurements, alpha)
    return [_standing(m, at) for m, at in zip(measurements, levels, strict=True)]


def _holm(measurements: Sequence[Measurement], alpha: float) -> list[_Levels]:
    """Give the levels of each claim over its looks; what was not tested takes no part.

    Nor does what has a declared level: Holm or the ledger, never both. The families of touched
    classes have equal parts of alpha: shares that no outcome moves.
    """
    tested = [m for m in measurements if m.estimate is not None and m.level is None]
    levels = iter(holm_levels([p_of_claim(m) for m in tested], alpha=alpha))
    even = alpha / max(1, len(tested))
    return [
        _own(m) or _Levels(even if m.estimate is None else next(levels), even) for m in measurements
    ]


def _planned(m: Measurement, alpha: float) -> float | None:
    if m.tier not in PLANNED:  # the noise of a trainer that was never met is not known
        return None
    seeds, share = _last_look(m)
    if m.test_rows < 2 or seeds < 2:  # noqa: PLR2004 - no noise from one
        return None
    return planned_effect(m.tier, rows=m.test_rows, seeds=seeds, alpha=alpha * share)


def points(share: float, *, sign: bool = False) -> str:
    """Write a fraction in points: 0.012 as 1.2."""
    return f"{share * 100:{'+' if sign else ''}.1f}"


def _sentence(impact: Impact) -> str:
    m = impact.measurement
    about = (
        f"on this training set, with this spec ({m.tier}, {m.model}), "
        f"{len(m.seeds)} paired seeds and {m.test_rows:,} frozen test rows"
    )
    about += f", {m.shared}" if m.shared else ""
    about += ", at equal updates and at equal epochs" if m.epochs else ""
    about += f"; {m.declared}" if m.declared else ""
    if impact.verdict == "identical":
        return "The model sees the same training set as before, so nothing was run."
    if impact.effect is None or impact.low is None or impact.high is None or impact.mde is None:
        shown = f" {m.scores['sentence']}" if m.scores else ""
        return f"Not measurable: {m.reason}.{shown}"
    span = f"[{points(impact.low, sign=True)}, {points(impact.high, sign=True)}]"
    seen = (
        f"{m.metric} {points(impact.effect, sign=True)} points, "
        f"{100 * (1 - impact.alpha):.4g} % interval {span}"
    )
    if impact.verdict in {"better", "worse"}:
        return f"{impact.verdict.capitalize()}: {seen}, {about}."
    if impact.verdict == "equivalent":
        # Many small losses of one sign are a large one: the sign is told where it is certain.
        sign = "Better" if impact.low > 0 else "Worse" if impact.high < 0 else ""
        drift = f"{sign}, by less than matters (equivalent)" if sign else "Equivalent"
        return f"{drift}: any effect is smaller than {points(m.margin)} points; {seen}, {about}."
    ended = {
        "hopeless": "; stopped, as the chance that more seeds would decide is under 10 %",
        "open": "; further looks may decide",
    }.get(impact.stopped, "")
    return (
        f"Undecided: {seen}, {about}; effects under {points(impact.mde)} points cannot be relied "
        f"on to show here{ended}."
    )
