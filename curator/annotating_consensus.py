"""From what annotators answered to a verdict per row, and from verdicts to findings.

The one idea: a verdict is a finding like any other: it doubts a label, suggests one, and says how
many people stand behind it. What is done about it is decided elsewhere.

The table of answers is the seam: any other consensus reads it and gives VERDICT_SCHEMA.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.voting import vote_ratings

CHECK = "annotators"
RELABEL, DROP, AMBIGUOUS = "review", "review_drop", "review_ambiguous"
"""Issue types of verdicts: another label (or the given one, unflagged), drop, cannot be told."""

RATING = "review_rating"
"""Issue type that keeps how people rated a row's answer; it asks for nothing."""

Combine = Callable[[Sequence[str]], tuple[str | None, float]]

ANSWER_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("task", pa.int64()),
        pa.field("annotator", pa.string(), nullable=False),
        pa.field("decision", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("rating", pa.int64()),
        pa.field("at", pa.string(), nullable=False),
        pa.field("lead_time", pa.float64()),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("control", pa.string(), nullable=False),
        pa.field("given", pa.string(), nullable=False),
        pa.field("suggested", pa.string()),
        pa.field("content", pa.string(), nullable=False),
        pa.field("input", pa.string(), nullable=False),
    ]
)
"""One answer per row and annotator, their latest. value: key of the label the row is to have (for
other tasks, what their form says), null for ambiguous and drop; rating: of a response, 1 to 5, null
where the task has none; lead_time: seconds; control: open, blind, known or swapped; given and
suggested: as shown (blind: the suggestion that was not shown); content, input: hashes of the row
as it was pushed."""

VERDICT_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("votes", pa.int64(), nullable=False),
        pa.field("answers", pa.int64(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("annotators", pa.string(), nullable=False),
        pa.field("given", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
        pa.field("input", pa.string(), nullable=False),
    ]
)
"""One verdict per row. verdict: label, drop, ambiguous, or open (no majority, or too few answers);
value: the label; votes of answers people agree with it; confidence: that it is right, 0..1 (here
the share of votes); annotators: who answered, joined by a comma."""


def answers_of(events: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Give the answers that count: of each row and annotator the latest that can be understood.

    Args:
        events: What holds of each annotation now, oldest first.

    Returns:
        ANSWER_SCHEMA, sorted by row and annotator.
    """
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for event in events:
        if event["decision"] is not None and event["kind"] in ("created", "edited"):
            place = (event["row_id"], str(event["annotator"]))
            if place not in latest or latest[place]["updated_at"] <= event["updated_at"]:
                latest[place] = event
    records = [
        {**event, "annotator": annotator, "at": event["updated_at"]}
        for (_, annotator), event in sorted(latest.items())
    ]
    named = [{name: record.get(name) for name in ANSWER_SCHEMA.names} for record in records]
    return pa.Table.from_pylist(named, schema=ANSWER_SCHEMA)


def consensus(
    answers: pa.Table, *, min_answers: int = 1, combine: Combine | None = None
) -> pa.Table:
    """Give the verdict of the most, row by row; known answers are controls and have none.

    Args:
        answers: ANSWER_SCHEMA.
        min_answers: With fewer a row stays open.
        combine: Values of several people -> the value of the most (None: open) and the share of
            people behind it, for answers of several parts; None: a value counts as a whole.

    Returns:
        VERDICT_SCHEMA, sorted by row.
    """
    asked = answers.filter(pc.is_in(answers["control"], pa.array(["open", "blind"])))
    by_row: dict[str, list[dict[str, Any]]] = {}
    for answer in asked.to_pylist():
        by_row.setdefault(answer["row_id"], []).append(answer)
    verdicts = [_verdict(found, min_answers, combine) for _, found in sorted(by_row.items())]
    return pa.Table.from_pylist(verdicts, schema=VERDICT_SCHEMA)


def _verdict(
    found: list[dict[str, Any]], min_answers: int, combine: Combine | None
) -> dict[str, Any]:
    votes = Counter(_vote(answer, whole=combine is None) for answer in found)
    (verdict, value), most = votes.most_common(1)[0]
    tied = sum(count == most for count in votes.values()) > 1
    if combine is not None and verdict == "label" and not tied:
        value, share = combine([a["value"] for a in found if _vote(a, whole=False)[0] == "label"])
        most = round(share * most)
        verdict = "open" if value is None else verdict
    if tied or len(found) < min_answers:
        verdict, value = "open", None
    first = found[0]
    return {
        "row_id": first["row_id"],
        "verdict": verdict,
        "value": value,
        "votes": most,
        "answers": len(found),
        "confidence": most / len(found),
        "annotators": ", ".join(answer["annotator"] for answer in found),
        **{name: first[name] for name in ("given", "content", "input")},
    }


def _vote(answer: Mapping[str, Any], *, whole: bool) -> tuple[str, str | None]:
    if answer["decision"] in ("drop", "ambiguous"):
        return answer["decision"], None
    return "label", answer["value"] if whole else None


def verdict_findings(verdicts: pa.Table, labels: Mapping[str, str]) -> pa.Table:
    """Give verdicts as findings about rows; open ones are none.

    Args:
        verdicts: VERDICT_SCHEMA.
        labels: Label that each row has now; verdicts about other rows are left out.

    Returns:
        FINDING_SCHEMA. Flagged is what asks for a change; p_fix is the confidence.
    """
    return schema.findings(
        {
            "row_id": one["row_id"],
            "issue_type": {"drop": DROP, "ambiguous": AMBIGUOUS}.get(one["verdict"], RELABEL),
            "score": one["confidence"],
            "suggestion": one["value"],
            "evidence": f"{one['votes']} of {one['answers']} annotators: {one['annotators']}",
            "check": CHECK,
            "flagged": one["value"] != labels[one["row_id"]],
            "p_fix": one["confidence"] if one["value"] is not None else None,
        }
        for one in verdicts.to_pylist()
        if one["verdict"] != "open" and one["row_id"] in labels
    )


def rating_findings(answers: pa.Table, row_ids: Collection[str]) -> pa.Table:
    """Give the median rating of each of some rows, as findings that ask for nothing.

    Args:
        answers: ANSWER_SCHEMA.
        row_ids: Rows that are still there.

    Returns:
        FINDING_SCHEMA; score: the median, 1 to 5.
    """
    rated: dict[str, list[int]] = {}
    for answer in answers.to_pylist():
        if answer["rating"] is not None and answer["row_id"] in row_ids:
            rated.setdefault(answer["row_id"], []).append(answer["rating"])
    return schema.findings(
        {
            "row_id": row_id,
            "issue_type": RATING,
            "score": float(str(vote_ratings(given).value)),
            "evidence": "rated " + ", ".join(map(str, given)),
            "check": CHECK,
            "flagged": False,
        }
        for row_id, given in sorted(rated.items())
    )
