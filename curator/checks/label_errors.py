"""Labels that models which never saw the row contradict.

The one idea: two questions, two answers. *Which rows first?* is answered by the log-margin of four
models taken together: how much likelier the best other class is than the given one. *Which rows are
wrong?* is answered by a probability, P(wrong), that takes the rate of wrong labels and the classes
that are taken for each other into account. cleanlab gives both answers their base, and its own
columns stand beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.believing import Doubts, doubt_labels
from curator.confident import (
    BoolArray,
    FloatArray,
    IntArray,
    confident_joint,
    count_wrong_labels,
    flag_labels,
    self_confidence,
)
from curator.errors import StepError

CHECK = "label_errors"
ISSUE_TYPE = "label"
FLAGGED_FROM = 0.5
"""From this P(wrong) a label is likelier wrong than right."""

SHOWN_PAIRS = 3
LEAST_SHOWN = 0.5
"""Rows that a confusion must be expected in to be named; fewer would read as "about 0 rows"."""

NO_TREE: Mapping[str, str] = MappingProxyType({})

SMALLEST_PROBABILITY = (
    1e-12  # a probability of 0 is a rounded small one: its logarithm stays finite
)


def label_errors(
    rows: pa.Table,
    probabilities: FloatArray,
    beliefs: FloatArray,
    classes: Sequence[str],
    tree: Mapping[str, str] = NO_TREE,
) -> pa.Table:
    """Say of each training row how likely its label is wrong, and which label would be right.

    Args:
        rows: Row table, sorted by id; only its training rows are scored.
        probabilities: Out-of-fold class probabilities of a logistic regression for the training
            rows, in their order, shape (n, k), rows sum to 1: what cleanlab is asked with.
        beliefs: Out-of-sample class probabilities of several models together, shape (n, k).
        classes: Class of each column of probabilities and beliefs, k of them.
        tree: What stands above a class, where a labels file says so; the evidence then says how the
            two classes are kin.

    Returns:
        One finding per training row, issue type `label`. Score: log of P(best other class) over
        P(given class) in the beliefs, above 0 where they contradict; null where there is one class
        only. p_wrong: probability that the label is wrong. Suggestion: the likeliest other class;
        p_fix: probability that it is right. Flagged: p_wrong is at least one half.

    Raises:
        StepError: The probabilities do not fit rows and classes, or a label is not a class.

    Source: Northcutt, Jiang and Chuang 2021 for the noise; log-margin, models and their weights
        measured on banking77 with six kinds of noise and on 372 audited rows of DataCLUE CIC.
    """
    train = rows.filter(pc.equal(rows["split"], "train"))
    ids, given = train["id"].to_pylist(), train["label"].to_pylist()
    for named, array in (("probabilities", probabilities), ("beliefs", beliefs)):
        _check_fit(len(ids), named, array, classes)
    labels = _positions(ids, given, classes)
    if len(set(given)) <= 1:
        return _only_one_class(ids, given)
    believed = np.maximum(beliefs, np.float32(SMALLEST_PROBABILITY))
    scores, _ = log_margins(labels, believed)
    joint = confident_joint(labels, probabilities)
    wrong_labels = count_wrong_labels(labels, probabilities)
    doubts = doubt_labels(labels, believed, joint, wrong_labels=wrong_labels)
    alone = _alone(labels, train["group"].to_pylist())
    said = _evidence(labels, classes, probabilities, believed, doubts, alone)
    kin = [kinship(given[i], classes[other], tree) for i, other in enumerate(doubts.suggested)]
    # Without its group no model knows the class: what is left to say is how often labels are wrong.
    p_wrong = np.where(alone, doubts.noise.rate, doubts.p_wrong)
    p_fix = np.minimum(doubts.p_fix, p_wrong)
    return schema.findings(
        {
            "row_id": row_id,
            "issue_type": ISSUE_TYPE,
            "score": float(scores[i]),
            "suggestion": classes[doubts.suggested[i]],
            "evidence": f"{evidence}; {kin[i]}" if kin[i] and not alone[i] else evidence,
            "check": CHECK,
            "flagged": bool(p_wrong[i] >= FLAGGED_FROM and not alone[i]),
            "p_wrong": float(p_wrong[i]),
            "p_fix": float(p_fix[i]),
        }
        for i, (row_id, evidence) in enumerate(zip(ids, said, strict=True))
    )


def cleanlab_columns(rows: pa.Table, probabilities: FloatArray, classes: Sequence[str]) -> pa.Table:
    """Give cleanlab's own columns about the training rows, under cleanlab's own names.

    Args:
        rows: Row table, sorted by id.
        probabilities: Out-of-fold class probabilities of the training rows, shape (n, k).
        classes: Class of each column of probabilities.

    Returns:
        row_id, is_label_issue, label_score (0..1, lower is more suspicious), given_label and
        predicted_label, as its Datalab finds them; one row per training row.

    Raises:
        StepError: As `label_errors`.
    """
    train = rows.filter(pc.equal(rows["split"], "train"))
    ids, given = train["id"].to_pylist(), train["label"].to_pylist()
    _check_fit(len(ids), "probabilities", probabilities, classes)
    labels = _positions(ids, given, classes)
    return pa.table(
        {
            "row_id": pa.array(ids, pa.string()),
            "is_label_issue": pa.array(flag_labels(labels, probabilities), pa.bool_()),
            "label_score": pa.array(self_confidence(labels, probabilities), pa.float64()),
            "given_label": pa.array(given, pa.string()),
            "predicted_label": pa.array([classes[k] for k in probabilities.argmax(axis=1)]),
        }
    )


def noise_rate(findings: pa.Table) -> float | None:
    """Give the share of labels that the check takes to be wrong, 0..1; None where it scored none.

    Args:
        findings: All findings of the check, unflagged ones too.
    """
    mean = pc.mean(findings["p_wrong"]).as_py()
    return None if mean is None else float(mean)


def confused_classes(rows: pa.Table, findings: pa.Table) -> pa.Table:
    """Count which class is taken for which.

    Args:
        rows: Row table that was checked.
        findings: All findings of the check, unflagged ones too.

    Returns:
        given, suggested, rows (flagged ones) and expected (the sum of P(fix), flagged or not), the
        most expected first; only pairs with a flagged row.
    """
    label_of = dict(zip(rows["id"].to_pylist(), rows["label"].to_pylist(), strict=True))
    flagged: Counter[tuple[str, str]] = Counter()
    expected: Counter[tuple[str, str]] = Counter()
    for finding in findings.to_pylist():
        if finding["issue_type"] == ISSUE_TYPE and finding["p_fix"] is not None:
            pair = (label_of[finding["row_id"]], finding["suggestion"])
            flagged[pair] += finding["flagged"]
            expected[pair] += finding["p_fix"]
    order = sorted((p for p in flagged if flagged[p]), key=lambda p: (-expected[p], p))
    return pa.table(
        {
            "given": pa.array([given for given, _ in order], pa.string()),
            "suggested": pa.array([other for _, other in order], pa.string()),
            "rows": pa.array([flagged[pair] for pair in order], pa.int64()),
            "expected": pa.array([expected[pair] for pair in order], pa.float64()),
        }
    )


def kinship(one: str, other: str, tree: Mapping[str, str]) -> str:
    """Say how two labels stand to each other in a tree of labels; "" where one is not in it.

    >>> tree = {"lost": "cards", "stolen": "cards", "fee": "money"}
    >>> kinship("lost", "stolen", tree), kinship("lost", "fee", tree)
    ('siblings under cards', 'across branches: cards and money')
    """
    above, below = _line(one, tree), _line(other, tree)
    if len(above) == 1 and len(below) == 1:
        return ""
    if one in below or other in above:
        return f"one above the other: {one} and {other}"
    if tree.get(one) == tree.get(other):
        return f"siblings under {tree[one]}"
    if above[-1] == below[-1]:
        return f"in one branch: {above[-1]}"
    return f"across branches: {above[-1]} and {below[-1]}"


def _line(label: str, tree: Mapping[str, str]) -> list[str]:
    """Give a label and all that stands above it; a ring ends where it began."""
    line = [label]
    while (parent := tree.get(line[-1])) is not None and parent not in line:
        line.append(parent)
    return line


def kin_note(rows: pa.Table, findings: pa.Table, tree: Mapping[str, str]) -> tuple[str, ...]:
    """Say how many of the confusions are between siblings, and how many across branches."""
    expected: Counter[str] = Counter()
    for pair in confused_classes(rows, findings).to_pylist() if tree else ():
        kin = kinship(pair["given"], pair["suggested"], tree)
        expected[kin.partition(" under")[0].partition(":")[0] or "not in the tree"] += pair[
            "expected"
        ]
    if not expected:
        return ()
    told = ", ".join(f"about {n:.0f} {kin}" for kin, n in sorted(expected.items(), key=_most_first))
    return (f"confusions by the tree of labels: {told}",)


def _most_first(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]


def noise_notes(rows: pa.Table, findings: pa.Table) -> tuple[str, ...]:
    """Say how many labels are thought wrong, and which classes are taken for each other most."""
    rate = noise_rate(findings)
    if rate is None:
        return ()
    scored = findings.num_rows - findings["p_wrong"].null_count
    told = f"label errors: {rate:.1%} of {scored:,} labels are wrong by estimate"
    pairs = confused_classes(rows, findings).slice(0, SHOWN_PAIRS).to_pylist()
    pairs = [pair for pair in pairs if pair["expected"] >= LEAST_SHOWN]
    if not pairs:
        return (told,)
    named = "; ".join(
        f"{p['given']!r} is {p['suggested']!r} in about {p['expected']:.0f} rows" for p in pairs
    )
    return (f"{told}; most confused: {named}",)


def log_margins(labels: IntArray, probabilities: FloatArray) -> tuple[FloatArray, IntArray]:
    """Give the log-margin of the best other class over the given one, and which class it is.

    Args:
        labels: Given class per row, shape (n,), values 0..k-1.
        probabilities: Out-of-sample class probabilities, shape (n, k), k >= 2.

    Returns:
        Score per row, shape (n,), above 0 where another class is likelier, and the best other class
        per row, shape (n,); the first of several that are equally likely.
    """
    each = np.arange(len(labels))
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    own = logs[each, labels]
    logs[each, labels] = -np.inf
    others = logs.argmax(axis=1)
    return logs[each, others] - own, others.astype(np.int64)


def floor_flags(
    labels: Sequence[str],
    flagged: BoolArray,
    scores: FloatArray,
    *,
    min_class_rows: int = 20,
) -> BoolArray:
    """Say which flagged rows may be dropped such that no class falls under a floor.

    Args:
        labels: Label of each row, n of them.
        flagged: Rows that a check would drop, shape (n,).
        scores: Suspicion per row, shape (n,); the highest are dropped first, the earlier row first
            where two are equal.
        min_class_rows: Rows that each class keeps; a class that has no more loses none.

    Returns:
        A flag per row, shape (n,), never set where `flagged` is not.
    """
    names, classes, sizes = np.unique(
        np.asarray(labels, dtype=str), return_inverse=True, return_counts=True
    )
    may_drop = np.zeros(len(classes), dtype=np.bool_)
    for k in range(len(names)):
        room = max(int(sizes[k]) - min_class_rows, 0)
        candidates = np.flatnonzero(flagged & (classes == k))
        worst_first = candidates[np.argsort(-scores[candidates], kind="stable")]
        may_drop[worst_first[:room]] = True
    return may_drop


def _check_fit(n: int, named: str, array: FloatArray, classes: Sequence[str]) -> None:
    if array.shape != (n, len(classes)):
        raise StepError(
            f"{CHECK}: {named} have shape {array.shape}; expected ({n}, "
            f"{len(classes)}), one row per training row and one column per class"
        )


def _positions(ids: Sequence[str], given: Sequence[str], classes: Sequence[str]) -> IntArray:
    position = {name: k for k, name in enumerate(classes)}
    for row_id, label in zip(ids, given, strict=True):
        if label not in position:
            raise StepError(
                f"{CHECK}: row {row_id} has label {label!r}, which is not among the "
                f"{len(classes)} classes of the model ({', '.join(sorted(classes)[:5])}, ...); "
                "fit the model on these rows"
            )
    return np.array([position[label] for label in given], dtype=np.int64)


def _evidence(
    labels: IntArray,
    classes: Sequence[str],
    probabilities: FloatArray,
    beliefs: FloatArray,
    doubts: Doubts,
    alone: BoolArray,
) -> Iterator[str]:
    """Say of each row what speaks against its label, and what cleanlab says of it."""
    issues, scores = flag_labels(labels, probabilities), self_confidence(labels, probabilities)
    for i, (own, other) in enumerate(zip(labels, doubts.suggested, strict=True)):
        if alone[i]:
            yield f"{classes[own]} has no row outside this row's group, so no model could know it"
            continue
        yield (
            f"P(wrong) {_share(doubts.p_wrong[i])}; out-of-fold: {classes[other]} "
            f"{_share(beliefs[i, other])}, given {classes[own]} {_share(beliefs[i, own])}; "
            f"cleanlab: {'issue' if issues[i] else 'no issue'}, score {_share(scores[i])}"
        )


def _alone(labels: IntArray, groups: Sequence[str]) -> BoolArray:
    """Tell for each row whether its class stands in its group alone, shape (n,)."""
    kin: dict[int, set[str]] = {}
    for label, group in zip(labels.tolist(), groups, strict=True):
        kin.setdefault(label, set()).add(group)
    return np.array([len(kin[label]) == 1 for label in labels.tolist()], dtype=np.bool_)


def _share(probability: np.floating) -> str:
    return f"{probability:.2f}".removeprefix("0")


def _only_one_class(ids: Sequence[str], given: Sequence[str]) -> pa.Table:
    return schema.findings(
        {
            "row_id": row_id,
            "issue_type": ISSUE_TYPE,
            "evidence": f"{label} is the only class, so no label can be doubted",
            "check": CHECK,
            "flagged": False,
        }
        for row_id, label in zip(ids, given, strict=True)
    )
