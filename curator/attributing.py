"""What each step of a chain brought, asked of the probe in every company of steps.

The one idea: a set of steps is trained on as if the others had never run, in the order that was
run. What a step decides then is either what it decided in the run (`frozen`: cheap, and honest
about the data) or what its check says now (`rerun`: honest about the checks too).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

import finetune
from curator import schema
from curator.comparing import spec_and_context
from curator.context import Context
from curator.errors import MeasureError
from curator.execute import execute
from curator.impact.banks import refuse_other_tasks
from curator.impact.budget import refuse_locked
from curator.impact.design import Side, fit_spec
from curator.impact.influence import LARGE_SHARE, Influence, ridge_influence
from curator.impact.measure import side_of
from curator.impact.shapley import MOST_STEPS, Share, Shares, companies, share_out
from curator.impact.trials import Trials, open_trials, training_of
from curator.progress import SILENT, Progress
from curator.recipe import MeasureSpec
from curator.replaying import first_parent_line, labels_of, run_of, spec_of
from curator.versions.manifest import Version
from curator.versions.store import Store

Decisions = Literal["frozen", "rerun"]
SEEDS = (0, 1, 2, 3)
ATTRIBUTION_VERSION = 1
KIND = "attributions"
SEEN = ("text", "label", "weight")  # what a fit sees of a row


def attribution(
    store: Store,
    ref: str,
    *,
    decisions: Decisions = "frozen",
    by: str | None = None,
    recipe: Path | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Share the effect of a whole chain out among its steps, on the probe.

    Args:
        store: Holds the chain.
        ref: Its last version.
        decisions: frozen takes what each step decided in the run; rerun asks its check again.
        by: A column of the rows whose groups (as annotators) the ridge influence is summed by too.
        recipe: Gives the spec; None takes the one kept with the version.
        progress: Told what happens.

    Returns:
        JSON values: order, total, per step its waterfall, leave-one-out and Shapley share with
        intervals, and exact ridge influence by step, source, class and `by`.

    Raises:
        MeasureError: There is no step, no usable test row, or a step cannot be run again.
    """
    if decisions not in {"frozen", "rerun"}:
        raise MeasureError(f"--decisions {decisions!r}: expected frozen or rerun")
    line = first_parent_line(store, store.version(ref))
    if len(line) == 1:
        raise MeasureError(f"version {line[0].short} is an import: it has no step to attribute to")
    refuse_other_tasks(line[-1], "attribution")
    refuse_locked(store, line[-1].lock, "attribution")
    spec, context = spec_and_context(store, line[0], line[-1], recipe, progress)
    key = schema.hash_fields(
        ATTRIBUTION_VERSION, decisions, by, [v.id for v in line], [v.content for v in line],
        context.model.revision, context.model.numerics,
    )  # fmt: skip
    known = store.recorded(KIND, key)
    if known is None:
        known = _attributed(store, line, spec, context, decisions, by)
        store.record(KIND, key, known)
    return known


def attribution_known(store: Store, version: str) -> dict[str, Any] | None:
    """Give the attribution that was made of a version, the frozen one first; None where none."""
    made = [one for one in store.records(KIND) if one["version"] == version]
    return min(made, key=lambda one: one["decisions"], default=None)


def _attributed(
    store: Store,
    line: Sequence[Version],
    spec: MeasureSpec,
    context: Context,
    decisions: Decisions,
    by: str | None,
) -> dict[str, Any]:
    sides = [side_of(store, version) for version in line]
    chain = _Chain(store, tuple(line), tuple(sides))
    trials = open_trials(sides[-1], sides[:1], context, fit_spec("probe", spec, context))
    moved = [at for at in range(1, len(line)) if chain.moves(at)]
    if not moved:
        raise MeasureError(
            "no step changed a training row or a test text: there is nothing to share"
        )
    context.progress.say(
        f"share   {len(companies(len(moved)))} sets of {len(moved)} steps, {len(SEEDS)} seeds each "
        f"(probe, decisions {decisions})"
    )
    sets = _frozen(chain, moved) if decisions == "frozen" else _rerun(chain, moved, context)
    scores = {
        company: trials.hits(training, trials.served(transforms), seeds=SEEDS)[:, trials.fresh]
        for company, training, transforms in sets
    }
    shares = share_out(scores, trials.groups[trials.fresh], steps=len(moved))
    names = [line[at].step.name for at in moved]
    influence = _influences(chain, trials, by)
    return {
        "version": line[-1].id,
        "tier": "probe",
        "model": context.model_note(),
        "decisions": decisions,
        "order": [version.step.name for version in line[1:]],
        "without_effect": [v.step.name for v in line[1:] if v.step.name not in names],
        "seeds": list(SEEDS),
        "test_rows": int(trials.fresh.sum()),
        "total": asdict(shares.total),
        "steps": [_step(name, j, shares, influence["steps"]) for j, name in enumerate(names)],
        "sentence": _sentence(names, shares, decisions),
        "influence": influence,
        "fits": trials.fits,
        "cost_cpu_s": trials.cpu_s,
    }


def _step(
    name: str, at: int, shares: Shares, influence: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    told: dict[str, Any] = {"step": name, "waterfall": asdict(shares.waterfall[at])}
    told["leave_one_out"] = asdict(shares.leave_one_out[at])
    told["shapley"] = asdict(shares.shapley[at]) if shares.shapley else None
    told["ridge_margin"] = next((one["sum"] for one in influence if one["name"] == name), None)
    return told


def _sentence(names: Sequence[str], shares: Shares, decisions: Decisions) -> str:
    total = shares.total
    asked = shares.shapley or shares.leave_one_out
    way = "Shapley" if shares.shapley else "leave-one-out"
    parts = [f"{name} {_points(one)}" for name, one in zip(names, asked, strict=True)]
    checks = (
        "each step decides as it did in the run, whatever stands beside it"
        if decisions == "frozen"
        else "each step's check was run again on the rows of its company"
    )
    left = "" if shares.shapley else f"; more than {MOST_STEPS} steps, so no Shapley value"
    return (
        f"In all {_points(total)}; by {way} value: {'; '.join(parts)}. This holds for the order "
        f"that was run ({', '.join(names)}): in another order the steps would make other rows and "
        f"other shares; {checks} ({decisions}){left}. Probe tier, descriptive: no verdict, 95 % "
        "intervals of each share alone."
    )


def _points(share: Share) -> str:
    apart = "" if share.separable else " (cannot be told from nothing)"
    return (
        f"{100 * share.effect:+.2f} points [{100 * share.low:+.2f}, {100 * share.high:+.2f}]{apart}"
    )


@dataclass(frozen=True, slots=True)
class _Chain:
    """The versions of a chain, the import first, and their rows."""

    store: Store
    versions: tuple[Version, ...]
    sides: tuple[Side, ...]

    def seen(self, at: int) -> dict[str, tuple[str, str, float]]:
        """Give what a fit sees of each training row of a version, by id."""
        train = self.sides[at].train()
        columns = [train[name].to_pylist() for name in SEEN]
        return dict(zip(train["id"].to_pylist(), zip(*columns, strict=True), strict=True))

    def transforms(self, at: int) -> Sequence[Mapping[str, Any]]:
        """Give the serving transforms that a step added."""
        return self.sides[at].transforms[len(self.sides[at - 1].transforms) :]

    def moves(self, at: int) -> bool:
        """Say whether a step changed anything that a model sees."""
        return self.seen(at) != self.seen(at - 1) or bool(self.transforms(at))


Made = tuple[int, finetune.Training, Sequence[Mapping[str, Any]]]


def _frozen(chain: _Chain, moved: Sequence[int]) -> Iterator[Made]:
    """Make the training set of each company from what its steps changed in the run."""
    edits = [_edits(chain.seen(at - 1), chain.seen(at)) for at in moved]
    start = chain.seen(0)
    for company in companies(len(moved)):
        rows, transforms = dict(start), list(chain.sides[0].transforms)
        for j, (gone, changed, added) in enumerate(edits):
            if company >> j & 1:
                _put_on(rows, gone, changed, added)
                transforms += chain.transforms(moved[j])
        yield company, _training(list(rows.values())), transforms


Edits = tuple[set[str], dict[str, dict[int, Any]], dict[str, tuple[str, str, float]]]


def _edits(before: Mapping[str, Any], after: Mapping[str, Any]) -> Edits:
    """Give the rows that went, the cells that changed and the rows that came."""
    changed = {
        row: {
            c: new for c, (old, new) in enumerate(zip(before[row], now, strict=True)) if old != new
        }
        for row, now in after.items()
        if row in before and before[row] != now
    }
    added = {row: now for row, now in after.items() if row not in before}
    return set(before) - set(after), changed, added


def _put_on(
    rows: dict[str, Any], gone: set[str], changed: Mapping[str, Mapping[int, Any]], added: Any
) -> None:
    for row in gone:
        rows.pop(row, None)
    for row, cells in changed.items():
        if row in rows:
            rows[row] = tuple(cells.get(c, old) for c, old in enumerate(rows[row]))
    rows.update(added)


def _training(rows: Sequence[tuple[str, str, float]]) -> finetune.Training:
    texts, labels, weights = zip(*rows, strict=True)
    return finetune.Training(texts, labels, np.array(weights, dtype=np.float32))


def _rerun(chain: _Chain, moved: Sequence[int], context: Context) -> Iterator[Made]:
    """Make the training set of each company by running its steps again, prefixes once."""
    about = run_of(chain.store, chain.versions[-1])
    labels, wanted = labels_of(about), set(companies(len(moved)))

    def further(at: int, company: int, rows: pa.Table, transforms: Any) -> Iterator[Made]:
        if at == len(moved):
            if company in wanted:
                yield company, training_of(rows), transforms
            return
        rest = (1 << at) - 1
        if not any(one & rest == company for one in wanted):
            return
        yield from further(at + 1, company, rows, transforms)
        version = chain.versions[moved[at]]
        spec = spec_of(version)
        if spec is None:
            raise MeasureError(
                f"step {version.step.name!r} is of no recipe and cannot be run again; take "
                "--decisions frozen"
            )
        done = execute(spec, version.step.name, rows, context, transforms=transforms, labels=labels)
        yield from further(at + 1, company | 1 << at, done.rows, done.transforms)

    start = chain.sides[0]
    yield from further(0, 0, start.rows, tuple(start.transforms))


def _influences(chain: _Chain, trials: Trials, by: str | None) -> dict[str, Any]:
    """Sum the exact ridge influence of the rows by step, source, class and a column of theirs."""
    last = chain.sides[-1].train()
    if by is not None and by not in last.column_names:
        raise MeasureError(f"--by {by!r}: the rows have no such column, only {last.column_names}")
    wanted = sorted({*trials.labels, *last["label"].to_pylist()})
    found = [_influence(side, chain.sides[-1], trials, wanted) for side in chain.sides]
    steps = []
    for at in range(1, len(chain.versions)):
        before, after = found[at - 1][1], found[at][1]
        gone, changed, added = _edits(chain.seen(at - 1), chain.seen(at))
        total = sum(after[row] for row in added) - sum(before[row] for row in gone)
        total += sum(after[row] - before[row] for row in changed)
        rows = len(gone) + len(changed) + len(added)
        share = rows / max(1, len(before))
        steps.append(
            {"name": chain.versions[at].step.name, "rows": rows, "sum": total,
             "large": share > LARGE_SHARE}
        )  # fmt: skip
    influence, of_row = found[-1]
    ids, columns = last["id"].to_pylist(), {"source": "source", "class": "label"}
    if by is not None:
        columns[by] = by
    return {
        "of": "ridge margin (score of the right class less its strongest rival's)",
        "margin": influence.margin,
        "steps": steps,
        **{
            f"by_{name}": _summed(ids, last[column].to_pylist(), of_row)
            for name, column in columns.items()
        },
    }


def _influence(
    side: Side, final: Side, trials: Trials, classes: Sequence[str]
) -> tuple[Influence, dict[str, float]]:
    train, context = side.train(), trials.context
    texts = train["text"].to_pylist()
    names = sorted({*classes, *train["label"].to_pylist()})
    number = {name: k for k, name in enumerate(names)}
    test = context.projection.apply(context.embed(trials.served(final.transforms)))
    found = ridge_influence(
        context.projection.apply(context.embed(texts)),
        np.array([number[label] for label in train["label"].to_pylist()]),
        train["weight"].to_numpy(),
        test[trials.fresh],
        np.array([number[n] for n, ok in zip(trials.labels, trials.fresh, strict=True) if ok]),
        classes=len(names),
    )
    return found, dict(zip(train["id"].to_pylist(), found.rows.tolist(), strict=True))


def _summed(
    ids: Sequence[str], names: Sequence[Any], of_row: Mapping[str, float]
) -> list[dict[str, Any]]:
    sums: dict[str, list[float]] = {}
    for row, name in zip(ids, names, strict=True):
        sums.setdefault("" if name is None else str(name), []).append(of_row[row])
    told = [
        {"name": name, "rows": len(values), "sum": sum(values),
         "large": len(values) > LARGE_SHARE * len(ids)}
        for name, values in sums.items()
    ]  # fmt: skip
    return sorted(told, key=lambda one: (one["sum"], one["name"]))
