"""May this version take the place of that one? One-sided bounds, and three answers.

The one idea: "not shown to be worse" is not "shown not to be worse". A gate therefore has three
outcomes, and one measurement gives all of them: its lower bound against the margin says whether the
version is shown not to be worse, its upper bound against nothing whether it is shown to be worse,
and where neither is so the gate says that it could not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import sqrt
from typing import Any, Literal

from scipy import stats

from curator.errors import MeasureError
from curator.impact.claim import Measurement, points
from curator.impact.statistics import ALPHA, MIN_SLICE_ROWS, holm_levels

Outcome = Literal["not_worse", "worse", "not_shown"]
ClassOutcome = Literal["kept", "lost", "not_shown", "not_protected"]

EXIT_CODES: Mapping[Outcome, int] = {"not_worse": 0, "worse": 3, "not_shown": 4}
CLASS = "class "
"""What the name of a slice that is a class begins with."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a class may lose.

    every: Limit of every class, a fraction of its test rows; None protects only those named.
    named: Limits of single classes, which win over `every`.
    """

    every: float | None = None
    named: Mapping[str, float] | None = None

    def of(self, name: str) -> float | None:
        """Give the limit of a class; None where it is not protected."""
        return (self.named or {}).get(name, self.every)


@dataclass(frozen=True, slots=True)
class ClassGate:
    """What is shown of one protected class.

    limit: The loss that is allowed, a fraction.
    effect: After minus before on its test rows; None where it has none.
    low: Lower bound at level alpha; None where it has too few rows.
    high: Upper bound at its level of Holm's correction, or None.
    outcome: kept (loses no more than the limit), lost (loses more), not_shown, or not_protected
        (too few test rows for any limit to be kept or broken).
    """

    name: str
    rows: int
    limit: float
    effect: float | None
    low: float | None
    high: float | None
    outcome: ClassOutcome


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate says of a change.

    whole: What is shown of all test rows together.
    outcome: The same with the protected classes: worse if anything is, else not shown if anything
        is not, else not worse.
    effect, low, high: After minus before with its two one-sided bounds, fractions; None where
        nothing was measured.
    margin: The largest loss that does not matter.
    alpha: Allowed chance of each wrong answer.
    classes: The protected classes, the worst first.
    sentence: The answer in words.
    """

    measurement: Measurement
    whole: Outcome
    outcome: Outcome
    effect: float | None
    low: float | None
    high: float | None
    margin: float
    alpha: float
    classes: tuple[ClassGate, ...]
    sentence: str

    @property
    def exit_code(self) -> int:
        """The exit code of the command line: 0, 3 or 4."""
        return EXIT_CODES[self.outcome]

    def as_dict(self) -> dict[str, Any]:
        """Give the answer under the names scripts rely on."""
        m = self.measurement
        return {
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "sentence": self.sentence,
            "whole": self.whole,
            "metric": m.metric,
            "effect": self.effect,
            "low": self.low,
            "high": self.high,
            "margin": self.margin,
            "alpha": self.alpha,
            "test_rows": m.test_rows,
            "seeds": list(m.seeds),
            "tier": m.tier,
            "model": m.model,
            "before": m.before,
            "after": m.after,
            "before_score": m.before_score,
            "after_score": m.after_score,
            "cost_cpu_s": m.cost_cpu_s,
            "reason": m.reason,
            "classes": [
                {name: getattr(one, name) for name in one.__slots__} for one in self.classes
            ],
        }


def judge(
    measurement: Measurement,
    *,
    margin: float | None = None,
    limits: Limits | None = None,
    classes: Sequence[str] = (),
    alpha: float = ALPHA,
) -> Gate:
    """Say whether a change is shown not to be worse, shown to be worse, or neither.

    Args:
        measurement: What was seen.
        margin: The largest loss that does not matter, a fraction above 0; None takes that of the
            measurement.
        limits: How much a class may lose; None protects none.
        classes: Classes of the training rows; those without a test row are listed too.
        alpha: Allowed chance, 0..1, of saying "not worse" of a loss of the margin or more, and of
            saying "worse" of no loss.

    Returns:
        The answer. Not worse is asked first, as `measure` asks for equivalence first: a loss shown
        to be smaller than the margin does not fail a gate.

    Raises:
        MeasureError: The margin is not above 0, or a class is named that no row has.

    Source: two one-sided tests (Schuirmann 1987), read as non-inferiority. Classes: "loses more"
        is claimed under Holm 1979 over the protected classes; "no class loses more" needs every
        class to be shown so, which holds at alpha without a correction (intersection-union test,
        Berger 1982).
    """
    m = measurement
    margin = m.margin if margin is None else margin
    if not 0 < margin < 1:
        raise MeasureError(f"a margin of {points(margin)} points: expected more than 0, below 100")
    gates = _class_gates(m, limits or Limits(), classes, alpha)
    effect, low, high = _whole_bounds(m, alpha)
    whole = _whole(m, low, high, margin)
    outcome = _together(whole, gates)
    sentence = _sentence(m, whole, (effect, low, high), margin, alpha) + _on_classes(gates)
    return Gate(m, whole, outcome, effect, low, high, margin, alpha, gates, sentence)


def bounds(effect: float, se: float, df: float, rows: int, alpha: float) -> tuple[float, float]:
    """Give a lower and an upper bound of an effect, each wrong in a share alpha of all cases.

    No bound is nearer than what this many rows could carry if none of them changed: with none
    changed of m rows, changes of up to 1 - alpha^(1/m) (about 3 / m) are still compatible.

    Args:
        effect: What was seen, -1..1.
        se: Its standard error.
        df: Degrees of freedom of the error.
        rows: Test rows behind it, at least 1.
        alpha: Level of each bound, 0..1.
    """
    half = max(float(stats.t.isf(alpha, df)) * se, 1 - alpha ** (1 / rows))
    return effect - half, effect + half


def _whole_bounds(m: Measurement, alpha: float) -> tuple[float | None, float | None, float | None]:
    if m.identical:
        return 0.0, 0.0, 0.0
    if m.estimate is None:
        return None, None, None
    e = m.estimate
    return e.effect, *bounds(e.effect, sqrt(e.variance), e.df, e.rows, alpha)


def _whole(m: Measurement, low: float | None, high: float | None, margin: float) -> Outcome:
    if low is None or high is None:
        return "not_shown"
    if m.identical or low > -margin:
        return "not_worse"
    return "worse" if high < 0 else "not_shown"


def _together(whole: Outcome, classes: Sequence[ClassGate]) -> Outcome:
    seen = {one.outcome for one in classes}
    if seen == {"not_protected"}:  # protection was asked for, and there is none at all
        seen = {"not_shown"}
    if whole == "worse" or "lost" in seen:
        return "worse"
    return "not_shown" if whole == "not_shown" or "not_shown" in seen else "not_worse"


def _class_gates(
    m: Measurement, limits: Limits, classes: Sequence[str], alpha: float
) -> tuple[ClassGate, ...]:
    if m.estimate is None:  # identical: nothing can be lost; not measurable: said of the whole
        return ()
    unseen: dict[str, Mapping[str, Any]] = {name: {"rows": 0, "effect": None} for name in classes}
    found = unseen | {
        s["name"].removeprefix(CLASS): s for s in m.slices if s["name"].startswith(CLASS)
    }
    named = limits.named or {}
    for name in named:
        if name not in found:
            raise MeasureError(unknown_class(name, found))
    asked = [(name, s, limits.of(name)) for name, s in found.items()]
    wanted = [(name, s, limit) for name, s, limit in asked if limit is not None]
    levels = holm_levels([_p_lost(s, x) for _, s, x in wanted if _tested(s)], alpha=alpha)
    level = iter(levels)
    gates = [
        _class_gate(name, s, limit, (alpha, next(level)))
        if _tested(s)
        else _untested(name, s, limit, explicit=name in named)
        for name, s, limit in wanted
    ]
    return tuple(sorted(gates, key=_worst_first))


def unknown_class(name: str, known: Iterable[str]) -> str:
    """Say that no row has a class, and which is nearest."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"no class {name!r} among {sorted(known)}." + (
        f" Did you mean {near[0]!r}?" if near else ""
    )


def _tested(slice_: Mapping[str, Any]) -> bool:
    return slice_["rows"] >= MIN_SLICE_ROWS and slice_.get("se") is not None


def _p_lost(slice_: Mapping[str, Any], limit: float) -> float:
    """Give the p-value of "this class loses no more than its limit"."""
    beyond = slice_["effect"] + limit
    if slice_["se"] == 0:
        return 0.0 if beyond < 0 else 1.0
    return float(stats.t.cdf(beyond / slice_["se"], slice_["df"]))


def _class_gate(
    name: str, slice_: Mapping[str, Any], limit: float, levels: tuple[float, float]
) -> ClassGate:
    effect, se, df, rows = (slice_[key] for key in ("effect", "se", "df", "rows"))
    low, _ = bounds(effect, se, df, rows, levels[0])
    _, high = bounds(effect, se, df, rows, levels[1])
    outcome: ClassOutcome = "not_shown"
    if low > -limit:
        outcome = "kept"
    elif high < -limit:
        outcome = "lost"
    return ClassGate(name, rows, limit, effect, low, high, outcome)


def _untested(name: str, slice_: Mapping[str, Any], limit: float, *, explicit: bool) -> ClassGate:
    """Judge a class of too few rows; asked for by name it is not passed over: nothing is shown."""
    outcome: ClassOutcome = "not_shown" if explicit else "not_protected"
    return ClassGate(name, slice_["rows"], limit, slice_["effect"], None, None, outcome)


_ORDER: Mapping[ClassOutcome, int] = {"lost": 0, "not_shown": 1, "kept": 2, "not_protected": 3}


def _worst_first(one: ClassGate) -> tuple[int, float, str]:
    worst = one.effect if one.low is None else one.low
    return _ORDER[one.outcome], worst or 0.0, one.name


def _sentence(
    m: Measurement,
    whole: Outcome,
    seen: tuple[float | None, float | None, float | None],
    margin: float,
    alpha: float,
) -> str:
    effect, low, high = seen
    allowed = f"the margin is {points(margin)} points"
    if m.identical:
        return (
            "Not worse: the model sees the same training set as before, so nothing was run; "
            f"{allowed}."
        )
    if effect is None or low is None or high is None:
        return f"Not shown: {m.reason}; {allowed}."
    sure = f"{1 - alpha:.0%} one-sided"
    change = f"{m.metric} {points(effect, sign=True)} points"
    about = (
        f"{m.test_rows:,} test rows, {len(m.seeds)} paired seeds, "
        f"on this training set, with this spec ({m.tier}, {m.model})"
    )
    if whole == "worse":
        told = f"Worse: {change}, at most {points(high, sign=True)} ({sure} bound)"
    elif whole == "not_worse":
        told = f"Not worse: {change}, at least {points(low, sign=True)} ({sure} bound)"
    else:
        told = (
            f"Not shown: {change}, which may be as low as {points(low, sign=True)} or as high as "
            f"{points(high, sign=True)} ({sure} bounds)"
        )
    return f"{told}; {allowed}; {about}."


def _on_classes(classes: Sequence[ClassGate]) -> str:
    """Say what is shown of the protected classes; the first few by name, the rest as a number."""
    if not classes:
        return ""
    named = {
        "lost": "shown to lose more than allowed",
        "not_shown": "not shown to lose no more than allowed",
        "kept": "shown to lose no more than allowed",
        "not_protected": f"not protected (under {MIN_SLICE_ROWS} test rows)",
    }
    parts = []
    for outcome, words in named.items():
        names = [one.name for one in classes if one.outcome == outcome]
        if names:
            shown = f" ({names[0]} first)" if len(names) > 1 else f" ({names[0]})"
            parts.append(f"{len(names)} {words}{shown if outcome in ('lost', 'not_shown') else ''}")
    return f" Of {len(classes)} classes: {'; '.join(parts)}."
