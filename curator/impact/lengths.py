"""Is it the rows, or the length of training? A change of size, measured a second way.

The one idea: at equal updates a smaller set is seen more often, at equal epochs it is trained on
for fewer steps; either could pass for an effect of the data. So where a change moves the number of
training rows by more than 2 % and is about to be called better or worse, it is measured at equal
epochs too, and called only if both say so. An arm that nobody needs is not trained.
"""

from __future__ import annotations

from dataclasses import replace

from curator.context import Context
from curator.impact.claim import Measurement
from curator.impact.design import Ready, Side, right_answers
from curator.impact.sequence import share_at
from curator.impact.statistics import ALPHA, FloatArray, crossed, interval, verdict

MOVED = 0.02


def resized(ready: Ready) -> bool:
    """Say whether a change moves the number of training rows by more than 2 %."""
    before, after = (len(side.training().texts) for side in (ready.before, ready.after))
    return abs(after - before) > MOVED * before


def with_equal_epochs(found: Measurement, ready: Ready, context: Context) -> Measurement:
    """Add what the change does at equal epochs, where a call may hang on it.

    Args:
        found: The measurement at equal updates.
        ready: What it was finished from.
        context: Features and caches.

    Raises:
        finetune.FitError: A fit failed.
    """
    if found.estimate is None or not resized(ready):
        return found
    # At the most generous level it may be read at; a stricter one can call nothing more.
    level = ALPHA * share_at(found.plan, len(found.seeds))
    if verdict(*interval(found.estimate, level), found.margin) not in {"better", "worse"}:
        return found
    (one, cost), (other, more) = (
        _hits(side, ready, context, found.seeds) for side in (ready.before, ready.after)
    )
    differences = (other - one)[:, ready.fresh]
    return replace(
        found,
        epochs=crossed(differences, ready.groups[ready.fresh]),
        cost_cpu_s=found.cost_cpu_s + cost + more,
        fits=found.fits + 2 * len(found.seeds),
    )


def _hits(
    side: Side, ready: Ready, context: Context, seeds: tuple[int, ...]
) -> tuple[FloatArray, float]:
    """Train one side with as many batches an epoch as its own rows fill."""
    training = side.training()
    rows = len(ready.before.training().texts)
    batches = max(1, round(ready.fit.batches * len(training.texts) / rows))
    own = replace(ready, fit=replace(ready.fit, batches=batches))
    return right_answers(own, training, context, seeds=seeds, after=side is ready.after)
