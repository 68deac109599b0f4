"""Fits: a training set and a spec to the scores of the test rows, once per seed, never twice.

The one idea: a fit is known by the sorted multiset of what it learnt from, the spec, the seed and
the revisions of all it rests on. What it learnt is stored beside its scores, so new test texts are
scored without training again. A file is written whole after each fit; a kill loses what the fit in
flight did since its last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .answers import CLASSIFICATION, TOKENS, answer_text, check_answers, classes_of, labels_of
from .checkpoints import CHECKPOINT_S, Checkpoint
from .device import check_method, this_machine
from .embed import Encoder, Features, Progress, Report, library_version
from .errors import FitError
from .keys import FloatArray, hash_parts, text_key
from .pieces import Span, pieces_of, spans_of
from .probe import Projection
from .records import run_record
from .spec import VIRTUAL, FitSpec
from .stored import Stored, fit_path, read_fit, write_fit
from .tiers import Fit, Tier, Training, asked_of, ready_tier

FIT_VERSION = "1"
"""Raised when the same inputs give other scores than before."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """The scores of one seed.

    probabilities: shape (m, k), float32, in the order of the test texts and of the classes asked
        for; a class that training lacks has 0.
    cpu_s: CPU seconds of training and scoring, when it was done.
    cached: whether nothing was trained now.
    key: of the fit, 32 hexadecimal digits.
    record: what was done and with what; see `run_record`.
    spans: of the tokens task, those found in each text; probabilities are then of shape (0, k).
    """

    seed: int
    probabilities: FloatArray
    cpu_s: float
    cached: bool
    key: str
    record: dict[str, Any] = field(default_factory=dict, compare=False)
    spans: tuple[tuple[Span, ...], ...] = ()


def fit_key(train: Training, spec: FitSpec, seed: int, revision: str) -> str:
    """Hash all that a fit depends on; the order of the rows does not matter.

    Args:
        train: The training rows.
        spec: The training spec.
        seed: The seed.
        revision: Of the features and all libraries, as `fit_revision` gives it.

    Returns:
        32 hexadecimal digits.
    """
    # Groups count where they decide what is held out.
    groups = (train.groups or train.texts) if spec.validation else ()
    rows = sorted(
        hash_parts(text, answer_text(label), repr(float(weight)), *groups[i : i + 1])
        for i, (text, label, weight) in enumerate(
            zip(train.texts, train.labels, train.weights, strict=True)
        )
    )
    # The first release left adapters' dropout on when it scored.
    quiet = ("dropout off in scoring",) if spec.dropout else ()
    return hash_parts(FIT_VERSION, *rows, spec.key(), str(seed), revision, *quiet)


def fit_revision(spec: FitSpec, model: Features, projection: Projection | None) -> str:
    """Hash the revisions of model, projection and libraries that a tier's fits rest on."""
    libraries = ["numpy"] if spec.tier == "probe" else ["numpy", "torch", "transformers", "peft"]
    head = projection.revision if projection is not None and spec.tier == "probe" else "logistic"
    versions = [f"{name} {library_version(name)}" for name in libraries]
    return hash_parts(model.revision, model.numerics, head, *versions)


def fit_scores(  # noqa: PLR0913 - a fit rests on this much
    train: Training,
    test_texts: Sequence[str],
    *,
    classes: tuple[str, ...],
    spec: FitSpec,
    seeds: Sequence[int],
    model: Features,
    projection: Projection | None,
    cache: Path,
    progress: Report | None = None,
    checkpoint_s: float = CHECKPOINT_S,
) -> list[FitResult]:
    """Score the test texts with models trained on these rows, one per seed.

    Args:
        train: The training rows, in any order.
        test_texts: m texts.
        classes: Columns of the probabilities; must hold every training label. Of the tokens task
            these are the spans' labels, and what is given are spans.
        spec: Tier, method and numbers of the training.
        seeds: One fit each.
        model: Features of the texts; an encoder above the probe.
        projection: Of the probe; None above it.
        cache: Folder of all caches; fits go to `fits/` in it.
        progress: Called per fit with stage "fit" (`cached` counts those not trained now), per step
            of a fit with stage "step" (of all steps that are to be done now), and for missing
            features with stages "embed" and "activations".
        checkpoint_s: Wall seconds between two checkpoints of a fit; 0 for each step.

    Returns:
        One result per seed, in the order of the seeds.

    Raises:
        FitError: No rows, one class only, a bad weight, a label outside classes, a loss or feature
            that is not finite, a tier that this model cannot have, no memory, or a full disk.
    """
    _check(train, classes, spec, model, projection)
    revision = fit_revision(spec, model, projection)
    own = classes_of(train.labels, spec.task)
    asked = asked_of(test_texts, spec.task, model)
    keys = [fit_key(train, spec, seed, revision) for seed in seeds]
    due = sum(not fit_path(cache, key).exists() for key in keys)
    tier: Tier | None = None
    results: list[FitResult] = []
    for seed, key in zip(seeds, keys, strict=True):
        stored = read_fit(fit_path(cache, key), own)
        cached = stored is not None
        if stored is None or not set(asked.keys) <= stored.scores.keys():
            at = Checkpoint(cache / "checkpoints" / f"{key}.npz", checkpoint_s)
            before = len(results) - sum(r.cached for r in results)
            with _memory_errors(spec):
                tier = tier or ready_tier(
                    train, asked, spec, model, projection,
                    cache=cache, progress=progress,
                )  # fmt: skip
                stored = _fitted(
                    tier, stored, seed, asked.keys, at, _steps(progress, before, due),
                    partial(run_record, train, spec, model, seed=seed, key=key),
                )  # fmt: skip
            write_fit(fit_path(cache, key), stored, own)
            at.remove()
        results.append(
            FitResult(
                seed, _probabilities(stored, test_texts, own, classes, spec), stored.cpu_s, cached,
                key, stored.record, _spans(stored, test_texts, own, spec, model),
            )
        )  # fmt: skip
        if progress:
            done = sum(r.cached for r in results)
            progress(Progress("fit", len(results), len(seeds), done))
    return results


def _steps(progress: Report | None, before: int, due: int) -> Report | None:
    """Tell the steps of one fit as a part of all that are to be trained now."""
    if progress is None:
        return None

    def tell(at: Progress) -> None:
        progress(Progress(at.stage, before * at.total + at.done, due * at.total, at.cached))

    return tell


def _check(
    train: Training,
    classes: tuple[str, ...],
    spec: FitSpec,
    model: Features,
    projection: Projection | None,
) -> None:
    if not len(train.texts) == len(train.labels) == len(train.weights):
        raise FitError(
            f"training got {len(train.texts)} texts, {len(train.labels)} labels and "
            f"{len(train.weights)} weights; expected one of each per row"
        )
    if not train.texts:
        raise FitError("the training set is empty; see which step dropped its rows")
    weights = np.asarray(train.weights, dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise FitError("a training weight is negative or not finite, or all are 0")
    check_answers(train.labels, spec.task)
    present = {label for answer in train.labels for label in labels_of(answer, spec.task)}
    if len(present) == 1 and spec.task == CLASSIFICATION:
        raise FitError(
            f"all {len(train.texts)} training rows have the label {present.pop()!r}; "
            "a classifier needs two classes"
        )
    if lost := sorted(present - set(classes)):
        raise FitError(f"training has labels that were not asked for: {lost[:5]}")
    _check_model(train, spec, model, projection)


def _check_model(
    train: Training, spec: FitSpec, model: Features, projection: Projection | None
) -> None:
    if spec.tier == "probe":
        if projection is None:
            raise FitError("the probe tier needs a projection; fit_projection makes one")
        return
    if train.groups is not None and len(train.groups) != len(train.texts):
        raise FitError(f"training got {len(train.texts)} texts and {len(train.groups)} groups")
    check_method(spec.method, this_machine())
    if not isinstance(model, Encoder):
        raise FitError(f"the {spec.tier} tier needs an encoder; {model.name} is none")
    if model.max_tokens != spec.max_tokens:
        raise FitError(
            f"the spec cuts texts at {spec.max_tokens} tokens, the encoder at {model.max_tokens}; "
            "open it with the spec's max_tokens"
        )
    most = model.folder.max_positions - spec.virtual_tokens
    if spec.method in VIRTUAL and spec.max_tokens > most:
        raise FitError(
            f"{spec.method} puts {spec.virtual_tokens} virtual tokens before the text, so "
            f"{model.name} takes max_tokens up to {most}; it is {spec.max_tokens}"
        )


def _fitted(
    tier: Tier, stored: Stored | None, seed: int, keys: Sequence[bytes], checkpoint: Checkpoint,
    report: Report | None, about: Callable[[Fit, float], dict[str, Any]],
) -> Stored:  # fmt: skip
    """Train unless a state is stored, and score the test texts beside those already scored."""
    start = time.process_time()
    fit = Fit(stored.state) if stored else tier.fit(seed, checkpoint, report)
    scores = dict(zip(keys, tier.score(fit.state), strict=True))
    spent = time.process_time() - start
    if stored is not None:
        return replace(stored, scores=stored.scores | scores)
    return Stored(fit.state, scores, spent, fit.rows, about(fit, spent))


def _probabilities(
    stored: Stored,
    texts: Sequence[str],
    own: tuple[str, ...],
    classes: tuple[str, ...],
    spec: FitSpec,
) -> FloatArray:
    keys = [] if spec.task == TOKENS else [text_key(text) for text in texts]
    return _columns(stored, keys, own, own if spec.task == TOKENS else classes)


def _spans(
    stored: Stored, texts: Sequence[str], own: tuple[str, ...], spec: FitSpec, model: Features
) -> tuple[tuple[Span, ...], ...]:
    """Read the likeliest tag of each word, and the spans off them."""
    if spec.task != TOKENS:
        return ()
    assert isinstance(model, Encoder), "checked at the door"
    found = []
    for cut in pieces_of(texts, model):
        words = [word for piece in cut for word in piece.words]
        keys = [key for piece in cut for key in piece.word_keys()]
        tags = [own[int(stored.scores[key].argmax())] for key in keys]
        found.append(tuple(spans_of(words, tags)))
    return tuple(found)


def _columns(
    stored: Stored, keys: Sequence[bytes], own: tuple[str, ...], classes: tuple[str, ...]
) -> FloatArray:
    found = np.zeros((len(keys), len(classes)), dtype=np.float32)
    if keys:
        place = {name: k for k, name in enumerate(classes)}
        found[:, [place[name] for name in own]] = np.stack([stored.scores[key] for key in keys])
    return found


@contextmanager
def _memory_errors(spec: FitSpec) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        told = str(error)
        if isinstance(error, RuntimeError) and not any(
            sign in told for sign in ("out of memory", "not enough memory", "can't allocate memory")
        ):
            raise
        layers = f", layers (now {spec.layers})" if spec.tier == "top-layers" else ""
        raise FitError(
            f"the {spec.tier} fit ran out of memory; lower max_tokens (now {spec.max_tokens})"
            f"{layers}, train adapters (method: lora) where it is full, or close other programs"
        ) from error
