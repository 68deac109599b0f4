"""Dialogues as the field writes them, to lists of messages, and back.

The one idea: whatever a file calls its turns (`role` and `content`, `from` and `value`, an
instruction with its input and output), a dialogue is a list of messages with a role and a content.
Roles keep the names that most tools use: system, user, assistant, tool; unknown ones stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import RecordError

Messages = list[dict[str, str]]

_ROLES = {
    "human": "user", "prompter": "user", "gpt": "assistant", "bot": "assistant",
    "chatgpt": "assistant", "model": "assistant", "bing": "assistant", "bard": "assistant",
}  # fmt: skip
_SHAREGPT = {"user": "human", "assistant": "gpt"}
_ROLE_KEYS, _CONTENT_KEYS = ("role", "from"), ("content", "value")
KNOWN_KEYS = frozenset((*_ROLE_KEYS, *_CONTENT_KEYS))
_HH = {"Human": "user", "Assistant": "assistant"}


def decoded(value: object) -> Any:
    """Give a value that a text format wrote as JSON as what it is; other text stays text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def read_messages(value: object) -> Messages:
    """Read a list of messages, in the form of OpenAI or of ShareGPT, as it is or as JSON text.

    Raises:
        RecordError: It is none; says what was found.
    """
    found = decoded(value)
    if not isinstance(found, list):
        raise RecordError(f"found {_shown(found)}, expected a list of messages")
    if not found:
        raise RecordError("there is no message")
    return [_message(number, item) for number, item in enumerate(found, 1)]


def _message(number: int, item: object) -> dict[str, str]:
    if not isinstance(item, Mapping):
        raise RecordError(
            f"message {number} is {_shown(item)}, expected an object with role and content"
        )
    role = next((item[key] for key in _ROLE_KEYS if item.get(key)), None)
    if not isinstance(role, str):
        raise RecordError(f"message {number} has no role (`role` or `from`): {_shown(item)}")
    content = next((item[key] for key in _CONTENT_KEYS if item.get(key) is not None), None)
    if content is None and not any(key in item for key in _CONTENT_KEYS):
        raise RecordError(f"message {number} has no content (`content` or `value`)")
    return {"role": _ROLES.get(role, role), "content": _content(number, content)}


def _content(number: int, content: object) -> str:
    if content is None:  # the assistant calls a tool and says nothing
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content
    ):
        return "\n".join(part["text"] for part in content)
    raise RecordError(f"message {number}: content is {_shown(content)}, expected text")


def has_more(value: object) -> bool:
    """Tell whether messages carry more than roles and texts, such as tool calls."""
    found = decoded(value)
    return isinstance(found, list) and any(
        isinstance(item, Mapping)
        and ({k for k, v in item.items() if v is not None} - KNOWN_KEYS
             or not isinstance(item.get("content", ""), str))
        for item in found
    )  # fmt: skip


def read_turn(value: object, role: str) -> Messages:
    """Read one side's words: text is one message of this role, a list is a list of messages.

    Raises:
        RecordError: It is neither.
    """
    found = decoded(value)
    if isinstance(found, Mapping):
        found = [found]
    # A text may begin with a bracket too: only a list of objects with roles is one of messages.
    if isinstance(found, list) and all(
        isinstance(item, Mapping) and any(key in item for key in _ROLE_KEYS) for item in found
    ):
        return read_messages(found)
    return [{"role": role, "content": str(value)}]


def read_exchange(parts: Mapping[str, object]) -> Messages:
    """Read a prompt and its response, as in Alpaca's files.

    Args:
        parts: prompt and response; perhaps system, input (what the instruction is about, put
            below it) and history (pairs of earlier prompts and responses).

    Raises:
        RecordError: The prompt or the response is missing, or a part cannot be read.
    """
    for name in ("prompt", "response"):
        if parts.get(name) is None:
            raise RecordError(f"there is no {name}")
    prompt = read_turn(parts["prompt"], "user")
    if parts.get("input"):
        last = prompt[-1]
        prompt[-1] = {**last, "content": f"{last['content']}\n\n{parts['input']}"}
    earlier = _history(parts.get("history"))
    return [
        *with_system([*earlier, *prompt], parts.get("system")),
        *read_turn(parts["response"], "assistant"),
    ]


def with_system(messages: Messages, system: object) -> Messages:
    """Put a system message in front, where there is one to put."""
    return [{"role": "system", "content": str(system)}, *messages] if system else messages


def _history(value: object) -> Messages:
    found = decoded(value)
    if found in (None, "", []):
        return []
    if not isinstance(found, list) or not all(
        isinstance(pair, list) and len(pair) == len(("prompt", "response")) for pair in found
    ):
        raise RecordError(f"history is {_shown(found)}, expected pairs of prompt and response")
    roles = ("user", "assistant")
    return [
        {"role": role, "content": str(said)}
        for pair in found
        for role, said in zip(roles, pair, strict=True)
    ]


def read_preference(parts: Mapping[str, object]) -> tuple[Messages, Messages, Messages]:
    """Read a prompt with a preferred and a refused answer.

    Args:
        parts: chosen and rejected, each an answer or a whole dialogue; perhaps prompt and system.
            Without a prompt it is what the two dialogues have in common.

    Raises:
        RecordError: A part is missing or cannot be read, or the two have no turn in common.
    """
    for name in ("chosen", "rejected"):
        if parts.get(name) is None:
            raise RecordError(f"there is no {name} answer")
    chosen, rejected = (_answer(parts[name]) for name in ("chosen", "rejected"))
    if parts.get("prompt") is None:
        prompt = _in_common(chosen, rejected)
        if not prompt:
            raise RecordError("there is no prompt, and chosen and rejected begin differently")
    else:
        prompt = read_turn(parts["prompt"], "user")
    asked = len(prompt)
    if chosen[:asked] == prompt and rejected[:asked] == prompt:
        chosen, rejected = chosen[asked:], rejected[asked:]
    if not chosen or not rejected:
        raise RecordError("the chosen or the rejected dialogue ends with the prompt")
    return with_system(prompt, parts.get("system")), chosen, rejected


def _answer(value: object) -> Messages:
    if isinstance(value, str) and value.lstrip().startswith("Human:"):
        return _plain_dialogue(value)
    return read_turn(value, "assistant")


def _plain_dialogue(text: str) -> Messages:
    """Read a dialogue that is written as text, with `Human:` and `Assistant:` before the turns."""
    messages: Messages = []
    for part in text.strip().split("\n\n"):
        who, _, said = part.partition(":")
        if who in _HH:
            messages.append({"role": _HH[who], "content": said.strip()})
        elif messages:
            messages[-1]["content"] += f"\n\n{part}"
    return messages


def _in_common(one: Messages, other: Messages) -> Messages:
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return one[:shared]


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")  # noqa: PLR2004 - a glance


def as_sharegpt(messages: Sequence[Mapping[str, str]]) -> dict[str, object]:
    """Write a dialogue as ShareGPT's files have it."""
    turns = [{"from": _SHAREGPT.get(m["role"], m["role"]), "value": m["content"]} for m in messages]
    return {"conversations": turns}


def as_alpaca(messages: Sequence[Mapping[str, str]]) -> dict[str, object]:
    """Write a dialogue as Alpaca's files have it: the last exchange, and what came before.

    Raises:
        RecordError: It is not a dialogue of user and assistant by turns, after at most one system
            message.
    """
    head = [m for m in messages[:1] if m["role"] == "system"]
    turns = list(messages)[len(head) :]
    roles = [turn["role"] for turn in turns]
    if not turns or roles != ["user", "assistant"] * (len(turns) // 2):
        raise RecordError(
            f"roles {[m['role'] for m in messages]} do not fit Alpaca's form, which has a user and "
            "an assistant by turns; write sharegpt or messages"
        )
    said = [turn["content"] for turn in turns]
    pairs = [said[at : at + 2] for at in range(0, len(said), 2)]
    record: dict[str, object] = {"instruction": pairs[-1][0], "input": "", "output": pairs[-1][1]}
    record |= {"system": head[0]["content"]} if head else {}
    return record | ({"history": pairs[:-1]} if pairs[:-1] else {})
