"""Training rows that (nearly) repeat a row the model is judged by.

The one idea: a test row seen in training measures memory, whatever its label says, so the training
row is the one in doubt and the test row never is. Validation rows choose models and count likewise.
"""

from __future__ import annotations

import pyarrow as pa

from curator.near import Pairs, check_near, text_graph
from curator.schema import findings
from curator.tasks import Task, task_of

_JUDGES = ("test", "validation")  # a partner in test comes first: it decides the verdict


def leaks(rows: pa.Table, pairs: Pairs, *, near: float = 0.8) -> pa.Table:
    """Find training rows whose text is the same as or near to that of a test or validation row.

    Args:
        rows: Rows of any task, n of them; test texts as they are served.
        pairs: Pairs over these rows, made at `near` or lower; without sides, or with sides that
            part training from the other rows.
        near: Smallest Jaccard of a leak, in 0.7..1.

    Returns:
        Findings by row, issue type `leak`, training rows only: score the Jaccard, partner the most
        similar test row (same text first, then Jaccard, then smallest id), or validation row where
        no test row is near. The evidence says which split and whether the labels agree.

    Raises:
        RecipeError: near is outside 0.7..1.
    """
    check_near("leaks", near)
    task = task_of(rows)
    ids, splits = rows["id"].to_pylist(), rows["split"].to_pylist()
    labels = task.target_text(rows).to_pylist()
    graph = text_graph(task.input_text(rows), pairs, threshold=near)
    codes = graph.codes.tolist()
    judges: dict[tuple[str, int], int] = {}
    for at, (code, split) in enumerate(zip(codes, splits, strict=True)):
        known = judges.get((split, code), at)
        judges[split, code] = min(known, at, key=ids.__getitem__)

    def nearest(code: int) -> tuple[int, float, bool] | None:
        around = {code: 1.0, **graph.near.get(code, {})}
        for split in _JUDGES:
            offers = [
                (other != code, -jaccard, ids[judges[split, other]], judges[split, other])
                for other, jaccard in around.items()
                if (split, other) in judges
            ]
            if offers:
                other, distance, _, at = min(offers)
                return at, -distance, not other
        return None

    partners: dict[int, tuple[int, float, bool] | None] = {}
    found = []
    for at, (code, split) in enumerate(zip(codes, splits, strict=True)):
        if split != "train":
            continue
        if code not in partners:
            partners[code] = nearest(code)
        if partner := partners[code]:
            judge, jaccard, same = partner
            found.append(
                {
                    "row_id": ids[at],
                    "issue_type": "leak",
                    "score": jaccard,
                    "partner_id": ids[judge],
                    "evidence": _evidence(
                        splits[judge], jaccard, task, same=same, labels=(labels[at], labels[judge])
                    ),
                    "check": "leaks",
                }
            )
    return findings(found)


def _evidence(
    split: str, jaccard: float, task: Task, *, same: bool, labels: tuple[str, str]
) -> str:
    text = f"same text as a {split} row" if same else f"near copy of a {split} row"
    likeness = text if same else f"{text} (Jaccard {jaccard:.2f})"
    if not task.targets and not any(labels):
        return likeness
    here, there = map(task.shown, labels)
    noun = "label" if task.is_single_label else "target"
    agreement = (
        f"same {noun}" if labels[0] == labels[1] else f"{noun}s differ: {here} here, {there} there"
    )
    return f"{likeness}, {agreement}"
