"""Preference pairs that teach nothing, or the contrary of what was meant.

The one idea: only another row or the form of an answer can speak against a preference. Equal
answers and an answer that breaks off are facts; that the preferred answer refuses, or that another
row prefers the other one, is a pair for people to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from curator.checks.answers import (
    broken_off,
    closes_answers,
    copied_share,
    languages_apart,
    refusal_in,
    terms,
)
from curator.checks.instructions import Losses, Told, as_table
from curator.reading import shown
from curator.tasks import contents

CHECK = "preferences"
ISSUES = (
    "missing_prompt", "empty_answer", "equal_answers", "reversed_in_another_row",
    "likely_reversed", "refusal_preferred", "longer_preferred",
)  # fmt: skip
_UNSURE = frozenset({"reversed_in_another_row", "refusal_preferred", "longer_preferred"})
_ONE_SIDED = 0.9
_FEWEST = 30


def preferences(
    rows: pa.Table, losses: Losses, *, max_copied: float = 0.9, model: str = ""
) -> pa.Table:
    """Find pairs with equal or empty answers, and pairs that other evidence says are reversed.

    Args:
        rows: Rows of task preference.
        losses: Asks a causal model.
        max_copied: An answer copies its prompt from this share of common 3-grams on, 0..1.
        model: Causal model that scores both answers: a folder, or package:DISTRIBUTION/FOLDER;
            none by default.

    Returns:
        Findings about rows of any split. likely_reversed: the preferred answer breaks off, copies
        the prompt, is in another language, or (with a model) is unlikelier with its prompt than
        without, and the other one is not. Not flagged: reversed_in_another_row (same prompt, the
        same two answers, the contrary preference; partner: that row), refusal_preferred (right in
        data about safety), longer_preferred (of the whole set: length alone gives the preference
        away).
    """
    prompts, chosen, rejected = (
        [contents(messages) for messages in rows[name].to_pylist()]
        for name in ("prompt", "chosen", "rejected")
    )
    asked = [contents(m, "user") or contents(m) for m in rows["prompt"].to_pylist()]
    found = [*_form(prompts, chosen, rejected), *_contradicted(prompts, chosen, rejected)]
    closes = closes_answers([*chosen, *rejected])
    faults = [
        {**_faults(asked, side, max_copied, closes=closes), **_unfit(asked, side, losses, model)}
        for side in (chosen, rejected)
    ]
    found += _reversed(faults[0], faults[1])
    for at, (good, bad) in enumerate(zip(chosen, rejected, strict=True)):
        if (words := refusal_in(good)) and not refusal_in(bad):
            why = f"the preferred answer refuses ({shown(words)}), the other one does not"
            found.append((at, "refusal_preferred", 1.0, why, None))
    return as_table(rows, [*found, *_one_sided(chosen, rejected)], CHECK, _UNSURE)


def _form(prompts: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]) -> Iterator[Told]:
    for at, (prompt, good, bad) in enumerate(zip(prompts, chosen, rejected, strict=True)):
        if not prompt.strip():
            yield at, "missing_prompt", 1.0, "the prompt is empty", None
        empty = [n for n, a in (("preferred", good), ("other", bad)) if not a.strip()]
        if empty:
            why = f"the {' and the '.join(empty)} answer is empty"
            yield at, "empty_answer", 1.0, why, None
        elif terms(good) == terms(bad) and (terms(good) or good.split() == bad.split()):
            same = "equal" if good == bad else "equal but for case, marks and white space"
            yield at, "equal_answers", 1.0, f"both answers are {same}", None


def _contradicted(
    prompts: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]
) -> Iterator[Told]:
    """Find rows that prefer what another row with the same prompt rejects."""
    sides = [
        tuple(tuple(terms(text)) for text in row)
        for row in zip(prompts, chosen, rejected, strict=True)
    ]
    first: dict[Any, int] = {}
    for at, row in enumerate(sides):
        first.setdefault(row, at)
    for at, (prompt, good, bad) in enumerate(sides):
        other = first.get((prompt, bad, good))
        if other is not None and good != bad:
            why = "another row prefers the other one of the same two answers to the same prompt"
            yield at, "reversed_in_another_row", 1.0, why, other


def _faults(
    asked: Sequence[str], answers: Sequence[str], max_copied: float, *, closes: bool
) -> dict[int, str]:
    """Say what is wrong with the form of each answer, by position."""
    found = {at: why for at, (_, why) in languages_apart(asked, answers).items()}
    for at, (prompt, answer) in enumerate(zip(asked, answers, strict=True)):
        copied = copied_share(prompt, answer)
        if copied and copied[0] >= max_copied:
            found[at] = copied[1]
        if why := broken_off(answer, closes=closes):
            found[at] = f"it {why}" if why.startswith("ends") else why
    return found


def _unfit(
    asked: Sequence[str], answers: Sequence[str], losses: Losses, model: str
) -> dict[int, str]:
    if not model:
        return {}
    scored = losses(model, asked, answers)
    ratios = (scored.given / scored.alone).tolist()
    return {at: f"IFD {ratio:.2f}" for at, ratio in enumerate(ratios) if ratio >= 1}


def _reversed(good: Mapping[int, str], bad: Mapping[int, str]) -> Iterator[Told]:
    for at, why in good.items():
        if at not in bad:
            said = f"the preferred answer is the faulty one: {why}; the other has none"
            yield at, "likely_reversed", 1.0, said, None


def _one_sided(chosen: Sequence[str], rejected: Sequence[str]) -> Iterator[Told]:
    """Say where length alone gives the preference away; three rows carry it."""
    further = [len(a) - len(b) for a, b in zip(chosen, rejected, strict=True)]
    longer, shorter = sum(d > 0 for d in further), sum(d < 0 for d in further)
    share = max(longer, shorter) / max(longer + shorter, 1)
    if longer + shorter < _FEWEST or share < _ONE_SIDED:
        return
    word = "longer" if longer >= shorter else "shorter"
    order = sorted(range(len(further)), key=lambda i: (-abs(further[i]), i))
    for at in order[:3]:
        why = f"the preferred answer is the {word} one in {share:.0%} of the pairs"
        yield at, "longer_preferred", share, why, None
