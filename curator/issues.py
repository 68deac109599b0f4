"""What each kind of finding means for a reader: how much it matters, and whether it is about a row.

The one idea: findings are ranked by what they would do to a model and to the belief in its score,
not by how many there are. A thousand double spaces matter less than one test row in training.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from curator.errors import CuratorError
from curator.options import unknown_name

HARMS = (
    "scores cannot be believed",
    "people can be harmed",
    "the target is wrong",
    "the model learns something else",
    "the text is of little use",
    "looks",
)
"""What an issue does, the worst first."""

_BY_HARM: tuple[tuple[str, ...], ...] = (
    ("leak", "contamination", "label_in_text"),
    (),  # whatever begins with personal_
    (
        "label", "label_conflict", "empty", "tag_fault", "span_boundary", "surface_conflict",
        "missing_turn", "empty_turn", "role_order",
        "truncated_answer", "copied_prompt", "answer_unrelated", "answers_differ",
        "missing_prompt", "empty_answer", "equal_answers", "likely_reversed",
        "reversed_in_another_row",
    ),
    (
        "exact_duplicate", "near_duplicate", "shortcut", "domain_drift", "label_drift",
        "word_drift", "language_drift", "length_drift", "rare_class", "order",
        "refusal", "answer_language", "refusal_preferred", "longer_preferred",
    ),
    (
        "broken_encoding", "language", "mixed_language", "out_of_domain", "near_empty",
        "keyboard_noise", "surprising", "outlier", "boilerplate", "repetition", "unlike_prose",
        "too_short", "odd_length", "odd_words", "unknown_language", "answer_garbled",
        "answer_length",
    ),
    (
        "markup", "unicode", "html", "whitespace", "near_but_different", "semantic_duplicate",
        "semantic_leak", "split_span",
    ),
)  # fmt: skip
_PERSONAL = 1
_UNRANKED = 3  # what this table does not know, such as a user's own check, stands in the middle

ABOUT_THE_SET = frozenset({
    "shortcut", "rare_class", "order", "domain_drift", "label_drift", "word_drift",
    "language_drift", "length_drift", "longer_preferred",
})  # fmt: skip
"""Issues of the whole set, carried by up to three rows that show them: a sentence counts once."""

NEVER_FLAGGED = ("label_conflict", "near_but_different")
"""Pairs to look at, not doubts that a rule may act on: shown all the same."""

ISSUE_TYPES = tuple(issue for level in _BY_HARM for issue in level)


def harm_of(issue_type: str) -> int:
    """Give the rank of what an issue does, 0 the worst; see `HARMS`."""
    if issue_type.startswith("personal_"):
        return _PERSONAL
    for level, issues in enumerate(_BY_HARM):
        if issue_type in issues:
            return level
    return _UNRANKED


@dataclass(frozen=True, slots=True)
class Limit:
    """From how many findings of a type on a gate says no: a count, or a share of the rows."""

    issue_type: str
    count: int | None = 1
    share: float | None = None

    def broken_by(self, count: int, rows: int) -> bool:
        """Say whether so many findings among so many rows are too many."""
        if self.share is not None:
            return count > 0 and count >= self.share * rows
        return count >= (self.count or 1)

    def sentence(self, count: int, rows: int) -> str:
        """Say what was found and what the limit is."""
        if self.share is not None:
            found = f"{count / max(rows, 1):.1%} {self.issue_type}"
            return f"{found} (no from {self.share:.1%} on)"
        return f"{count:,} {self.issue_type}" + (
            f" (no from {self.count:,} on)" if self.count != 1 else ""
        )


def limit(said: str) -> Limit:
    """Read a limit: an issue type, alone or with a count or a share.

    >>> limit("leak"), limit("label:0.02").share, limit("label:2%").share, limit("label:20").count
    (Limit(issue_type='leak', count=1, share=None), 0.02, 0.02, 20)

    Raises:
        CuratorError: What follows the colon is neither a count from 1 nor a share in 0..1.
    """
    issue, colon, number = said.partition(":")
    count, share = (1, None) if not colon else _number(number)
    if count is None and share is None:
        raise CuratorError(
            f"--fail-on {said!r}: expected ISSUE, ISSUE:COUNT such as {issue}:20, or ISSUE:SHARE "
            f"such as {issue}:0.02 or {issue}:2%"
        )
    return Limit(issue, count=count, share=share)


def _number(said: str) -> tuple[int | None, float | None]:
    """Read a count from 1, or a share in 0..1; (None, None) where it is neither."""
    if said.isdecimal():
        return (int(said) or None), None
    try:
        share = float(said.removesuffix("%")) / (100 if said.endswith("%") else 1)
    except ValueError:
        return None, None
    return None, (share if 0 < share <= 1 else None)


def check_known(limits: Collection[Limit], others: Collection[str]) -> None:
    """Refuse limits on issue types that no check gives.

    Args:
        limits: What was asked.
        others: Issue types that were found or that own checks name.

    Raises:
        CuratorError: With the nearest name.
    """
    known = sorted({*ISSUE_TYPES, *others})
    for name in (one.issue_type for one in limits):
        if name not in known and not name.startswith("personal_"):
            raise CuratorError(unknown_name("--fail-on: a check", "issue type", name, known))


def ranked(counts: Mapping[str, int]) -> list[str]:
    """Order issue types: what matters most first, then the more frequent, then by name."""
    return sorted(counts, key=lambda issue: (harm_of(issue), -counts[issue], issue))
