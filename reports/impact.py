"""What an impact may claim: a verdict in words, never against its own interval.

The one idea: a number without its error bar does not reach a page. `faults` reads an impact as a
careful reader would and lists every claim that its own numbers do not carry.
"""

from __future__ import annotations

from collections.abc import Iterator

from .facts import ImpactFacts, Verdict

VERDICT_WORDS: dict[Verdict, str] = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "No difference that matters",
    "undecided": "Undecided",
    "identical": "Identical",
    "not_measurable": "Not measurable",
}
"""How a verdict is called on the page, beside its mark and colour."""

VERDICT_MEANING: dict[Verdict, str] = {
    "better": "the whole interval lies above zero",
    "worse": "the whole interval lies below zero",
    "equivalent": "the whole interval lies within the margin: any effect is too small to act on",
    "undecided": "the interval holds zero and also effects that would matter: no proof of either",
    "identical": "the model would be trained on the same data, so nothing was run",
    "not_measurable": "it could not be tried here; the reason is given",
}
"""What each verdict means, for the legend."""

MEASURED: tuple[Verdict, ...] = ("better", "worse", "equivalent", "undecided")
"""Verdicts that rest on an effect and its interval."""

_NUMBERS = ("effect", "low", "high", "level", "margin", "mde", "before_score", "after_score")


def faults(impact: ImpactFacts) -> list[str]:
    """List, as whole sentences, what the impact claims without grounds; empty when sound."""
    where = f"impact of {impact.step!r}, tier {impact.tier!r}"
    return [f"{where}: {fault}" for fault in _faults(impact)]


def _faults(impact: ImpactFacts) -> Iterator[str]:
    if impact.verdict not in VERDICT_WORDS:
        yield f"verdict {impact.verdict!r} is not one of {list(VERDICT_WORDS)}"
    elif impact.verdict in MEASURED:
        yield from _measured_faults(impact)
    elif impact.effect is not None or impact.low is not None or impact.high is not None:
        yield f"verdict {impact.verdict!r} claims nothing was measured, yet an effect is given"
    if impact.verdict in ("undecided", "not_measurable", "identical") and not impact.why:
        yield f"verdict {impact.verdict!r} needs its reason in `why`"
    if impact.verdict == "undecided" and not impact.what_would_decide:
        yield "verdict 'undecided' needs `what_would_decide`"


def _measured_faults(impact: ImpactFacts) -> Iterator[str]:
    missing = [name for name in _NUMBERS if getattr(impact, name) is None]
    if missing:
        yield f"verdict {impact.verdict!r} needs {', '.join(missing)}"
    effect, low, high, margin = impact.effect, impact.low, impact.high, impact.margin
    if effect is None or low is None or high is None or margin is None:
        return
    if not low <= effect <= high:
        yield f"effect {effect} lies outside its interval [{low}, {high}]"
    within = -margin <= low and high <= margin
    carried = {
        "better": low >= 0,
        "worse": high <= 0,
        "equivalent": within,
        "undecided": low <= 0 <= high and not within,
    }
    if not carried[impact.verdict]:
        yield (
            f"verdict {impact.verdict!r} disagrees with its interval [{low}, {high}] "
            f"and margin {margin}"
        )
