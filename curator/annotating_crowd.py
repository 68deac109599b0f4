"""What several annotators come to: a verdict per row, how good each of them is, whom to ask again.

The one idea: people and model are weighed by how well they agree (CROWDLAB), but only among what
people said. A label that nobody gave is never a verdict, the only answer to a row stands as it is,
and what the weights leave in doubt stays open and is the first to be asked about again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curator.annotating_consensus import VERDICT_SCHEMA, consensus
from curator.confident import Crowd, crowd_consensus

FloatArray = npt.NDArray[np.floating]
Method = Literal["crowdlab", "majority"]

MIN_CONFIDENCE = 0.6
"""Where people disagree, a verdict under this stays open: its quality is under 1.5 times that of
the best rival somebody gave. In seven simulated scenes 72 to 99.7 % of the contested verdicts at or
over .6 were right, and 0 to 69 % of those under it (docs/log.md 2026-11-24)."""
DOUBTED = 0.5
"""An answer that all agree on, yet of a quality under this, is one that the models do not share."""

OPINION_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("task", pa.int64()),
        pa.field("why", pa.string(), nullable=False),
        pa.field("answers", pa.int64(), nullable=False),
        pa.field("confidence", pa.float64()),
        pa.field("worth", pa.float64()),
    ]
)
"""Rows that deserve one more opinion, most wanting first. why: "1 open" (no verdict), "2 contested"
(a verdict, yet not everybody agrees) or "3 doubted" (all agree, and the models do not); worth:
ActiveLab's score, lower wants more; null without a model."""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What models that never saw a row say of it.

    rows: Row ids, n of them; classes: k labels; probabilities: shape (n, k), rows sum to 1.
    """

    rows: Sequence[str]
    classes: Sequence[str]
    probabilities: FloatArray


@dataclass(frozen=True, slots=True)
class Together:
    """What the annotators come to.

    verdicts: VERDICT_SCHEMA.
    method: How: crowdlab where rows have several answers and a model was given, else majority.
    quality: What CROWDLAB takes each annotator to be right, 0..1; empty under majority.
    worth: ActiveLab's score by row id, lower wants another answer more; empty under majority.
    """

    verdicts: pa.Table
    method: Method
    quality: Mapping[str, float]
    worth: Mapping[str, float]


def come_together(
    answers: pa.Table,
    beliefs: Beliefs | None,
    *,
    min_answers: int = 1,
    min_confidence: float = MIN_CONFIDENCE,
) -> Together:
    """Give the verdict of each row from people's answers and what models believe.

    Args:
        answers: ANSWER_SCHEMA.
        beliefs: Out-of-fold probabilities; None: the majority decides.
        min_answers: With fewer a row stays open.
        min_confidence: Where people disagree and no verdict reaches this, the row stays open.

    Returns:
        Verdicts; under majority where no row was answered by two, or no model is given.
    """
    most = consensus(answers, min_answers=min_answers)
    matrix = None if beliefs is None else _matrix(answers, beliefs)
    if matrix is None:
        return Together(most, "majority", {}, {})
    crowd = crowd_consensus(matrix.codes, matrix.probabilities)
    place = {row: n for n, row in enumerate(matrix.rows)}
    verdicts = [
        _weighed(one, matrix, crowd, place[one["row_id"]], min_answers, min_confidence)
        if one["row_id"] in place else one
        for one in most.to_pylist()
    ]  # fmt: skip
    return Together(
        pa.Table.from_pylist(verdicts, schema=VERDICT_SCHEMA),
        "crowdlab",
        dict(zip(matrix.people, crowd.person.tolist(), strict=True)),
        dict(zip(matrix.rows, crowd.worth.tolist(), strict=True)),
    )


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Labels that people gave, as codes of classes: shape (rows, people), -1 for none."""

    rows: list[str]
    people: list[str]
    classes: list[str]
    codes: npt.NDArray[np.int64]
    probabilities: FloatArray


def _matrix(answers: pa.Table, beliefs: Beliefs) -> _Matrix | None:
    """Lay out the labels given; None where no row has two."""
    known = {row: n for n, row in enumerate(beliefs.rows)}
    given = [
        a for a in answers.filter(pc.is_in(answers["control"], pa.array(["open", "blind"])))
        .to_pylist() if a["value"] is not None and a["row_id"] in known
    ]  # fmt: skip
    rows = sorted({a["row_id"] for a in given})
    if len(rows) == len(given):
        return None
    people = sorted({a["annotator"] for a in given})
    new = sorted({a["value"] for a in given} - set(beliefs.classes))
    classes = [*beliefs.classes, *new]
    code = {name: k for k, name in enumerate(classes)}
    at, who = ({name: n for n, name in enumerate(names)} for names in (rows, people))
    codes = np.full((len(rows), len(people)), -1, dtype=np.int64)
    for answer in given:
        codes[at[answer["row_id"]], who[answer["annotator"]]] = code[answer["value"]]
    some = np.asarray(beliefs.probabilities)[[known[row] for row in rows]]
    # A class that no training row has is one the models cannot believe in.
    wide = np.pad(some.astype(np.float64), ((0, 0), (0, len(new))))
    return _Matrix(rows, people, classes, codes, wide)


def _weighed(
    one: dict[str, Any], matrix: _Matrix, crowd: Crowd, place: int, min_answers: int, least: float
) -> dict[str, Any]:
    """Give the verdict of one row by weights, where its labels outnumber its other answers."""
    codes = matrix.codes[place]
    labels = int((codes >= 0).sum())
    if labels <= one["answers"] - labels or one["answers"] < min_answers:
        return one
    label, confidence = _best(codes, crowd.own[place])
    votes = int((codes == label).sum())
    if votes < labels and confidence < least:
        return one | {"verdict": "open", "value": None, "confidence": confidence}
    return one | {
        "verdict": "label", "value": matrix.classes[label], "votes": votes,
        "confidence": confidence,
    }  # fmt: skip


def _best(codes: npt.NDArray[np.int64], own: FloatArray) -> tuple[int, float]:
    """Give the best label that somebody gave, and how far it is ahead of the next such one.

    Returns:
        The label, and its quality: alone where all agree, else its share of its own and the best
        rival's, .5..1.
    """
    quality = {int(c): float(q) for c, q in zip(codes, own, strict=True) if c >= 0}
    ranked = sorted(quality.items(), key=lambda pair: (-pair[1], pair[0]))
    label, best = ranked[0]
    return label, best if len(ranked) == 1 else best / (best + ranked[1][1])


def opinions_wanted(together: Together, answers: pa.Table) -> pa.Table:
    """Name the rows that deserve one more opinion, those that want it most first.

    Args:
        together: Verdicts.
        answers: ANSWER_SCHEMA they rest on.

    Returns:
        OPINION_SCHEMA. Under majority one answer alone has nothing to be doubted by.
    """
    tasks = dict(zip(answers["row_id"].to_pylist(), answers["task"].to_pylist(), strict=True))
    found = []
    for verdict in together.verdicts.to_pylist():
        if (why := _wanting(verdict)) is not None:
            row = verdict["row_id"]
            some = {name: verdict[name] for name in ("row_id", "answers", "confidence")}
            more = {"task": tasks[row], "why": why, "worth": together.worth.get(row)}
            found.append(some | more)
    found.sort(key=lambda o: (o["why"], o["worth"] or 0.0, o["confidence"], o["row_id"]))
    return pa.Table.from_pylist(found, schema=OPINION_SCHEMA)


def _wanting(verdict: Mapping[str, Any]) -> str | None:
    """Say why a row wants another opinion; None where it does not."""
    if verdict["verdict"] == "open":
        return "1 open"
    if verdict["votes"] < verdict["answers"]:
        return "2 contested"
    return "3 doubted" if verdict["confidence"] < DOUBTED else None
