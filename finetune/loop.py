"""Fits: a training set and a spec to the scores of the test rows, once per seed, never twice.

The one idea: a fit is known by the sorted multiset of what it learnt from, the spec, the seed and
the revisions of all it rests on. What it learnt is stored beside its scores, so new test texts are
scored without training again. A file is written whole after each fit: a kill loses the fit in
flight.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from .embed import Encoder, Features, Progress, Report, embed, library_version
from .encoder import State, activations, fit_top_layers, predict_top_layers
from .errors import FitError
from .keys import KEY_BYTES, FloatArray, IntArray, canonical_order, hash_parts, slot_keys, text_key
from .logistic import blas_threads, fit_logistic
from .probe import Projection, check_finite, fit_probe, predict_probe
from .shards import write_whole
from .spec import FitSpec

FIT_VERSION = "1"
"""Raised when the same inputs give other scores than before."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a model learns from: n texts, their labels, their weights (shape (n,), 0 or more)."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class FitResult:
    """The scores of one seed.

    probabilities: shape (m, k), float32, in the order of the test texts and of the classes asked
        for; a class that training lacks has 0.
    cpu_s: CPU seconds of training and scoring, when it was done.
    cached: whether nothing was trained now.
    key: of the fit, 32 hexadecimal digits.
    """

    seed: int
    probabilities: FloatArray
    cpu_s: float
    cached: bool
    key: str


@dataclass(frozen=True, slots=True)
class _Trainer:
    """A tier, ready: fit a seed, and score the test texts (distinct, in the order given)."""

    fit: Callable[[int], State]
    score: Callable[[State], FloatArray]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A fit as it lies in the cache; scores by text key, each of shape (k,)."""

    state: State
    scores: dict[bytes, FloatArray]
    cpu_s: float


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
    rows = sorted(
        hash_parts(text, label, repr(float(weight)))
        for text, label, weight in zip(train.texts, train.labels, train.weights, strict=True)
    )
    return hash_parts(FIT_VERSION, *rows, spec.key(), str(seed), revision)


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
) -> list[FitResult]:
    """Score the test texts with models trained on these rows, one per seed.

    Args:
        train: The training rows, in any order.
        test_texts: m texts.
        classes: Columns of the probabilities; must hold every training label.
        spec: Tier, method and numbers of the training.
        seeds: One fit each.
        model: Features of the texts; an encoder for `top-layers`.
        projection: Of the probe; None for `top-layers`.
        cache: Folder of all caches; fits go to `fits/` in it.
        progress: Called per fit with stage "fit" (`cached` counts those not trained now), and for
            missing features with stages "embed" and "activations".

    Returns:
        One result per seed, in the order of the seeds.

    Raises:
        FitError: No rows, one class only, a bad weight, a label outside classes, a loss or feature
            that is not finite, a tier that this model cannot have, no memory, or a full disk.
    """
    _check(train, classes, spec, model, projection)
    revision = fit_revision(spec, model, projection)
    own = tuple(sorted(set(train.labels)))
    distinct = {text_key(text): text for text in test_texts}
    trainer: _Trainer | None = None
    results: list[FitResult] = []
    for seed in seeds:
        key = fit_key(train, spec, seed, revision)
        path = cache / "fits" / f"{key}.npz"
        stored = _read(path, own)
        cached = stored is not None
        if stored is None or not distinct.keys() <= stored.scores.keys():
            with _memory_errors(spec):
                trainer = trainer or _trainer(
                    train, distinct, spec, model, projection, cache, progress
                )
                stored = _fitted(trainer, stored, seed, list(distinct))
            _write(path, stored, own)
        found = _columns(stored, [text_key(t) for t in test_texts], own, classes)
        results.append(FitResult(seed, found, stored.cpu_s, cached, key))
        if progress:
            done = sum(r.cached for r in results)
            progress(Progress("fit", len(results), len(seeds), done))
    return results


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
    present = set(train.labels)
    if len(present) == 1:
        raise FitError(
            f"all {len(train.texts)} training rows have the label {present.pop()!r}; "
            "a classifier needs two classes"
        )
    if lost := sorted(present - set(classes)):
        raise FitError(f"training has labels that were not asked for: {lost[:5]}")
    if spec.tier == "probe":
        if projection is None:
            raise FitError("the probe tier needs a projection; fit_projection makes one")
    elif not isinstance(model, Encoder):
        raise FitError(f"the top-layers tier needs an encoder; {model.name} is none")
    elif model.max_tokens != spec.max_tokens:
        raise FitError(
            f"the spec cuts texts at {spec.max_tokens} tokens, the encoder at {model.max_tokens}; "
            "open it with the spec's max_tokens"
        )


def _trainer(
    train: Training,
    distinct: dict[bytes, str],
    spec: FitSpec,
    model: Features,
    projection: Projection | None,
    cache: Path,
    progress: Report | None,
) -> _Trainer:
    keys = [text_key(text) for text in train.texts]
    weights = np.asarray(train.weights, dtype=np.float32)
    order = canonical_order(keys, train.labels, weights)
    names = sorted(set(train.labels))
    number = {name: k for k, name in enumerate(names)}
    targets = np.array([number[train.labels[i]] for i in order], dtype=np.int64)
    ordered = [train.texts[i] for i in order]
    weights, keys = weights[order], [keys[i] for i in order]
    test = list(distinct.values())
    vectors = embed([*ordered, *test], model, cache=cache, progress=progress)
    check_finite(vectors)
    if isinstance(model, Encoder) and spec.tier == "top-layers":
        inputs = activations(
            [*ordered, *test], model, layers=spec.layers, cache=cache, progress=progress
        )
        with blas_threads(1):
            head = fit_logistic(
                vectors[: len(order)], targets, weights, classes=len(names), c=spec.head_c
            )
        return _Trainer(
            fit=lambda seed: fit_top_layers(
                inputs, keys, targets, weights, head=head, encoder=model, spec=spec, seed=seed
            ),
            score=lambda state: predict_top_layers(
                inputs, list(distinct), state, encoder=model, spec=spec
            ),
        )
    assert projection is not None, "checked at the door"
    return _probe_trainer(
        projection.apply(vectors), keys, targets, weights, classes=names, spec=spec
    )


def _probe_trainer(
    mapped: FloatArray,
    keys: Sequence[bytes],
    targets: IntArray,
    weights: FloatArray,
    *,
    classes: list[str],
    spec: FitSpec,
) -> _Trainer:
    train, test = mapped[: len(keys)], mapped[len(keys) :]
    slots = slot_keys(keys)

    def fit(seed: int) -> State:
        with blas_threads(spec.threads):
            head = fit_probe(train, targets, weights, slots, classes=classes, spec=spec, seed=seed)
        return {"head": head}

    def score(state: State) -> FloatArray:
        with blas_threads(spec.threads):
            return predict_probe(test, state["head"])

    return _Trainer(fit, score)


def _fitted(trainer: _Trainer, stored: _Stored | None, seed: int, keys: Sequence[bytes]) -> _Stored:
    """Train unless a state is stored, and score the test texts beside those already scored."""
    start = time.process_time()
    state = stored.state if stored else trainer.fit(seed)
    scores = dict(zip(keys, trainer.score(state), strict=True))
    spent = time.process_time() - start
    if stored is None:
        return _Stored(state, scores, spent)
    return _Stored(state, stored.scores | scores, stored.cpu_s)


def _columns(
    stored: _Stored, keys: Sequence[bytes], own: tuple[str, ...], classes: tuple[str, ...]
) -> FloatArray:
    found = np.zeros((len(keys), len(classes)), dtype=np.float32)
    if keys:
        place = {name: k for k, name in enumerate(classes)}
        found[:, [place[name] for name in own]] = np.stack([stored.scores[key] for key in keys])
    return found


def _write(path: Path, stored: _Stored, own: tuple[str, ...]) -> None:
    keys = np.frombuffer(b"".join(stored.scores), dtype=np.uint8).reshape(-1, KEY_BYTES)
    scores = np.array(list(stored.scores.values()), dtype=np.float32).reshape(-1, len(own))
    names = np.frombuffer(json.dumps(own).encode(), dtype=np.uint8)
    arrays: dict[str, Any] = {f"state/{name}": value for name, value in stored.state.items()}
    arrays |= {"classes": names, "keys": keys, "scores": scores, "cpu_s": np.float64(stored.cpu_s)}
    write_whole(path, lambda file: np.savez(file, **arrays))


def _read(path: Path, own: tuple[str, ...]) -> _Stored | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            if tuple(json.loads(file["classes"].tobytes())) != own:
                raise _damaged(path, "it has other classes")
            keys = [key.tobytes() for key in file["keys"]]
            state = {n[6:]: file[n] for n in file.files if n.startswith("state/")}
            scores = dict(zip(keys, file["scores"], strict=True))
            return _Stored(state, scores, float(file["cpu_s"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> FitError:
    return FitError(
        f"{path}: this cached fit is damaged ({why}); delete it, it will be fitted again"
    )


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
        raise FitError(
            f"the {spec.tier} fit ran out of memory; lower max_tokens (now {spec.max_tokens}) or "
            f"layers (now {spec.layers}), or close other programs"
        ) from error
