"""How well a version's model does, and where it goes wrong, with the rows to look at.

The one idea: scores are means, and a person mends rows. So beside each score stand the slices where
it is low, the pairs of classes that are taken for each other, and the hardest rows, with text.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.comparing import spec_and_context
from curator.errors import MeasureError
from curator.impact.banks import refuse_other_tasks
from curator.impact.budget import refuse_locked
from curator.impact.design import GROUP_SEED, Side, fit_spec
from curator.impact.groups import item_groups
from curator.impact.measure import side_of
from curator.impact.metrics import (
    accuracy,
    best_temperature,
    bootstrapped,
    calibration_error,
    confusions,
    cooled,
    macro_f1,
)
from curator.impact.statistics import MIN_SLICE_ROWS, FloatArray, crossed, half_width
from curator.impact.trials import Trials, open_trials, training_of
from curator.label_maps import renamed
from curator.options import unknown_name
from curator.progress import SILENT, Progress
from curator.recipe import TIERS
from curator.versions.store import Store

SEEDS = (0, 1, 2)
HARDEST, PAIRS, TEXTS = 20, 15, 3
MOST_VALUES = 30  # a user column of more values is no slice
HELD_OUT = 10  # one training row in so many calibrates, where there is no validation row


def scores(
    store: Store,
    ref: str,
    *,
    tier: str = "probe",
    recipe: Path | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Score one version on its frozen test rows, and analyse its errors.

    Args:
        store: Holds the version.
        ref: Version, branch or tag.
        tier: probe, top-layers or all-layers.
        recipe: Gives the spec; None takes the one kept with the version.
        progress: Told what happens.

    Returns:
        JSON values: metrics with intervals, calibration, slices, confused pairs, hardest rows.

    Raises:
        MeasureError: The tier is unknown, or the test rows can carry nothing.
    """
    if tier not in TIERS:
        raise MeasureError(unknown_name("scores", "tier", tier, TIERS))
    version = store.version(ref)
    refuse_other_tasks(version, "scores")
    refuse_locked(store, version.lock, "scores")
    spec, context = spec_and_context(store, version, version, recipe, progress)
    if tier != "probe" and not context.is_encoder:
        raise MeasureError(f"--tier {tier}: {context.no_encoder()}; take --tier probe")
    side = side_of(store, version)
    trials = open_trials(side, (), context, fit_spec(tier, spec, context))
    found = _answered(side, trials)
    groups = trials.groups
    metrics = {
        name: asdict(bootstrapped(score, found.wanted, found.told, groups,
                                  classes=len(found.classes), seed=0))
        for name, score in (("accuracy", accuracy), ("macro_f1", macro_f1))
    }  # fmt: skip
    return {
        "version": version.id, "tier": tier, "model": context.model_note(), "seeds": list(SEEDS),
        "test_rows": len(trials.ids),
        "metrics": {**metrics, "micro_f1": metrics["accuracy"]},
        "notes": [
            "micro-F1 is accuracy where a row has one label",
            "intervals: 95 %, over seeds and groups of test rows; descriptive, no verdict",
        ],
        "calibration": _calibration(found),
        "slices": list(_slices(found, trials, store.rows(version), context)),
        "confused": list(_confused(found, trials)),
        "hardest": list(_hardest(found, trials)),
        "fits": trials.fits, "cost_cpu_s": trials.cpu_s,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Answered:
    """What the models of a version answered.

    classes: Names under the version's maps, k of them.
    probabilities: Shape (s, m, k), on the test rows.
    wanted, told: Right answers (m,) and predictions (s, m), as numbers of classes.
    held: Probabilities (n, k) and right answers (n,) of rows no model has seen, for calibration.
    held_of: Where these rows come from.
    """

    classes: tuple[str, ...]
    probabilities: FloatArray
    wanted: Any
    told: Any
    held: tuple[FloatArray, Any]
    held_of: str
    texts: tuple[str, ...]


def _answered(side: Side, trials: Trials) -> _Answered:
    texts = trials.served(side.transforms)
    train = side.train()
    held = side.rows.filter(pc.equal(side.rows["split"], "validation"))
    of, training, seeds = "the validation rows", training_of(train), SEEDS[:1]
    names, raw = trials.answers(training_of(train), texts, seeds=SEEDS)
    if not held.num_rows:
        out = [int(schema.hash_fields("held", g)[:8], 16) % HELD_OUT == 0
               for g in train["group"].to_pylist()]  # fmt: skip
        mask = pa.array(out)
        held, training = train.filter(mask), training_of(train.filter(pc.invert(mask)))
        of = f"one training row in {HELD_OUT}, by group, left out of a fit of its own"
    own, other = trials.answers(training, held["text"].to_pylist(), seeds=seeds)
    classes = tuple(sorted({renamed(n, trials.maps) for n in (*names, *own)} | set(trials.labels)))
    number = {name: k for k, name in enumerate(classes)}
    probabilities = _gathered(names, raw, number, trials.maps)
    wanted = np.array([number[label] for label in trials.labels])
    kept = [renamed(label, trials.maps) for label in held["label"].to_pylist()]
    known = np.array([label in number for label in kept], dtype=bool)
    goal = np.array([number[label] for label in kept if label in number], dtype=np.int64)
    return _Answered(
        classes, probabilities, wanted, probabilities.argmax(axis=2),
        (_gathered(own, other, number, trials.maps)[0][known], goal), of, texts,
    )  # fmt: skip


def _gathered(
    names: Sequence[str], probabilities: FloatArray, number: Mapping[str, int], maps: Any
) -> FloatArray:
    """Add up the probabilities of classes that are one under the version's maps."""
    found = np.zeros((*probabilities.shape[:2], len(number)))
    for k, name in enumerate(names):
        found[:, :, number[renamed(name, maps)]] += probabilities[:, :, k]
    return found


def _calibration(found: _Answered) -> dict[str, Any]:
    held, wanted = found.held
    temperature = best_temperature(held, wanted) if len(wanted) else 1.0
    right = found.told == found.wanted[None, :]
    before = [
        calibration_error(p.max(axis=1), ok)
        for p, ok in zip(found.probabilities, right, strict=True)
    ]
    after = [
        calibration_error(cooled(p, temperature).max(axis=1), ok)
        for p, ok in zip(found.probabilities, right, strict=True)
    ]
    return {
        "ece": float(np.mean(before)), "ece_at_temperature": float(np.mean(after)),
        "temperature": temperature, "temperature_from": found.held_of, "held_rows": len(wanted),
    }  # fmt: skip


def _slices(
    found: _Answered, trials: Trials, rows: pa.Table, context: Any
) -> Iterator[dict[str, Any]]:
    """Describe accuracy on named parts of the test rows, with intervals, the lowest first."""
    right = (found.told == found.wanted[None, :]).astype(np.float64)
    told = []
    for kind, names in _kinds(found, trials, rows, context):
        for name in sorted(set(names) - {""}):
            inside = np.array([one == name for one in names])
            part = right[:, inside]
            size, score = int(inside.sum()), float(part.mean())
            low = high = None
            if size >= MIN_SLICE_ROWS:
                estimate = crossed(part, np.arange(size))
                half = half_width(estimate.variance, estimate.df, size, 0.05)
                low, high = max(0.0, score - half), min(1.0, score + half)
            told.append({"slice": kind, "name": name, "rows": size, "accuracy": score,
                         "low": low, "high": high})  # fmt: skip
    yield from sorted(told, key=lambda s: (s["low"] is None, s["accuracy"], s["slice"], s["name"]))


def _kinds(
    found: _Answered, trials: Trials, rows: pa.Table, context: Any
) -> Iterator[tuple[str, list[str]]]:
    texts = found.texts
    yield "class", list(trials.labels)
    lengths = np.array([len(text) for text in texts])
    cuts = np.quantile(lengths, [1 / 3, 2 / 3])
    words = ("short", "middling", "long")
    yield "length", [words[int((length > cuts).sum())] for length in lengths]
    yield "script", [script_of(text) for text in texts]
    yield "in training", ["" if ok else "near-duplicate in training" for ok in trials.fresh]
    vectors = context.embed(texts)
    clusters = item_groups(["one"] * len(texts), vectors, seed=GROUP_SEED).groups
    yield "cluster", [_named(c, clusters, texts, vectors) for c in clusters.tolist()]
    columns = ["source", *schema.user_columns(rows)]
    for column in columns:
        if column in trials.raw.column_names:
            values = ["" if v is None else str(v) for v in trials.raw[column].to_pylist()]
            if 1 < len(set(values)) <= MOST_VALUES:
                yield column, values


def _named(cluster: int, clusters: Any, texts: Sequence[str], vectors: Any) -> str:
    """Name a cluster by its most central text."""
    inside = np.flatnonzero(clusters == cluster)
    middle = vectors[inside].mean(axis=0)
    return f"{cluster}: like {texts[inside[int((vectors[inside] @ middle).argmax())]][:60]}"


def script_of(text: str) -> str:
    """Name the writing system of most letters of a text: LATIN, CJK, CYRILLIC; "none" for none."""
    found = Counter(
        unicodedata.name(letter, "OTHER").split()[0] for letter in text if letter.isalpha()
    )
    return min(found, key=lambda name: (-found[name], name)) if found else "none"


def _confused(found: _Answered, trials: Trials) -> Iterator[dict[str, Any]]:
    for right, taken, rows in confusions(found.wanted, found.told)[:PAIRS]:
        wrong = (found.told == taken).mean(axis=0) * (found.wanted == right)
        worst = [i for i in np.argsort(-wrong, kind="stable")[:TEXTS] if wrong[i] > 0]
        yield {
            "label": found.classes[right], "predicted": found.classes[taken], "rows": rows,
            "texts": [{"id": trials.ids[i], "text": found.texts[i]} for i in worst],
        }  # fmt: skip


def _hardest(found: _Answered, trials: Trials) -> Iterator[dict[str, Any]]:
    at = np.arange(len(found.wanted))
    sure = found.probabilities[:, at, found.wanted].mean(axis=0)
    mean = found.probabilities.mean(axis=0)
    for i in np.argsort(sure, kind="stable")[:HARDEST]:
        yield {
            "id": trials.ids[i], "text": found.texts[i], "label": trials.labels[i],
            "predicted": found.classes[int(mean[i].argmax())], "p_label": float(sure[i]),
        }  # fmt: skip
