"""A tier made ready for a training set: fit a seed, and score the test texts.

The one idea: what all seeds share (features, activations, the head's start) is computed once here,
and the three tiers differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answers import (
    CLASSIFICATION,
    MULTILABEL,
    TOKENS,
    answer_text,
    classes_of,
    decided,
    labels_of,
    many_hot,
    sigmoid,
)
from .checkpoints import Checkpoint
from .embed import Encoder, Features, Progress, Report, embed
from .errors import FitError
from .inputs import activations, inputs_of
from .keys import FloatArray, KeyArray, canonical_order, slot_keys, text_key, uniform
from .logistic import blas_threads, fit_logistic, fit_logistics
from .loop import Rows, State, Trained, predict, train
from .losses import class_weights
from .pieces import padded_targets, pieces_of
from .probe import Projection, check_finite, fit_probe, predict_probe
from .spec import FitSpec

VALIDATION_SALT = 0x5EED  # keeps the draw of held-out groups apart from the rows' batches


@dataclass(frozen=True, slots=True)
class Training:
    """What a model learns from: n texts, their answers, their weights (shape (n,), 0 or more).

    labels: per row a label; a tuple of labels, sorted; or a tuple of spans (start, end, label).
    groups: near-duplicate group of each row, never split by a validation share; None where each
    text is a group of its own.
    """

    texts: tuple[str, ...]
    labels: tuple[Any, ...]
    weights: FloatArray
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """What training gave: the state, and what is kept about its rows and epochs."""

    state: State
    rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    epochs: tuple[dict[str, float], ...] = ()
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier, ready: fit a seed, and score what was asked, in that order."""

    fit: Callable[[int, Checkpoint, Report | None], Fit]
    score: Callable[[State], FloatArray]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be scored: distinct texts, or the words of their windows.

    keys: name each item that gets probabilities, m of them.
    texts: that a model reads, distinct.
    places: of words, their tokens in each text; None where an item is a text.
    """

    keys: list[bytes]
    texts: list[str]
    places: list[list[int]] | None = None


def asked_of(texts: Sequence[str], task: str, model: Features) -> Asked:
    """Say what is to be scored for these texts."""
    if task != TOKENS:
        distinct = {text_key(text): text for text in texts}
        return Asked(list(distinct), list(distinct.values()))
    # One window may be part of two texts, which ask for different words of it.
    words: dict[bytes, tuple[str, int]] = {}
    for own in pieces_of(sorted(set(texts)), _encoder(model)):
        for piece in own:
            for key, word in zip(piece.word_keys(), piece.words, strict=True):
                words[key] = (piece.text, word.token)
    asked: dict[str, dict[bytes, int]] = {}
    for key, (text, token) in words.items():
        asked.setdefault(text, {})[key] = token
    return Asked(
        [key for own in asked.values() for key in own], list(asked),
        [list(own.values()) for own in asked.values()],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Ordered:
    """A training set in canonical order; of tokens, each window is a row.

    targets: As the loop takes them.
    has: Which rows have each label, so that none is held out whole, shape (n, k); None where
        targets say it.
    """

    texts: list[str]
    keys: list[bytes]
    classes: list[str]
    targets: NDArray[Any]
    weights: FloatArray
    groups: list[str]
    has: NDArray[np.bool_] | None = None


def ready_tier(
    train: Training,
    test: Asked,
    spec: FitSpec,
    model: Features,
    projection: Projection | None,
    *,
    cache: Path,
    progress: Report | None,
) -> Tier:
    """Compute what all seeds share.

    Args:
        train: The training rows, in any order.
        test: What is to be scored.
        spec: Says the tier.
        model: Features; an encoder above the probe.
        projection: Of the probe.
        cache: Folder of all caches.
        progress: Told about features that are computed.
    """
    rows = _ordered(train, spec, model)
    if spec.tier == "probe":
        assert projection is not None, "checked at the door"
        if spec.task == TOKENS:
            return _word_probe(rows, test, spec, _encoder(model), projection, cache, progress)
        vectors = embed([*rows.texts, *test.texts], model, cache=cache, progress=progress)
        check_finite(vectors)
        mapped = projection.apply(vectors)
        learnt = len(rows.keys)
        return _probe(mapped[:learnt], mapped[learnt:], rows, slot_keys(rows.keys), spec)
    assert isinstance(model, Encoder), "checked at the door"
    return _layers(rows, test, spec, model, cache=cache, progress=progress)


def _encoder(model: Features) -> Encoder:
    if not isinstance(model, Encoder):
        raise FitError(f"the tokens task needs an encoder that sees words in company; {model.name} "
                       "gives one vector a text")  # fmt: skip
    return model


def _ordered(train: Training, spec: FitSpec, model: Features) -> _Ordered:
    if spec.task != CLASSIFICATION:
        return _several(train, spec, model)
    keys = [text_key(text) for text in train.texts]
    weights = np.asarray(train.weights, dtype=np.float32)
    order = canonical_order(keys, train.labels, weights)
    names = sorted(set(train.labels))
    number = {name: k for k, name in enumerate(names)}
    targets = np.array([number[train.labels[i]] for i in order], dtype=np.int64)
    groups = train.groups or train.texts
    return _Ordered(
        texts=[train.texts[i] for i in order],
        keys=[keys[i] for i in order],
        classes=names,
        targets=targets,
        weights=class_weights(targets, weights[order], kind=spec.class_weights),
        groups=[groups[i] for i in order],
    )


def _several(train: Training, spec: FitSpec, model: Features) -> _Ordered:
    """Order rows of several labels, or the windows of rows with spans."""
    keys = [text_key(text) for text in train.texts]
    weights = np.asarray(train.weights, dtype=np.float32)
    order = canonical_order(keys, [answer_text(a) for a in train.labels], weights)
    answers = [train.labels[i] for i in order]
    classes = classes_of(answers, spec.task)
    texts, weights = [train.texts[i] for i in order], weights[order]
    groups = [(train.groups or train.texts)[i] for i in order]
    if spec.task == MULTILABEL:
        targets = many_hot(answers, classes)
        return _Ordered(
            texts, [keys[i] for i in order], list(classes), targets, weights, groups, targets > 0
        )
    cut = pieces_of(texts, _encoder(model))
    number = {name: k for k, name in enumerate(classes)}
    tags = padded_targets(cut, answers, number)
    labels = sorted({label for answer in answers for label in labels_of(answer, TOKENS)})
    has = np.array([[label in labels_of(a, TOKENS) for label in labels] for a in answers])
    of = [i for i, own in enumerate(cut) for _ in own]
    words = [max(1, sum(len(piece.words) for piece in own)) for own in cut]
    pieces = [piece for own in cut for piece in own]
    part = np.array(
        [len(p.words) / words[i] for i, p in zip(of, pieces, strict=True)], dtype=np.float32
    )
    return _Ordered(
        [p.text for p in pieces], [p.key for p in pieces], list(classes), tags,
        weights[of] * part, [groups[i] for i in of], has[of],
    )  # fmt: skip


def _word_probe(
    rows: _Ordered,
    test: Asked,
    spec: FitSpec,
    encoder: Encoder,
    projection: Projection,
    cache: Path,
    progress: Report | None,
) -> Tier:
    """A probe whose items are words: they keep the batch of their row, so pairing is as there."""
    places = [np.flatnonzero(own).tolist() for own in decided(rows.targets)]
    learnt = np.array([len(own) for own in places])
    vectors = word_vectors(rows.texts, places, encoder, cache=cache, progress=progress)
    asked = word_vectors(test.texts, test.places or [], encoder, cache=cache, progress=progress)
    each = np.maximum(learnt, 1)
    words = replace(
        rows,
        targets=rows.targets[decided(rows.targets)],
        weights=np.repeat(rows.weights / each, learnt).astype(np.float32),
    )
    slots = np.repeat(slot_keys(rows.keys), learnt)
    return _probe(projection.apply(vectors), projection.apply(asked), words, slots, spec)


def word_vectors(
    texts: Sequence[str],
    places: Sequence[Sequence[int]],
    encoder: Encoder,
    *,
    cache: Path,
    progress: Report | None = None,
) -> FloatArray:
    """Give the frozen model's vector of some tokens of each text, unit length, float32.

    Args:
        texts: n texts that fit the encoder's window.
        places: Tokens of each that are asked for.
        encoder: The model.
        cache: Folder of all caches; states of all tokens are kept as activations.
        progress: Told about texts that are computed.

    Returns:
        Shape (all places, d), in their order.

    Raises:
        FitError: A number is not finite.
    """
    states = activations(texts, encoder, layers=0, cache=cache, progress=progress)
    found: list[FloatArray] = [np.empty((0, encoder.dimensions), dtype=np.float32)]
    for text, own in zip(texts, places, strict=True):
        found.append(states.rows(text_key(text))[list(own)].astype(np.float32))
    vectors = np.concatenate(found)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    check_finite(vectors)
    return vectors


def _probe(
    train: FloatArray, test: FloatArray, rows: _Ordered, slots: KeyArray, spec: FitSpec
) -> Tier:
    chances = sigmoid if spec.task == MULTILABEL else None

    def fit(seed: int, _: Checkpoint, __: Report | None) -> Fit:
        with blas_threads(spec.threads):
            head = fit_probe(
                train, rows.targets, rows.weights, slots,
                classes=rows.classes, spec=spec, seed=seed,
            )  # fmt: skip
        return Fit({"head": head})

    def score(state: State) -> FloatArray:
        with blas_threads(spec.threads):
            return predict_probe(test, state["head"], chances=chances)

    return Tier(fit, score)


def _layers(
    rows: _Ordered,
    test: Asked,
    spec: FitSpec,
    model: Encoder,
    *,
    cache: Path,
    progress: Report | None,
) -> Tier:
    first = _Start(rows, spec, model, cache, progress)
    inputs = inputs_of([*rows.texts, *test.texts], model, spec, cache=cache, progress=progress)
    test_keys = [text_key(text) for text in test.texts]
    heads: dict[bytes, FloatArray] = {}
    if not spec.validation:  # then all seeds start from one head
        whole = np.ones(len(rows.keys), dtype=bool)
        heads[(~whole).tobytes()] = first.head(whole)

    def fit(seed: int, checkpoint: Checkpoint, report: Report | None) -> Fit:
        held = held_out(rows.targets, rows.groups, share=spec.validation, seed=seed, has=rows.has)
        if held.tobytes() not in heads:
            heads[held.tobytes()] = first.head(~held)
        done = train(
            Rows(rows.keys, rows.targets, rows.weights, held),
            inputs,
            head=heads[held.tobytes()],
            spec=spec,
            seed=seed,
            checkpoint=checkpoint,
            report=(lambda at, total: report(Progress("step", at, total, 0))) if report else None,
        )
        return Fit(done.state, _kept(rows, held, done), done.epochs, done.resumed)

    return Tier(fit, lambda state: predict(inputs, test_keys, state, spec=spec, places=test.places))


class _Start:
    """First values of the head: the logistic regression on frozen vectors, or zeros."""

    def __init__(
        self, rows: _Ordered, spec: FitSpec, model: Encoder, cache: Path, progress: Report | None
    ) -> None:
        self.rows, self.spec = rows, spec
        if spec.task == TOKENS:
            places = [np.flatnonzero(own).tolist() for own in decided(rows.targets)]
            self.vectors = word_vectors(rows.texts, places, model, cache=cache, progress=progress)
        else:
            self.vectors = embed(rows.texts, model, cache=cache, progress=progress)
            check_finite(self.vectors)

    def head(self, learnt: NDArray[np.bool_]) -> FloatArray:
        """Give the head for a part of the rows, shape (d + 1, k)."""
        rows, spec, classes = self.rows, self.spec, len(self.rows.classes)
        if spec.head_start == "zeros":
            return np.zeros((self.vectors.shape[1] + 1, classes), dtype=np.float32)
        vectors, targets, weights = self.vectors, rows.targets, rows.weights
        if spec.task == TOKENS:
            own = decided(targets)
            counts = own.sum(axis=1)
            learnt = np.repeat(learnt, counts)
            targets, weights = targets[own], np.repeat(weights, counts)
        with blas_threads(1):
            if spec.task == MULTILABEL:
                return fit_logistics(
                    vectors[learnt], targets[learnt], weights[learnt], c=spec.head_c
                )
            return fit_logistic(
                vectors[learnt], targets[learnt], weights[learnt], classes=classes, c=spec.head_c
            )


def _kept(rows: _Ordered, held: NDArray[Any], done: Trained) -> dict[str, NDArray[Any]]:
    keys = np.frombuffer(b"".join(rows.keys), dtype=np.uint8).reshape(len(rows.keys), -1)
    return {
        "keys": keys, "targets": rows.targets, "row_losses": done.row_losses, "held": held,
        "held_logits": done.held_logits,
    }  # fmt: skip


def held_out(
    targets: NDArray[Any],
    groups: Sequence[str],
    *,
    share: float,
    seed: int,
    has: NDArray[np.bool_] | None = None,
) -> NDArray[Any]:
    """Choose the validation rows: a share of the groups, by hash; no class loses all its rows.

    Args:
        targets: Class per row, shape (n,).
        has: Which rows have each label, shape (n, k), where targets are no classes.
        groups: Group per row; none is split.
        share: 0 for none.
        seed: Deals the groups.

    Returns:
        Which rows are held out, shape (n,).

    Raises:
        FitError: No group was drawn, or nothing would be left of one.
    """
    if not share:
        return np.zeros(len(targets), dtype=bool)
    keys = np.array([int.from_bytes(text_key(g)[:8], "little") for g in groups], dtype=np.uint64)
    held = uniform(keys, seed, VALIDATION_SALT) < share
    for there in has.T if has is not None else (targets == t for t in np.unique(targets)):
        if held[there].all():
            held &= ~np.isin(keys, keys[there])
    if not held.any():
        raise FitError(
            f"a validation share of {share:g} holds out none of {len(set(groups))} groups; raise "
            "validation, or train for fixed epochs with validation: 0 and patience: 0"
        )
    return held


def vectors_of_words(
    texts: Sequence[str], model: Features, *, cache: Path, progress: Report | None = None
) -> FloatArray:
    """Give the frozen model's vector of each word of these texts, shape (words, d), float32.

    Raises:
        FitError: The model gives no vectors of words.
    """
    asked = asked_of(texts, TOKENS, model)
    return word_vectors(
        asked.texts, asked.places or [], _encoder(model), cache=cache, progress=progress
    )
