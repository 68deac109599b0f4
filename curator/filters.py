"""Which augmented rows may stay: none that is a copy, a leak, or no longer true to its label.

The one idea: a filter never makes a loss a gain, it bounds the damage, so it says for each refused
row which rule refused it and which row was in its way. A refused row gets one finding, of the first
rule that applies: a leak, then a copy, then a label that is no longer believed.

Each verdict depends on the set of rows alone, never on their order.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curator import near as near_duplicates
from curator.errors import StepError
from curator.schema import ROW_SCHEMA, augmented_id, findings, sort_rows

CHECK = "augmented"
ISSUE_TYPES = ("augmented_leak", "augmented_copy", "augmented_label")

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Refusals = dict[int, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Belief:
    """How much a model that never saw a row's family believes its label.

    child: probability of the candidate's label on the candidate, shape (c,), in 0..1, in the order
        of the candidates; nan where there is no parent.
    parent: probability of the same label on its parent, shape (c,), likewise.
    """

    child: FloatArray
    parent: FloatArray


@dataclass(frozen=True, slots=True)
class Filtered:
    """What the filters say about a set of candidates.

    keep: which candidates may stay, shape (c,), in the order of the candidates.
    findings: one finding per refused candidate (FINDING_SCHEMA), sorted by row id.
    notes: what was not checked, in sentences.
    """

    keep: BoolArray
    findings: pa.Table
    notes: tuple[str, ...]


def candidate_rows(rows: pa.Table, lineage: pa.Table, *, step: str) -> pa.Table:
    """Give the rows of an augmenter their ids, groups and step.

    Args:
        rows: Rows without id and step, as an augmenter returns them.
        lineage: parent, augmenter, augmenter_version, options, seed and copy, in the same order.
        step: Name of the step that makes them.

    Returns:
        Rows of the row contract (the user's own columns after it), sorted by id; a row without a
        parent is its own group.

    Raises:
        StepError: Two of the rows have the same lineage, so the same id.
    """
    names = ("parent", "augmenter", "augmenter_version", "options", "seed", "copy")
    fields = zip(*(lineage[name].to_pylist() for name in names), strict=True)
    ids = pa.array([augmented_id(*six) for six in fields], pa.string())
    repeated = len(ids) - pc.count_distinct(ids).as_py()
    if repeated:
        raise StepError(
            f"step {step!r}: {repeated} augmented rows have the lineage of another one; "
            "name each augmenter once, or give it another seed"
        )
    made = {
        "id": ids,
        "group": pc.coalesce(rows["group"], ids),
        "step": pa.array([step] * len(ids), pa.string()),
    }
    own = [field for field in rows.schema if field.name not in ROW_SCHEMA.names]
    schema = pa.schema([*ROW_SCHEMA, *own])
    columns = {name: made[name] if name in made else rows[name] for name in schema.names}
    return sort_rows(pa.table(columns, schema=schema))


def filter_augmented(
    candidates: pa.Table,
    rows: pa.Table,
    belief: Belief | None,
    *,
    near: float = 0.8,
    keep_label: float = 0.5,
) -> Filtered:
    """Find the augmented rows that may not stay.

    - augmented_leak: equal to a test or validation row but for case and punctuation, or a
      near-duplicate of one (exact Jaccard of shingles >= near). Score: the Jaccard; partner: that
      row.
    - augmented_copy: equal but for case and punctuation to its parent, to any training row, or to
      another candidate. Of equal candidates with one label the smallest id stays; with several
      labels none stays. Label texts are no exception: one that a training row says already is
      refused. Score 1; partner: the equal row.
    - augmented_label: the label is believed less than keep_label times as much as on its parent.
      Score: 1 - child / parent; partner: the parent. Rows without one are exempt.

    Args:
        candidates: Augmented rows (the row contract), in any order.
        rows: All rows of the version they would join: training, validation and test.
        belief: Out-of-fold probabilities, the parent's group left out; None where no model is
            available, which is stated in the notes.
        near: Least Jaccard similarity of a near-duplicate, in 0.5..1.
        keep_label: Least share of the parent's probability, in 0..1; 0 switches the rule off.

    Returns:
        Who may stay, and one finding per candidate that may not.

    Raises:
        StepError: An option is out of its range, or belief is not of the candidates' length.
    """
    _check(candidates, belief, near=near, keep_label=keep_label)
    notes: list[str] = []
    held_out = rows.filter(pc.not_equal(rows["split"], "train"))
    training = rows.filter(pc.equal(rows["split"], "train"))
    refused: Refusals = {}
    _add(refused, _equal_to(candidates, held_out, "augmented_leak"))
    near_refused, capped = _near_to(candidates, held_out, rows, near=near)
    _add(refused, near_refused)
    if capped:
        notes.append(
            f"{capped} groups of much alike texts were too large to compare all their pairs; "
            "near-duplicates of held-out rows may be missed there"
        )
    _add(refused, _equal_to(candidates, training, "augmented_copy"))
    if belief is not None:
        _add(refused, _disbelieved(candidates, belief, keep_label=keep_label))
    elif candidates.num_rows:
        notes.append(
            "labels of augmented rows were not checked: no model's probabilities were given"
        )
    _add(refused, _equal_to_each_other(candidates, refused))
    ids = candidates["id"].to_pylist()
    keep = np.array([i not in refused for i in range(len(ids))], dtype=np.bool_)
    records = [{"row_id": ids[i], "check": CHECK, **refused[i]} for i in refused]
    return Filtered(keep, findings(records).sort_by("row_id"), tuple(notes))


def _check(candidates: pa.Table, belief: Belief | None, *, near: float, keep_label: float) -> None:
    lowest = near_duplicates.LOWEST_THRESHOLD
    if not lowest <= near <= 1:
        raise StepError(f"augment: near is {near}; expected {lowest} to 1")
    if not 0 <= keep_label <= 1:
        raise StepError(f"augment: keep_label is {keep_label}; expected 0 to 1")
    n = candidates.num_rows
    if belief is not None and not belief.child.shape == belief.parent.shape == (n,):
        raise StepError(
            f"augment: {n} candidates, but probabilities of shape {belief.child.shape} for them "
            f"and {belief.parent.shape} for their parents; expected ({n},) for both"
        )


def _add(refused: Refusals, more: Refusals) -> None:
    """Add refusals of candidates that no earlier rule refused."""
    for position, record in more.items():
        refused.setdefault(position, record)


def bare(text: str) -> str:
    """Give what a text says without case, punctuation and spacing; a text of signs stays itself.

    >>> bare("  Where is my CARD?! ")
    'where is my card'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c for c in folded if not unicodedata.category(c).startswith("P"))
    return " ".join(kept.split()) or " ".join(folded.split())


def _bare_texts(rows: pa.Table) -> list[str]:
    return [bare(text) for text in rows["text"].to_pylist()]


def _first_by_text(rows: pa.Table) -> dict[str, tuple[str, str]]:
    """Map each text to the smallest id that has it, and that row's label."""
    first: dict[str, tuple[str, str]] = {}
    ids, labels = rows["id"].to_pylist(), rows["label"].to_pylist()
    for text, row_id, label in sorted(zip(_bare_texts(rows), ids, labels, strict=True)):
        first.setdefault(text, (row_id, label))
    return first


def _equal_to(candidates: pa.Table, others: pa.Table, issue_type: str) -> Refusals:
    known = _first_by_text(others)
    parents = dict(zip(others["id"].to_pylist(), _bare_texts(others), strict=True))
    refused: Refusals = {}
    columns = (candidates["parent"], candidates["label"])
    fields = zip(_bare_texts(candidates), *(c.to_pylist() for c in columns), strict=True)
    for position, (text, parent, label) in enumerate(fields):
        if text not in known:
            continue
        partner, other = known[text]
        if parents.get(parent) == text:
            refused[position] = _record(issue_type, parent, "equal to its parent")
        else:
            split = "a held-out row" if issue_type == "augmented_leak" else "a training row"
            tail = "" if other == label else f" with another label ({other})"
            refused[position] = _record(issue_type, partner, f"equal to {split}{tail}")
    return refused


def _record(
    issue_type: str, partner: str | None, evidence: str, score: float = 1.0
) -> dict[str, object]:
    return {
        "issue_type": issue_type,
        "score": score,
        "partner_id": partner,
        "evidence": evidence,
    }


def _near_to(
    candidates: pa.Table, held_out: pa.Table, rows: pa.Table, *, near: float
) -> tuple[Refusals, int]:
    """Find candidates near a held-out row; the partner is the nearest one, then the smallest id.

    Returns:
        The refusals, and how many buckets of near_pairs were capped.
    """
    if not candidates.num_rows or not held_out.num_rows:
        return {}, 0
    ids = held_out["id"].to_pylist()
    partner_of: dict[str, str] = {}
    for text, row_id in zip(_normal_texts(held_out), ids, strict=True):
        partner_of[text] = min(row_id, partner_of.get(text, row_id))
    texts = _normal_texts(candidates)
    nearest = {text: (-1.0, partner_of[text]) for text in texts if text in partner_of}
    # Pairs between different texts only: one of them would otherwise speak for all its rows.
    new = sorted(set(texts) - set(partner_of))
    known = sorted(partner_of)
    shingles = near_duplicates.choose_shingles(rows["text"])
    sides = np.arange(len(new) + len(known)) >= len(new)
    pairs = near_duplicates.near_pairs(
        [*new, *known], threshold=near, shingles=shingles, sides=sides
    )
    fields = (pairs.left.tolist(), pairs.right.tolist(), pairs.jaccard.tolist())
    for left, right, jaccard in zip(*fields, strict=True):
        rank = (-jaccard, partner_of[known[right - len(new)]])
        nearest[new[left]] = min(rank, nearest.get(new[left], rank))
    refused = {i: _near_record(*nearest[text]) for i, text in enumerate(texts) if text in nearest}
    return refused, pairs.capped_buckets


def _normal_texts(rows: pa.Table) -> list[str]:
    texts: list[str] = near_duplicates.normalise(rows["text"]).to_pylist()
    return texts


def _near_record(rank: float, partner: str) -> dict[str, object]:
    evidence = f"near-duplicate of a held-out row (Jaccard {-rank:.2f})"
    return _record("augmented_leak", partner, evidence, -rank)


def _disbelieved(candidates: pa.Table, belief: Belief, *, keep_label: float) -> Refusals:
    # Comparisons with nan are false: rows without a parent are exempt.
    doubtful = np.flatnonzero(belief.child < keep_label * belief.parent)
    parents = candidates["parent"].to_pylist()
    refused: Refusals = {}
    for position in doubtful.tolist():
        child, parent = float(belief.child[position]), float(belief.parent[position])
        evidence = f"its label has probability {child:.2f}, on the parent {parent:.2f}"
        refused[position] = _record(
            "augmented_label", parents[position], evidence, 1 - child / parent
        )
    return refused


def _equal_to_each_other(candidates: pa.Table, refused: Refusals) -> Refusals:
    """Among candidates not yet refused, keep one of each text, or none where labels differ."""
    ids, labels = candidates["id"].to_pylist(), candidates["label"].to_pylist()
    by_text: dict[str, list[int]] = defaultdict(list)
    for position, text in enumerate(_bare_texts(candidates)):
        if position not in refused:
            by_text[text].append(position)
    more: Refusals = {}
    for positions in by_text.values():
        same = sorted(positions, key=lambda position: str(ids[position]))
        if len({labels[position] for position in same}) > 1:
            more.update(_contradicting(same, ids, labels))
        else:
            for position in same[1:]:
                evidence = "equal to another augmented row"
                more[position] = _record("augmented_copy", ids[same[0]], evidence)
    return more


def _contradicting(same: Sequence[int], ids: Sequence[str], labels: Sequence[str]) -> Refusals:
    refused: Refusals = {}
    for position in same:
        partner = next(other for other in same if labels[other] != labels[position])
        evidence = f"equal to another augmented row with another label ({labels[partner]})"
        refused[position] = _record("augmented_copy", ids[partner], evidence)
    return refused
