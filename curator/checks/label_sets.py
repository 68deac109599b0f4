"""Label sets that models which never saw the row contradict: labels missing, labels too many.

The one idea: each label is a question of its own, with its own rate of wrong answers, and P(wrong)
of each answer is had as for classes. A row is right if all of its answers are, so P(wrong) of a row
is that any is wrong, and P(fix) that every answer of the suggested set is right.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.believing import doubt_labels
from curator.confident import (
    BoolArray,
    FloatArray,
    confident_joint,
    count_wrong_labels,
    flag_label_sets,
    label_set_quality,
)
from curator.errors import StepError
from curator.tasks import task_of

CHECK = "label_sets"
ISSUE_TYPE = "label"
FLAGGED_FROM = 0.5
_SHOWN = 3
_FEWEST = 2
"""A label with fewer rows, with or without it, has nothing to be told by."""


@dataclass(frozen=True, slots=True)
class SetDoubts:
    """What can be said of each given label set.

    scores: Log-margin of the most contradicted answer, shape (n,), above 0 where one is.
    wrong: P(wrong) of each answer, shape (n, k). given: The answers, shape (n, k).
    """

    scores: FloatArray
    wrong: FloatArray
    given: BoolArray

    @property
    def p_wrong(self) -> FloatArray:
        """Probability that any answer of a row is wrong, shape (n,)."""
        return np.asarray(1 - np.exp(np.log1p(-np.minimum(self.wrong, 1 - 1e-9)).sum(axis=1)))

    @property
    def doubted(self) -> BoolArray:
        """Answers that are likelier wrong than right; else the likeliest of the row, (n, k)."""
        found = self.wrong >= FLAGGED_FROM
        none = np.flatnonzero(~found.any(axis=1))
        found[none, self.wrong[none].argmax(axis=1)] = True
        return found

    @property
    def p_fix(self) -> FloatArray:
        """Probability that every answer is right once the doubted ones are turned, shape (n,)."""
        right = np.where(self.doubted, self.wrong, 1 - self.wrong)
        return np.asarray(np.exp(np.log(np.maximum(right, 1e-9)).sum(axis=1)))


def label_sets(
    rows: pa.Table, set_probabilities: FloatArray, label_names: Sequence[str]
) -> pa.Table:
    """Say of each training row how likely its set of labels is wrong, and which would be right.

    Args:
        rows: Rows of task multilabel, sorted by id; only its training rows are scored.
        set_probabilities: Out-of-fold probability of each label for the training rows, in their
            order, shape (n, k).
        label_names: Label of each column, k of them.

    Returns:
        One finding per training row, issue type `label`. Score: log-margin of the most contradicted
        label, whether it is there or missing. p_wrong: probability that any label is wrong.
        Suggestion: the labels as a JSON list, with those turned that are likelier wrong than right;
        p_fix: probability that this list is right. Flagged: p_wrong is at least one half.

    Raises:
        StepError: The probabilities do not fit rows and labels.

    Source: as `label_errors`, a label at a time; Thyagarajan et al. 2023 (cleanlab's own verdict).
    """
    train = rows.filter(pc.equal(rows["split"], "train"))
    ids, sets = train["id"].to_pylist(), task_of(train).label_sets(train)
    if set_probabilities.shape != (len(ids), len(label_names)):
        raise StepError(
            f"{CHECK}: probabilities have shape {set_probabilities.shape}; expected ({len(ids)}, "
            f"{len(label_names)}), one row per training row and one column per label"
        )
    if not ids or not label_names:
        return schema.findings([])
    doubts = doubt_sets(_given(sets, label_names), set_probabilities)
    p_wrong, p_fix, suggested = doubts.p_wrong, doubts.p_fix, doubts.given ^ doubts.doubted
    said = _evidence(doubts, set_probabilities, label_names)
    return schema.findings(
        {
            "row_id": row_id,
            "issue_type": ISSUE_TYPE,
            "score": float(doubts.scores[i]),
            "suggestion": _listed(label_names, suggested[i]),
            "evidence": evidence,
            "check": CHECK,
            "flagged": bool(p_wrong[i] >= FLAGGED_FROM),
            "p_wrong": float(p_wrong[i]),
            "p_fix": float(min(p_fix[i], p_wrong[i])),
        }
        for i, (row_id, evidence) in enumerate(zip(ids, said, strict=True))
    )


def doubt_sets(given: BoolArray, probabilities: FloatArray) -> SetDoubts:
    """Give P(wrong) of each answer, label by label.

    Args:
        given: Whether a row has a label, shape (n, k).
        probabilities: Out-of-sample probability of each label, shape (n, k), above 0 and below 1.
    """
    logs = np.log(probabilities.astype(np.float64)) - np.log1p(-probabilities.astype(np.float64))
    margins = np.where(given, -logs, logs)
    wrong = np.zeros(given.shape)
    for k in range(given.shape[1]):
        labels = given[:, k].astype(np.int64)
        if min(labels.sum(), len(labels) - labels.sum()) < _FEWEST:
            continue  # stays at 0: all rows, or none, have it
        yes = probabilities[:, k].astype(np.float32)
        both = np.stack([1 - yes, yes], axis=1)
        counted = count_wrong_labels(labels, both)
        joint = confident_joint(labels, both)
        wrong[:, k] = doubt_labels(labels, both, joint, wrong_labels=counted).p_wrong
    return SetDoubts(margins.max(axis=1), wrong, given)


def set_notes(rows: pa.Table, findings: pa.Table) -> tuple[str, ...]:
    """Say how many label sets are thought wrong, and which labels are missing or too many most."""
    scored = findings.filter(pc.is_valid(findings["p_wrong"]))
    if not scored.num_rows:
        return ()
    rate = pc.mean(scored["p_wrong"]).as_py()
    told = f"label errors: {rate:.1%} of {scored.num_rows:,} label sets are wrong by estimate"
    sets = dict(zip(rows["id"].to_pylist(), task_of(rows).label_sets(rows), strict=True))
    turned: Counter[tuple[str, str]] = Counter()
    for finding in scored.filter(scored["flagged"]).to_pylist():
        given, wanted = set(sets[finding["row_id"]]), set(json.loads(finding["suggestion"]))
        turned.update(("missing", label) for label in wanted - given)
        turned.update(("too many", label) for label in given - wanted)
    most = sorted(turned.items(), key=lambda kv: (-kv[1], kv[0]))[:_SHOWN]
    if not most:
        return (told,)
    named = "; ".join(
        f"{label!r} is {how} in {n:,} row{'' if n == 1 else 's'}" for (how, label), n in most
    )
    return (f"{told}; most doubted: {named}",)


def floor_set_flags(
    sets: Sequence[tuple[str, ...]],
    flagged: BoolArray,
    scores: FloatArray,
    *,
    min_class_rows: int = 20,
) -> BoolArray:
    """Say which flagged rows may be dropped such that no label falls under a floor.

    Args:
        sets: Labels of each row, n of them.
        flagged: Rows that a check would drop, shape (n,).
        scores: Suspicion per row, shape (n,); the highest are dropped first.
        min_class_rows: Rows that each label keeps; a row goes only if all its labels can spare it.

    Returns:
        A flag per row, shape (n,), never set where `flagged` is not.
    """
    left = Counter(label for labels in sets for label in labels)
    may_drop = np.zeros(len(sets), dtype=np.bool_)
    candidates = np.flatnonzero(flagged)
    for i in candidates[np.argsort(-scores[candidates], kind="stable")].tolist():
        if all(left[label] > min_class_rows for label in sets[i]):
            may_drop[i] = True
            left.subtract(sets[i])
    return may_drop


def _given(sets: Sequence[tuple[str, ...]], names: Sequence[str]) -> BoolArray:
    place = {name: k for k, name in enumerate(names)}
    found = np.zeros((len(sets), len(names)), dtype=np.bool_)
    for i, labels in enumerate(sets):
        found[i, [place[label] for label in labels]] = True
    return found


def _listed(names: Sequence[str], held: BoolArray) -> str:
    return json.dumps([names[k] for k in np.flatnonzero(held)], ensure_ascii=False)


def _evidence(doubts: SetDoubts, probabilities: FloatArray, names: Sequence[str]) -> Iterator[str]:
    issues = flag_label_sets(doubts.given, probabilities)
    quality = label_set_quality(doubts.given, probabilities)
    turned, p_wrong = doubts.doubted, doubts.p_wrong
    for i in range(len(turned)):
        at = np.flatnonzero(turned[i])
        at = at[np.argsort(-doubts.wrong[i, at], kind="stable")]
        told = [
            f"{'remove' if doubts.given[i, k] else 'add'} {names[k]} {_share(doubts.wrong[i, k])} "
            f"(out-of-fold {_share(probabilities[i, k])})"
            for k in at[:_SHOWN]
        ]
        more = f" and {len(at) - _SHOWN} more" if len(at) > _SHOWN else ""
        yield (
            f"P(wrong) {_share(p_wrong[i])}; {', '.join(told)}{more}; "
            f"cleanlab: {'issue' if issues[i] else 'no issue'}, score {_share(quality[i])}"
        )


def _share(probability: float) -> str:
    return f"{probability:.2f}".removeprefix("0")
