"""One step on one table of rows: check, rule, decide; or augment and filter.

Nothing here knows versions: rows and context in, rows with decisions and findings out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import augmenters
import finetune
from curator import filters, schema
from curator.checks.label_errors import kin_note
from curator.context import Context, served
from curator.decide import Decided, added, decide, rejected
from curator.errors import StepError
from curator.label_maps import benchmark_name, label_maps, renamed
from curator.labels import Label
from curator.options import options_of, plain
from curator.own_checks import ask_own
from curator.recipe import StepSpec
from curator.registry import AUGMENT_VERSION, MODEL_NEEDS, OWN, STEPS, check_of, needs_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step made of rows.

    transforms: Serving transforms of the child version, the parent's included.
    notes: Sentences a person should read.
    """

    rows: pa.Table
    decisions: pa.Table
    findings: pa.Table
    transforms: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


def step_version(kind: str) -> int:
    """Give the version of a step's code; it enters version ids."""
    return AUGMENT_VERSION if kind == "augment" else STEPS[kind].version


def model_of(step: StepSpec, context: Context) -> dict[str, str] | None:
    """Name the model a step rests on: name, revision, numerics; None where it asks none."""
    if step.kind != "augment" and not MODEL_NEEDS & set(needs_of(step.kind, step.options)):
        return None
    model = context.model
    return {"name": model.name, "revision": model.revision, "numerics": model.numerics}


def execute(
    step: StepSpec,
    name: str,
    rows: pa.Table,
    context: Context,
    *,
    transforms: tuple[Mapping[str, Any], ...],
    labels: Mapping[str, Label],
) -> Outcome:
    """Run one step.

    Args:
        step: Kind and options.
        name: The step's name in this run; differs from its kind where a kind stands twice.
        rows: The parent version's rows, sorted by id, test rows raw.
        context: Gives pairs and probabilities.
        transforms: The parent version's serving transforms.
        labels: What the recipe knows about labels.

    Raises:
        StepError: The step leaves no training row, or cannot run on these rows.
    """
    try:
        if step.kind == "augment":
            outcome = _augment(step, name, rows, context, transforms=transforms, labels=labels)
        else:
            outcome = _check_and_decide(step, name, rows, context, transforms=transforms)
    except finetune.FitError as fault:
        raise StepError(f"step {name!r}: {fault}") from fault
    left = pc.sum(pc.equal(outcome.rows["split"], "train")).as_py() or 0
    if not left:
        raise StepError(f"step {name!r} would leave no training row; loosen its options")
    return outcome


def findings_of(
    kind: str, options: Mapping[str, Any], rows: pa.Table, context: Context
) -> pa.Table:
    """Run the check of a step alone; nothing changes."""
    check = check_of(kind, options)
    own = options_of(check)
    inputs = [context.provide(need, rows) for need in needs_of(kind, options)]
    asked = {k: v for k, v in options.items() if k in own}
    if kind == OWN:
        return ask_own(options["use"], check, rows, inputs, asked)
    found: pa.Table = check(rows, *inputs, **asked)
    return found


def ruled(step: StepSpec, name: str, rows: pa.Table, findings: pa.Table) -> Decided:
    """Apply the rule of a step to findings, new or stored ones."""
    kind = STEPS[step.kind]
    own = options_of(kind.rule)
    rule = kind.rule(rows, findings, **{k: v for k, v in step.options.items() if k in own})
    return decide(rows, findings, rule, step=name)


def _check_and_decide(
    step: StepSpec,
    name: str,
    rows: pa.Table,
    context: Context,
    *,
    transforms: tuple[Mapping[str, Any], ...],
) -> Outcome:
    kind = STEPS[step.kind]
    needs = needs_of(step.kind, step.options)
    if "probabilities" in needs and len(classes := context.classes(rows)) == 1:
        raise StepError(
            f"step {name!r} needs training rows of two classes; all are labelled {classes[0]!r}: "
            "take the step out of the recipe, or bring rows of another class"
        )
    findings = findings_of(step.kind, step.options, served(rows, transforms), context)
    decided = ruled(step, name, rows, findings)
    notes = kind.notes(findings) if kind.notes is not None else ()
    if kind.forecast is not None:
        told = kind.forecast(rows, findings, decided.decisions)
        told += kin_note(rows, findings, context.tree) if "tree" in needs else ()
        for sentence in told:
            context.progress.say(f"  {sentence}")
        notes += told
    transforms = (*transforms, *_serving(step))
    return Outcome(decided.rows, decided.decisions, findings, transforms, notes)


def _serving(step: StepSpec) -> Iterator[Mapping[str, Any]]:
    """Give what of a step also applies to test rows when a model is measured or served."""
    kind = STEPS[step.kind]
    serving = kind.serving or kind.serving_labels
    if serving is None or (kind.serves is not None and not kind.serves(step.options)):
        return
    fix = {k: plain(v) for k, v in step.options.items() if k in options_of(serving)}
    made: dict[str, Any] = {"step": step.kind, "options": fix, "version": kind.version}
    if kind.serving_labels is not None:
        made["benchmark"] = benchmark_name(fix)
    yield made


def _augment(
    step: StepSpec,
    name: str,
    rows: pa.Table,
    context: Context,
    *,
    transforms: tuple[Mapping[str, Any], ...],
    labels: Mapping[str, Label],
) -> Outcome:
    train = rows.filter(pc.equal(rows["split"], "train"))
    now = _renamed(labels, transforms)
    made = [_made(entry, step.options, train, now) for entry in step.options["with"]]
    notes = [note for one in made for note in one.notes]
    notes += [
        f"{entry['augmenter']}: {count:,} rows got no augmented row: {reason}"
        for entry, one in zip(step.options["with"], made, strict=True)
        for reason, count in sorted(Counter(one.failures["reason"].to_pylist()).items())
    ]
    candidates = pa.concat_tables(
        [filters.candidate_rows(_sourced(one), one.lineage, step=name) for one in made]
    )
    candidates = schema.sort_rows(candidates.select(rows.column_names).cast(rows.schema))
    belief = None
    if step.options["keep_label"] > 0 and candidates["parent"].null_count < candidates.num_rows:
        belief = _belief(candidates, rows, context)
    filtered = filters.filter_augmented(
        candidates,
        served(rows, transforms),
        belief,
        near=step.options["near"],
        keep_label=step.options["keep_label"],
    )
    if candidates["parent"].null_count < candidates.num_rows:
        notes += filtered.notes
    kept = candidates.filter(pa.array(filtered.keep))
    decisions = pa.concat_tables(
        [added(kept, step=name), rejected(filtered.findings, candidates, step=name)]
    )
    together = schema.sort_rows(pa.concat_tables([rows, kept]))
    return Outcome(together, decisions, filtered.findings, transforms, tuple(notes))


def _renamed(
    labels: Mapping[str, Label], transforms: tuple[Mapping[str, Any], ...]
) -> dict[str, list[str]]:
    """Give the texts of each label under the name that the label maps so far gave it."""
    texts: dict[str, list[str]] = {}
    for key, label in labels.items():
        texts.setdefault(renamed(key, label_maps(transforms)), []).extend(label.texts)
    return texts


def _made(
    entry: Mapping[str, Any],
    options: Mapping[str, Any],
    train: pa.Table,
    texts: Mapping[str, list[str]],
) -> augmenters.Augmented:
    augmenter = augmenters.AUGMENTERS[entry["augmenter"]]
    own = {k: v for k, v in entry.items() if k != "augmenter"}
    if augmenter.kind == "label_text":
        return augmenter.function(texts, train, seed=options["seed"], **own)
    return augmenter.function(train, seed=options["seed"], **own)


def _sourced(made: augmenters.Augmented) -> pa.Table:
    """Say in each row which augmenter it came from; it stood in no record."""
    count = made.rows.num_rows
    columns = {"source": made.lineage["augmenter"], "source_row": pa.nulls(count, pa.int64())}
    rows = made.rows
    for name, column in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def _belief(candidates: pa.Table, rows: pa.Table, context: Context) -> filters.Belief:
    """Ask, out of fold, how much the label is believed on each candidate and on its parent."""
    train = rows.filter(pc.equal(rows["split"], "train"))
    fitted = context.crossfit(rows)
    place = {row_id: i for i, row_id in enumerate(train["id"].to_pylist())}
    number = {name: k for k, name in enumerate(context.classes(rows))}
    child = np.full(candidates.num_rows, np.nan)
    parent = np.full(candidates.num_rows, np.nan)
    own = [i for i, p in enumerate(candidates["parent"].to_pylist()) if p in place]
    some = candidates.take(pa.array(own, pa.int64()))
    parents = np.array([place[p] for p in some["parent"].to_pylist()], dtype=np.int64)
    labels = np.array([number[label] for label in some["label"].to_pylist()], dtype=np.int64)
    features = context.embed(some["text"].to_pylist())
    predicted = finetune.predict_children(fitted, features, parents)
    child[own] = predicted[np.arange(len(own)), labels]
    parent[own] = fitted.probabilities[parents, labels]
    return filters.Belief(child, parent)
