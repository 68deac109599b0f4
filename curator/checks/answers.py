"""What can be read off one answer: it refuses, breaks off, repeats its prompt, or changes language.

The one idea: each rule names the words it went by, and says nothing where it cannot tell. A refusal
can be the right answer, so it is a fact about the answer, not a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from curator.checks.language import UNKNOWN, languages_of
from curator.reading import shown

Message = Mapping[str, str]

ROLES = ("system", "user", "assistant", "tool")
_OPENING_CHARS = 240  # a refusal says so at once; later the words are quoted or hedged
_REFUSAL = re.compile(
    r"(?i)\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b[^.!?\n]{0,60}"
    r"\b(?:can(?:no|')t|can not|unable|don't|do not|am not|not able)"
    r"|\b(?:i(?:'m| am) (?:very |so |really )?(?:sorry|afraid)|sorry|(?:my )?apologies"
    r"|i apologi[sz]e|unfortunately)[^.!?\n]{0,50}\b(?:i|we) (?:can(?:no|')t|can not|won't|will not"
    r"|am unable|am not able|must decline|(?:do not|don't) have (?:access|the ability))"
    r"|\bi (?:can(?:no|')t|can not|won't|will not|am unable to|am not able to|must decline to"
    r"|(?:do not|don't) feel comfortable)\s*(?:to )?(?:help|assist|provid|fulfil|answer|comply"
    r"|creat|generat|support|engag|discuss|shar|writ|do that|participat|offer)\w*"
    r"|(?:抱歉|对不起|很遗憾)[，,。！!\s][^。！？\n]{0,20}(?:不能|无法|没有办法|不可以|不便)"
    r"|作为(?:一个|一名|一款)?(?:AI|ai|人工智能|大?语言模型|智能助手)[^。！？\n]{0,30}(?:不能|无法|没有)"
    r"|我(?:不能|无法)(?:提供|回答|协助|帮助|满足|完成|生成|讨论|参与|执行)"
)
_ENDS = re.compile(
    r"(?i)[,，、(（\[【]$|(?:^|[\s,;])(?:the|an?|and|or|of|to|with|because|but|which|such as|"
    r"for example|including)$|(?:因为|但是|以及|例如|比如|并且|而且|由于|如果|虽然)$"
)
_CLOSED = re.compile(
    r"[.!?…。！？；;:：)）\]】}」』”\"'’*`~|>]$|[\U0001F300-\U0001FAFF\u2600-\u27BF]$"
)
_LEAST_ENDING = 12  # characters: a shorter answer may be the one word that was asked for
LONG_ANSWER = 200
"""Characters from which an answer is prose that ends with a full stop, where the others do."""

_NO_PROSE = re.compile(r"^\s*(?:[-*+•>#|]|\d+[.)]|[A-Za-z]+://)|https?://\S+$|[{};=<>\\]")
_LEAST_LINE = 40
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_UNSPACED = "一-鿿㐀-䶿぀-ヿ฀-๿຀-໿ក-៿က-႟"  # scripts without spaces, as UNSPACED in reading
_TERMS = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+(?:'[^\W_]+)?")
_SHINGLE = 3
_FEWEST_TERMS = 5
_ASKS_LANGUAGE = re.compile(
    r"(?i)\b(?:translat|in (?:english|chinese|mandarin|french|german|spanish|italian|japanese"
    r"|korean|russian|portuguese|arabic|hindi|dutch|turkish|polish|latin)\b|(?:english|chinese"
    r"|french|german|spanish|italian|japanese|korean|russian|portuguese|arabic|hindi) (?:word"
    r"|version|phrase|sentence))"
    r"|翻译|译[成为]|[英中汉法德日韩俄]文|[英汉法德日韩俄]语|西班牙语|普通话"
)


def refusal_in(answer: str) -> str | None:
    """Give the words with which an answer refuses; None where it does not.

    >>> refusal_in("I'm sorry, but I can't help with that."), refusal_in("I cannot stand rain.")
    ("I'm sorry, but I can't", None)
    """
    found = _REFUSAL.search(answer[:_OPENING_CHARS].replace("’", "'"))
    return found.group().strip() if found else None


def broken_off(answer: str, *, closes: bool) -> str | None:
    """Say how an answer breaks off; None where it does not.

    Args:
        answer: The answer.
        closes: Whether long answers here end with a full stop, nearly all of them.

    >>> broken_off("Take the tablets in the morning and", closes=False)
    "ends with 'and'"
    """
    text = answer.rstrip()
    if text.count("```") % 2:
        return "a block of code is not closed"
    if len(text) >= _LEAST_ENDING and (end := _ENDS.search(text)):
        return f"ends with {end.group().strip(' ,;') or end.group().strip()!r}"
    last = text.rpartition("\n")[2]
    is_prose = len(last) >= _LEAST_LINE and not _NO_PROSE.search(last)
    if closes and len(text) >= LONG_ANSWER and is_prose and not _CLOSED.search(text):
        return f"its last sentence has no end: {shown(text[-30:])}"
    return None


def closes_answers(answers: Sequence[str], *, share: float = 0.9, fewest: int = 10) -> bool:
    """Tell whether long answers end with a full stop here, nearly all of them."""
    ends = [bool(_CLOSED.search(a.rstrip())) for a in answers if len(a) >= LONG_ANSWER]
    return len(ends) >= fewest and sum(ends) >= share * len(ends)


def terms(text: str) -> list[str]:
    """Split a text into lower-case words; a character of a script without spaces is one."""
    return _TERMS.findall(text.lower())


def copied_share(prompt: str, answer: str) -> tuple[float, str] | None:
    """Say how much of the prompt an answer repeats, and how; None where it says something else.

    An answer that is found in a long prompt quotes it; one that also holds all of it copies it.
    """
    asked, said = terms(prompt), terms(answer)
    if asked and asked == said:
        return 1.0, "the answer is the prompt"
    if min(len(asked), len(said)) < _FEWEST_TERMS:
        return None
    if said[: len(asked)] == asked:
        return len(asked) / len(said), "the answer begins with the whole prompt"
    here, there = (
        {tuple(t[i : i + _SHINGLE]) for i in range(len(t) - _SHINGLE + 1)} for t in (asked, said)
    )
    both = len(here & there)
    return both / max(len(here), len(there)), f"prompt and answer share {both} of their 3-grams"


def likeness(one: str, other: str) -> float:
    """Give the share of words that two texts have in common, 0..1."""
    here, there = set(terms(one)), set(terms(other))
    return len(here & there) / max(len(here | there), 1)


def languages_apart(prompts: Sequence[str], answers: Sequence[str]) -> dict[int, tuple[float, str]]:
    """Find answers in another language than their prompt, where the prompt asks for none.

    Returns:
        By position: how sure both languages are, 0..1, and which they are.
    """
    texts = [_FENCED.sub(" ", t) for t in (*prompts, *answers)]
    found = languages_of(pl.Series(texts, dtype=pl.String))
    n, told = len(prompts), {}
    for at in range(n):
        asked, said = found.language[at], found.language[n + at]
        if UNKNOWN in (asked, said) or asked == said or _ASKS_LANGUAGE.search(prompts[at]):
            continue
        sure = float(min(found.confidence[at], found.confidence[n + at]))
        told[at] = sure, f"the prompt is {asked}, the answer {said}"
    return told


def odd_ratios(
    prompts: Sequence[str], answers: Sequence[str], *, most: float, fewest: int = 50
) -> dict[int, tuple[float, str]]:
    """Find answers that are far longer or shorter for their prompt than the others.

    Args:
        prompts: n prompts.
        answers: n answers.
        most: Distances from the middle, in robust standard deviations of log(answer / prompt).
        fewest: Under so many rows nothing is told.
    """
    lengths = np.array([[len(p), len(a)] for p, a in zip(prompts, answers, strict=True)])
    if len(lengths) < fewest:
        return {}
    logs = np.log1p(lengths[:, 1]) - np.log1p(lengths[:, 0])
    middle = np.median(logs)
    # 1.4826: of a normal distribution this is the standard deviation. At least .2: a factor of 1.2.
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), 0.2)
    far = (logs - middle) / spread
    told = {}
    for at in np.flatnonzero(np.abs(far) >= most).tolist():
        asked, said = lengths[at].tolist()
        word = "longer" if far[at] > 0 else "shorter"
        times = f"{np.exp(abs(logs[at] - middle)):.0f} times {word} than usual here"
        why = f"{said:,} characters for a prompt of {asked:,}: {times}"
        told[at] = float(abs(far[at])), why
    return told


def turn_faults(messages: Sequence[Message]) -> dict[str, str]:
    """Find what is wrong with the order of turns: {issue type: evidence}."""
    roles = [m["role"] for m in messages]
    found = {}
    if missing := [role for role in ("user", "assistant") if role not in roles]:
        found["missing_turn"] = f"no turn of the {' and none of the '.join(missing)}"
    elif roles[-1] == "user":
        found["missing_turn"] = "the last turn of the user has no answer"
    # A turn that calls a tool may say nothing itself.
    calls = [i for i, role in enumerate(roles[1:]) if role == "tool"]
    empty = [
        f"{i + 1} ({m['role']})"
        for i, m in enumerate(messages)
        if not m["content"].strip() and i not in calls
    ]
    if empty:
        found["empty_turn"] = f"empty: turn {', '.join(empty)}"
    if fault := _order_fault(roles):
        found["role_order"] = fault
    return found


def _order_fault(roles: Sequence[str]) -> str | None:
    before = None
    for number, role in enumerate(roles, 1):
        if role not in ROLES:
            return f"turn {number} is of the role {role!r}; expected one of {', '.join(ROLES)}"
        if role == "system" and number > 1:
            return f"turn {number} is of the system, which speaks first or not at all"
        if role == before and role != "tool":
            return f"turns {number - 1} and {number} are both of the {role}"
        if role == "assistant" and before in (None, "system"):
            return f"turn {number} is of the assistant before the user said anything"
        if role == "tool" and before not in ("assistant", "tool"):
            return f"turn {number} is of a tool that the assistant did not ask"
        before = role
    return None
