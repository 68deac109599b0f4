"""Which base model, which method? Compared on one training set under the verdicts of a change.

The one idea: a difference of two specs on one version is judged like one of two versions under one
spec: same seeds, same frozen test rows, same looks, same ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from curator.candidates import Candidate, Ruled, candidates, estimates, size
from curator.comparing import spec_and_context
from curator.errors import MeasureError
from curator.impact.banks import no_bank
from curator.impact.budget import Opened, end_comparison, open_comparison
from curator.impact.claim import Impact, Measurement, claim_together, points, standings
from curator.impact.design import Side, slices_of
from curator.impact.ledger import Look, charge, counted, now, percent, uses
from curator.impact.measure import side_of
from curator.impact.planning import default_margin
from curator.impact.sequence import LOOKS, MOST_SEEDS, share_at, visible_at_last_look
from curator.impact.statistics import ALPHA, FloatArray, crossed
from curator.impact.trials import Trials, open_trials
from curator.options import unknown_name
from curator.progress import SILENT, Progress
from curator.recipe import TIERS, Recipe
from curator.versions.manifest import Version
from curator.versions.store import Store

PER = 1000  # rows that costs are told for


@dataclass(slots=True)
class _Tried:
    """A candidate under trial: what it answered so far, seed by seed.

    trials: The test rows, under its spec.
    hits: 1 where a test row is predicted right, shape (s, m); None before the first look.
    """

    candidate: Candidate
    trials: Trials
    hits: FloatArray | None = None
    looks: int = 0
    found: Measurement | None = None
    fits: list[float] = field(default_factory=list)


def compare_models(
    store: Store,
    ref: str,
    *,
    models: Sequence[str],
    methods: Sequence[str] = (),
    tiers: Sequence[str] = (),
    recipe: Path | Recipe | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Compare base models and methods on the rows of one version, the first named with each other.

    Args:
        store: Holds the version.
        ref: Version, branch or tag.
        models: Folders, package addresses, hf:owner/name, or tfidf; the first is the reference.
        methods: What is trained above the probe; empty for the recipe's method.
        tiers: Cheapest first; empty for the recipe's.
        recipe: Gives the spec; None takes the one kept with the version.
        progress: Told the cost before anything is trained, and what happens.

    Returns:
        JSON values: candidates with score, cost and size; comparisons with effect, interval and
        verdict; what could not be trained, and why.

    Raises:
        MeasureError: A tier or model is unknown, fewer than two candidates can be trained, or the
            test rows can carry nothing.
    """
    version = store.version(ref)
    spec, context = spec_and_context(store, version, version, recipe, progress)
    tiers = tuple(tiers or spec.tiers)
    for tier in tiers:
        if tier not in TIERS:
            raise MeasureError(unknown_name("models compare", "tier", tier, TIERS))
    side = side_of(store, version)
    if reason := no_bank(side.rows):
        raise MeasureError(f"models compare: {reason}, so no verdict can be given on it")
    can, cannot = candidates(
        tuple(dict.fromkeys(models)), tiers, tuple(methods or [spec.method]),
        spec=spec, context=context,
    )  # fmt: skip
    _check(can, cannot)
    first = open_trials(side, (), can[0].context, can[0].fit)
    tried = [_Tried(one, replace(first, context=one.context, fit=one.fit)) for one in can]
    costs = _announce(side, tried, progress)
    margin = spec.margin if spec.margin is not None else default_margin(len(first.ids))
    opened = _opened(store, version, tried)
    impacts = _judge(store, version, side, tried, margin, opened, progress)
    return {
        "version": version.id, "metric": "accuracy", "margin": margin,
        "test_rows": int(first.fresh.sum()), "reference": tried[0].candidate.name,
        "candidates": [_described(one, side) for one in tried],
        "comparisons": [
            _compared(one, impact) for one, impact in zip(tried[1:], impacts, strict=True)
        ],
        "left_out": [{"candidate": one.name, "reason": one.reason} for one in cannot],
        "estimates": costs, "test_uses": uses(store, version.lock).as_dict(),
        "work": context.counters.as_dict(),
    }  # fmt: skip


def _check(can: Sequence[Candidate], cannot: Sequence[Ruled]) -> None:
    if len(can) > 1:
        return
    told = "".join(f"\n  {one.name}: {one.reason}" for one in cannot)
    raise MeasureError(
        f"models compare: {counted(len(can), 'candidate')} can be trained, and a comparison takes "
        f"two; name more with --models, --methods or --tiers{told}"
    )


def _announce(side: Side, tried: Sequence[_Tried], progress: Progress) -> list[dict[str, Any]]:
    """Say, before anything is trained, what it will cost and what the test rows can show."""
    rows, texts = len(tried[0].trials.ids), tried[0].trials.served(side.transforms)
    reads = sorted({*texts, *side.train()["text"].to_pylist()})
    costs = list(estimates([one.candidate for one in tried], reads))
    for cost in costs:
        progress.say(
            f"cost    {cost['candidate']}: {cost['least_cpu_s']:.1f} to {cost['most_cpu_s']:.1f} "
            f"CPU s ({LOOKS[0][0]} to {MOST_SEEDS} seeds)"
        )
    dearest = max((one.candidate.tier for one in tried), key=TIERS.index)
    seen = visible_at_last_look(dearest, rows=rows, claims=len(tried) - 1)
    progress.say(
        f"test    {rows:,} frozen rows: no effect under {points(seen)} points can be relied on to "
        "show, and two models often differ on more rows than two versions do"
    )
    return costs


def _opened(store: Store, version: Version, tried: Sequence[_Tried]) -> Opened | None:
    names = [f"{one.candidate.name} {one.candidate.fit.key()}" for one in tried]
    tags = sorted(name for name, at in store.tags().items() if at == version.id)
    return open_comparison(store, str(version.lock), (version.id, "models", *names), releases=tags)


def _judge(
    store: Store, version: Version, side: Side, tried: Sequence[_Tried], margin: float,
    opened: Opened | None, progress: Progress,
) -> list[Impact]:  # fmt: skip
    """Take looks until no comparison with the reference asks for more seeds."""
    reference, others = tried[0], tried[1:]
    level = None if opened is None else opened.level / len(others)
    waiting = list(others)
    while waiting:
        for one in waiting:
            one.looks += 1
        seeds = {one.looks: LOOKS[one.looks - 1][0] for one in waiting}
        _charge(
            store, version, waiting, reference, (level or ALPHA / len(others)), opened, progress
        )
        for one in waiting:
            count = seeds[one.looks]
            for asked in (reference, one):
                _train(asked, side, count)
            one.found = _measured(version, reference, one, count, margin, level)
        measurements = [one.found for one in others if one.found is not None]
        now_at = standings(measurements)
        waiting = [one for one, at in zip(others, now_at, strict=True) if at == "open"]
    impacts = claim_together([one.found for one in others if one.found is not None])
    if opened is not None:
        called = any(one.verdict in {"better", "worse"} for one in impacts)
        p = opened.level if called else 1.0  # only known to lie on one side of the level
        end_comparison(store, str(version.lock), opened, p=p, called=called)
    return impacts


def _charge(
    store: Store, version: Version, waiting: Sequence[_Tried], reference: _Tried, level: float,
    opened: Opened | None, progress: Progress,
) -> None:  # fmt: skip
    """Write the looks down before they are taken."""
    for one in waiting:
        seeds = LOOKS[one.looks - 1][0]
        alpha = 0.0 if opened and not opened.charged else level * share_at(LOOKS, seeds)
        named = f"{one.candidate.name} against {reference.candidate.name}"
        charge(store, Look(
            now(), str(version.lock), version.id, version.id, named, seeds, alpha, 0.0
        ))  # fmt: skip
        progress.say(
            f"ledger  {named}: a look at {seeds} seeds is charged {percent(alpha)} of alpha to "
            f"lock {str(version.lock)[:12]}"
        )


def _train(one: _Tried, side: Side, count: int) -> None:
    if one.hits is not None and len(one.hits) >= count:
        return
    before = one.trials.fits, one.trials.cpu_s
    texts = one.trials.served(side.transforms)
    one.hits = one.trials.hits(side.training(), texts, seeds=range(count))
    one.fits = [(one.trials.cpu_s - before[1]) / (one.trials.fits - before[0])]


def _measured(
    version: Version, reference: _Tried, one: _Tried, count: int, margin: float,
    level: float | None,
) -> Measurement:  # fmt: skip
    assert reference.hits is not None, "trained just now"
    assert one.hits is not None, "trained just now"
    hits = reference.hits[:count], one.hits[:count]
    trials, differences = one.trials, hits[1] - hits[0]
    fresh = trials.fresh
    return Measurement(
        before=version.id, after=version.id, tier=one.candidate.tier,
        spec=one.candidate.fit.key(), metric="accuracy", identical=False, reason=None,
        estimate=crossed(differences[:, fresh], trials.groups[fresh]), seeds=tuple(range(count)),
        test_rows=int(fresh.sum()), margin=margin,
        before_score=float(hits[0][:, fresh].mean()), after_score=float(hits[1][:, fresh].mean()),
        slices=tuple(slices_of(differences, trials.labels, fresh)),
        cost_cpu_s=one.trials.cpu_s, fits=2 * count, model=one.candidate.context.model_note(),
        plan=LOOKS, level=level,
    )  # fmt: skip


def _described(one: _Tried, side: Side) -> dict[str, Any]:
    assert one.hits is not None, "each candidate was trained"
    scores = one.hits[:, one.trials.fresh].mean(axis=1)
    fit, rows = one.fits[-1], side.train().num_rows
    return {
        "candidate": one.candidate.name, "model": one.candidate.model, "tier": one.candidate.tier,
        "method": one.candidate.method, "score": float(np.mean(scores)),
        "seeds": [float(score) for score in scores], "cpu_s_per_fit": fit,
        "cpu_s_per_1000_rows": fit / max(1, rows) * PER, **size(one.candidate),
    }  # fmt: skip


def _compared(one: _Tried, impact: Impact) -> dict[str, Any]:
    m = impact.measurement
    assert impact.low is not None, "an estimate was made"
    assert impact.high is not None, "an estimate was made"
    seen = (
        f"accuracy {points(m.estimate.effect, sign=True)} points, "  # type: ignore[union-attr]
        f"{100 * (1 - impact.alpha):.4g} % interval [{points(impact.low, sign=True)}, "
        f"{points(impact.high, sign=True)}]"
    )
    return {
        "candidate": one.candidate.name, "verdict": impact.verdict, "effect": impact.effect,
        "low": impact.low, "high": impact.high, "alpha": impact.alpha, "mde": impact.mde,
        "claims": impact.claims, "seeds": list(m.seeds), "slices": [dict(s) for s in m.slices],
        "what_would_decide": impact.next,
        "sentence": (
            f"{impact.verdict.capitalize()} than the reference: " if impact.verdict in
            {"better", "worse"} else f"{impact.verdict.capitalize()}: "
        ) + f"{one.candidate.name}, {seen}, on this training set, {len(m.seeds)} paired seeds and "
            f"{m.test_rows:,} frozen test rows.",
    }  # fmt: skip
