"""Dialogues that would teach an assistant something else than to answer.

The one idea: what breaks the form is flagged; what may be meant (a refusal, two answers to one
question) is shown and left to people. A small causal model is asked only where one is named: it
says whether an answer is likelier with its prompt than without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curator import schema
from curator.checks.answers import (
    Message,
    broken_off,
    closes_answers,
    copied_share,
    languages_apart,
    likeness,
    odd_ratios,
    refusal_in,
    turn_faults,
)
from curator.errors import StepError
from curator.near import Pairs
from curator.reading import shown
from curator.spans import difference, facts_of

CHECK = "instructions"
ISSUES = (
    "missing_turn", "empty_turn", "role_order", "truncated_answer", "copied_prompt", "refusal",
    "answer_language", "answer_length", "answers_differ", "answer_unrelated", "answer_garbled",
)  # fmt: skip
_UNSURE = frozenset({"refusal", "answer_length", "answers_differ"})
"""What may be meant: shown, never flagged."""

_FEWEST_LOSSES = 20


@dataclass(frozen=True, slots=True)
class AnswerLosses:
    """How hard a causal model finds answers, in nats a token; NaN where nothing was said.

    given: With the prompt before it, shape (n,). alone: Without, shape (n,). cut: Answers that were
    read in part.
    """

    given: np.ndarray[Any, np.dtype[np.floating]]
    alone: np.ndarray[Any, np.dtype[np.floating]]
    cut: int = 0


Losses = Callable[[str, Sequence[str], Sequence[str]], AnswerLosses]
"""Model, prompts and answers -> losses; provided, as a check opens no model."""


def instructions(  # noqa: PLR0913 - each is an option of the step
    rows: pa.Table,
    pairs: Pairs,
    losses: Losses,
    *,
    near: float = 0.9,
    max_copied: float = 0.9,
    max_alike: float = 0.3,
    max_deviations: float = 5.0,
    model: str = "",
    max_ifd: float = 1.0,
) -> pa.Table:
    """Find dialogues without an answer, and answers that break off, copy, refuse or do not fit.

    Args:
        rows: Rows of task instruction, n of them.
        pairs: Near pairs of what the users say.
        losses: Asks a causal model.
        near: Prompts this near (Jaccard, 0.7..1) that have different answers are shown as a pair.
        max_copied: An answer copies its prompt from this share of common 3-grams on, 0..1.
        max_alike: Two answers differ up to this share of common words, 0..1.
        max_deviations: An answer's length is odd this many robust standard deviations from the
            middle of log(answer / prompt).
        model: Causal model that scores the answers: a folder, or package:DISTRIBUTION/FOLDER;
            none by default, as it takes a second for ten short rows.
        max_ifd: An answer does not fit its prompt where it is less likely with it than without by
            this factor of losses.

    Returns:
        Findings about rows of any split; of each issue type at most one per row. Not flagged are
        refusal, answer_length and answers_differ (partner: the other row).

    Raises:
        StepError: An option is outside its range.

    Source: Li et al. 2024, From Quantity to Quality (IFD).
    """
    _refuse_shares({"max_copied": max_copied, "max_alike": max_alike})
    dialogues = rows["messages"].to_pylist()
    turns = [exchanges(messages) for messages in dialogues]
    found = [*_by_row(dialogues, turns, max_copied)]
    asked, said = (["\n".join(part) for part in side] for side in _sides(turns))
    some = [i for i, answer in enumerate(said) if answer.strip()]
    prompts, answers = [asked[i] for i in some], [said[i] for i in some]
    for issue, told in (
        ("answer_language", languages_apart(prompts, answers)),
        ("answer_length", odd_ratios(prompts, answers, most=max_deviations)),
    ):
        found += [(some[at], issue, score, why, None) for at, (score, why) in told.items()]
    found += _differing(asked, said, pairs, near, max_alike)
    if model:
        found += unfitting(prompts, answers, some, losses(model, prompts, answers), max_ifd)
    return as_table(rows, found, CHECK, _UNSURE)


Told = tuple[int, str, float, str, int | None]
"""Position, issue type, score, evidence, position of the partner."""


def as_table(rows: pa.Table, found: Sequence[Told], check: str, unsure: frozenset[str]) -> pa.Table:
    """Write findings down, by row and issue; the first of several alike stands for them."""
    ids = rows["id"].to_pylist()
    first: dict[tuple[int, str], Told] = {}
    for one in found:
        first.setdefault(one[:2], one)
    return schema.findings(
        {
            "row_id": ids[at],
            "issue_type": issue,
            "score": score,
            "evidence": why,
            "partner_id": None if partner is None else ids[partner],
            "check": check,
            "flagged": issue not in unsure,
        }
        for (at, issue), (_, _, score, why, partner) in sorted(first.items())
    )


def exchanges(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Pair each answer with what the user said before it."""
    found, asked = [], ""
    for message in messages:
        if message["role"] == "user":
            asked = message["content"]
        elif message["role"] == "assistant":
            found.append((asked, message["content"]))
    return found


def _refuse_shares(options: Mapping[str, float]) -> None:
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise StepError(f"{CHECK}: {name} is {value}; expected 0 to 1")


def _sides(turns: Sequence[Sequence[tuple[str, str]]]) -> tuple[list[list[str]], list[list[str]]]:
    return [[a for a, _ in t] for t in turns], [[b for _, b in t] for t in turns]


def _by_row(
    dialogues: Sequence[Sequence[Message]],
    turns: Sequence[Sequence[tuple[str, str]]],
    max_copied: float,
) -> Iterator[Told]:
    closes = closes_answers([said for pairs in turns for _, said in pairs])
    for at, (messages, exchanged) in enumerate(zip(dialogues, turns, strict=True)):
        for issue, why in turn_faults(messages).items():
            yield at, issue, 1.0, why, None
        for asked, said in exchanged:
            if why_broken := broken_off(said, closes=closes):
                yield at, "truncated_answer", 1.0, why_broken, None
            if words := refusal_in(said):
                yield at, "refusal", 1.0, f"says {shown(words)}", None
            copied = copied_share(asked, said)
            if copied and copied[0] >= max_copied:
                yield at, "copied_prompt", *copied, None


def _differing(
    asked: Sequence[str], said: Sequence[str], pairs: Pairs, near: float, max_alike: float
) -> Iterator[Told]:
    """Show prompts that ask the same and are answered differently, each by its nearest partner."""
    best: dict[int, Told] = {}
    each = zip(pairs.left.tolist(), pairs.right.tolist(), pairs.jaccard.tolist(), strict=True)
    for left, right, jaccard in each:
        if jaccard < near or not (said[left].strip() and said[right].strip()):
            continue
        alike = likeness(said[left], said[right])
        # Near is not the same: what is the dose of A, what is the dose of B.
        if alike > max_alike or difference(facts_of(asked[left]), facts_of(asked[right])):
            continue
        why = (
            f"prompts alike (Jaccard {jaccard:.2f}), answers share {alike:.0%} of their words: "
            f"{shown(said[left])} and {shown(said[right])}"
        )
        for at, other in ((left, right), (right, left)):
            if at not in best or 1 - alike > best[at][2]:
                best[at] = at, "answers_differ", 1 - alike, why, other
    yield from best.values()


def unfitting(
    prompts: Sequence[str],
    answers: Sequence[str],
    places: Sequence[int],
    scored: AnswerLosses,
    max_ifd: float,
) -> Iterator[Told]:
    """Find answers that their prompt does not make likelier, and those no model expects.

    Both are needed: scrambled words have a usual ratio and a high loss, the answer to another
    question a usual loss and a ratio above 1.
    """
    del prompts, answers
    known = np.isfinite(scored.alone) & np.isfinite(scored.given)
    logs = np.log(np.maximum(scored.alone, 1e-6))
    middle = float(np.median(logs[known])) if known.any() else 0.0
    # log 1.5: less than half as much again as usual is no garble, however alike the others are.
    spread = 1.4826 * float(np.median(np.abs(logs[known] - middle))) if known.any() else 0.0
    limit = middle + max(3 * spread, math.log(1.5))
    for i in np.flatnonzero(known).tolist():
        given, alone = float(scored.given[i]), float(scored.alone[i])
        if alone > 0 and given / alone >= max_ifd:
            why = f"IFD {given / alone:.2f}: loss {given:.2f} with its prompt, {alone:.2f} without"
            yield places[i], "answer_unrelated", given / alone, why, None
        if known.sum() >= _FEWEST_LOSSES and logs[i] > limit:
            why = f"loss {alone:.2f} a token, {math.exp(middle):.2f} in the middle of all answers"
            yield places[i], "answer_garbled", alone, why, None
