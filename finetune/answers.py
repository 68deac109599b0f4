"""What a row is answered with: one label, several, or a label for each of its words.

The one idea: a row's answer is one hashable value, and a task says which numbers it becomes; all
else about training is the same. A row of several labels is one yes or no per label.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import FitError
from .keys import FloatArray
from .pieces import IGNORED, Span, outermost, tag_names

CLASSIFICATION, MULTILABEL, TOKENS = "classification", "multilabel", "tokens"

Answer = str | tuple[str, ...] | tuple[Span, ...]


def answer_text(answer: Any) -> str:
    """Write an answer as text: a label as it is, others as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def as_answer(value: Any) -> Any:
    """Read an answer that went through JSON: lists were tuples."""
    return tuple(map(as_answer, value)) if isinstance(value, list) else value


def labels_of(answer: Any, task: str) -> tuple[str, ...]:
    """Give the labels that an answer holds."""
    if task == CLASSIFICATION:
        return (answer,)
    return tuple(answer) if task == MULTILABEL else tuple(label for *_, label in answer)


def answer_labels(answers: Sequence[Any], task: str) -> tuple[str, ...]:
    """Give the labels that answers hold, sorted."""
    return tuple(sorted({label for answer in answers for label in labels_of(answer, task)}))


def classes_of(answers: Sequence[Any], task: str) -> tuple[str, ...]:
    """Name what a head tells apart, sorted: labels, or tags of words."""
    labels = answer_labels(answers, task)
    return tag_names(labels) if task == TOKENS else labels


def nested_left_out(answers: Sequence[Any], task: str) -> dict[str, int]:
    """Count the spans that lie in another one, which tags cannot say; empty for other tasks."""
    if task != TOKENS:
        return {}
    return {"nested_left_out": sum(len(a) - len(outermost(a)) for a in answers)}


def check_answers(answers: Sequence[Any], task: str) -> None:
    """Refuse answers that nothing can be learnt from.

    Raises:
        FitError: They are of another task, or all the same.
    """
    plain = [isinstance(answer, str) for answer in answers]
    if any(plain) != (task == CLASSIFICATION) or any(plain) != all(plain):
        what = "one label" if task == CLASSIFICATION else "a tuple"
        raise FitError(
            f"the training rows' answers are not of task {task}, which takes {what} each"
        )
    if not answer_labels(answers, task):
        raise FitError(f"none of the {len(answers)} training rows has a label; nothing to learn")
    if task == MULTILABEL and len(set(answers)) == 1:
        raise FitError(f"all {len(answers)} training rows have the labels {list(answers[0])}")


def many_hot(answers: Sequence[Sequence[str]], classes: Sequence[str]) -> FloatArray:
    """Give 1 for each label that a row has, else 0, shape (n, k), float32."""
    number = {name: k for k, name in enumerate(classes)}
    found = np.zeros((len(answers), len(classes)), dtype=np.float32)
    for row, labels in enumerate(answers):
        found[row, [number[label] for label in labels]] = 1.0
    return found


def sigmoid(scores: FloatArray) -> FloatArray:
    """Turn scores into chances, each on its own."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scores, -60.0, 60.0))), dtype=scores.dtype)


def costs(logits: FloatArray, targets: NDArray[Any]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Give the loss of each item, and whether it is answered right.

    Args:
        logits: Shape (n, k).
        targets: Class per item, shape (n,); or 1 per label that holds, shape (n, k), where an item
            is right if all its labels are.
    """
    if targets.ndim == 1:
        logits = logits - logits.max(axis=1, keepdims=True)
        given = logits[np.arange(len(targets)), targets]
        return np.log(np.exp(logits).sum(axis=1)) - given, logits.argmax(axis=1) == targets
    told = np.logaddexp(0.0, logits) - targets * logits
    return told.sum(axis=1), ((logits > 0) == (targets > 0)).all(axis=1)


def decided(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which tokens of windows decide a word, shape as the padded targets."""
    return np.asarray(targets != IGNORED)
