"""The rivals of one change side by side, and the chosen one measured anew.

The one idea: the best of several looks better than it is. So the choice is made on some seeds, and
what is claimed comes from others; and as both looked at the same test rows, the claim is made at a
share of alpha that any of the rivals could have used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curator.comparing import spec_and_context
from curator.errors import MeasureError
from curator.execute import ruled
from curator.impact.banks import refuse_other_tasks
from curator.impact.budget import Opened, end_comparison, open_comparison
from curator.impact.design import Side, fit_spec
from curator.impact.ledger import Look, charge, now, percent, uses
from curator.impact.measure import side_of
from curator.impact.planning import default_margin
from curator.impact.statistics import ALPHA, FloatArray, crossed, interval, verdict
from curator.impact.trials import Trials, open_trials
from curator.options import unknown_name
from curator.progress import SILENT, Progress
from curator.recipe import StepSpec
from curator.registry import bind_step
from curator.replaying import first_parent_line, spec_of
from curator.versions.manifest import Version
from curator.versions.store import Store

CHOOSING = (0, 1, 2, 3, 4)
FRESH = (100, 101, 102, 103, 104, 105, 106, 107)


@dataclass(frozen=True, slots=True)
class _Rival:
    """One way to act on the same findings: the training set it leaves, as a side."""

    action: str
    side: Side
    rows: int


def rivals(
    store: Store,
    step: str,
    *,
    actions: Sequence[str] = ("drop", "relabel", "weight"),
    ref: str = "main",
    recipe: Path | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Set the actions that one step's findings could lead to side by side, on the probe.

    Args:
        store: Holds the step's version.
        step: Name of the step in the history of `ref`.
        actions: What its findings may lead to.
        ref: Version, branch or tag.
        recipe: Gives the spec; None takes the one kept with the version.
        progress: Told what happens.

    Returns:
        JSON values: each rival's effect and interval on the seeds it was chosen on, and of the
        chosen one effect, interval and verdict on fresh seeds.

    Raises:
        MeasureError: There is no such step or action, or the test rows can carry nothing.
    """
    parent, made = _step(store, ref, step)
    refuse_other_tasks(made, "rivals")
    spec, context = spec_and_context(store, parent, made, recipe, progress)
    before = side_of(store, parent)
    ways = [_rival(store, made, before, action) for action in dict.fromkeys(actions)]
    sides = [way.side for way in ways]
    trials = open_trials(before, sides, context, fit_spec("probe", spec, context))
    names = ",".join(way.action for way in ways)
    subject = (parent.id, made.id, f"probe, rivals {names}")
    opened = open_comparison(store, str(parent.lock), subject, releases=_tags(store, made))
    whole = ALPHA if opened is None else opened.level
    charged = whole if opened is None or opened.charged else 0.0
    alpha = whole / len(ways)
    context.progress.say(
        f"ledger  rivals of {step} ({names}) will be charged {percent(charged)} of alpha to lock "
        f"{str(parent.lock)[:12]}"
    )
    charge(store, Look(
        now(), str(parent.lock), parent.id, made.id, f"probe, rivals {names}", len(FRESH),
        charged, 0.0,
    ))  # fmt: skip
    seen = [_asked(trials, before, way, CHOOSING, alpha) for way in ways]
    best = max(range(len(ways)), key=lambda at: seen[at]["effect"])
    margin = spec.margin if spec.margin is not None else default_margin(len(trials.ids))
    again = _asked(trials, before, ways[best], FRESH, alpha)
    word = verdict(again["low"], again["high"], margin)
    _end(store, parent, opened, alpha, word)
    return {
        "step": step, "before": parent.id, "version": made.id, "tier": "probe",
        "test_rows": int(trials.fresh.sum()), "rivals": seen, "chosen": ways[best].action,
        "again": {**again, "verdict": word}, "margin": margin, "alpha": alpha,
        "sentence": _sentence(step, seen, again, word, alpha),
        "fits": trials.fits, "cost_cpu_s": trials.cpu_s,
        "test_uses": uses(store, parent.lock).as_dict(),
    }  # fmt: skip


def _tags(store: Store, made: Version) -> list[str]:
    return sorted(name for name, version in store.tags().items() if version == made.id)


def _end(store: Store, parent: Version, opened: Opened | None, alpha: float, word: str) -> None:
    """Write down how the choice ended; its p-value is only known to lie on one side of alpha."""
    if opened is not None:
        called = word in {"better", "worse"}
        end_comparison(store, str(parent.lock), opened, p=alpha if called else 1.0, called=called)


def _step(store: Store, ref: str, step: str) -> tuple[Version, Version]:
    line = first_parent_line(store, store.version(ref))
    found = [version for version in line[1:] if version.step.name == step]
    if not found:
        known = [version.step.name for version in line[1:]]
        raise MeasureError(unknown_name(f"the history of {ref}", "step", step, known))
    return store.version(found[-1].parents[0]), found[-1]


def _rival(store: Store, made: Version, before: Side, action: str) -> _Rival:
    spec = spec_of(made)
    if spec is None or "action" not in spec.options:
        raise MeasureError(
            f"step {made.step.name!r} has no option action, so its findings lead to one thing "
            "only; ask for the rivals of a step such as label_errors"
        )
    options, faults = bind_step(spec.kind, {**spec.options, "action": action})
    if faults:
        raise MeasureError("; ".join(message for _, message in faults))
    findings = store.findings(made)
    decided = ruled(StepSpec(spec.kind, options), made.step.name, before.rows, findings)
    side = Side(f"{action} {made.id}", decided.rows, before.transforms)
    old, new = before.seen_by_model(), side.seen_by_model()
    return _Rival(action, side, max((old - new).total(), (new - old).total()))


def _asked(
    trials: Trials, before: Side, way: _Rival, seeds: Sequence[int], alpha: float
) -> dict[str, Any]:
    difference = _difference(trials, before, way.side, seeds)
    estimate = crossed(difference[:, trials.fresh], trials.groups[trials.fresh])
    low, high = interval(estimate, alpha)
    return {
        "action": way.action, "rows": way.rows, "effect": estimate.effect, "low": low,
        "high": high, "seeds": list(seeds),
    }  # fmt: skip


def _difference(trials: Trials, before: Side, after: Side, seeds: Sequence[int]) -> FloatArray:
    texts = trials.served(before.transforms)
    one, other = (trials.hits(side.training(), texts, seeds=seeds) for side in (before, after))
    return other - one


def _chosen(seen: Sequence[dict[str, Any]], again: dict[str, Any]) -> str:
    """Say which rival goes on, and where it only stood first among equals."""
    best = max(one["effect"] for one in seen)
    ties = [one["action"] for one in seen if one["effect"] == best]
    if len(ties) == 1:
        return f"Chosen: {again['action']}"
    return f"None is ahead of {' or '.join(ties)}: {again['action']} is taken as the first named"


def _sentence(
    step: str, seen: Sequence[dict[str, Any]], again: dict[str, Any], word: str, alpha: float
) -> str:
    said = "; ".join(f"{one['action']} {100 * one['effect']:+.2f} points" for one in seen)
    effect, low, high = (f"{100 * again[name]:+.2f}" for name in ("effect", "low", "high"))
    return (
        f"Screen (probe) of {step}: {said}, on seeds {CHOOSING[0]} to {CHOOSING[-1]}. "
        f"{_chosen(seen, again)}; measured anew on {len(FRESH)} fresh seeds {effect} points "
        f"[{low}, {high}], {word}, at "
        f"{100 * alpha:.2g} % as one of {len(seen)} that could have been chosen; on this training "
        "set, with this spec, on these test rows."
    )
