"""A function's keyword-only signature is its option schema: the one source for YAML, CLI and docs.

`options_of` reads the signature, `bind` checks what a recipe gives against it. Types understood:
bool, int, float, str, Literal, tuple of one of these, T | None, a Mapping from text to one of
these, and a frozen dataclass, which is written as a mapping in YAML too.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a step: its name, type, default and the sentence that explains it."""

    name: str
    type: Any
    default: Any
    text: str

    def describe(self) -> dict[str, Any]:
        """Give the option as plain JSON values."""
        default = None if self.default is REQUIRED else plain(self.default)
        return {
            "name": self.name,
            "type": type_name(self.type),
            "required": self.default is REQUIRED,
            "default": default,
            "text": self.text,
        }


def options_of(*functions: Callable[..., Any]) -> dict[str, Option]:
    """Collect the keyword-only parameters of functions by name.

    A parameter `seed` is an option only where it has a default: elsewhere the caller gives it.
    """
    found: dict[str, Option] = {}
    for function in functions:
        hints = typing.get_type_hints(function)
        texts = _argument_texts(function)
        for parameter in inspect.signature(function).parameters.values():
            given = parameter.name == "seed" and parameter.default is REQUIRED
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not given:
                found[parameter.name] = Option(
                    parameter.name,
                    hints[parameter.name],
                    parameter.default,
                    texts.get(parameter.name, ""),
                )
    return found


def bind(
    owner: str, options: Mapping[str, Option], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[str | None, str]]]:
    """Check given values against options.

    Args:
        owner: What has the options, for messages: "step 'clean'".
        options: As from `options_of`.
        given: Option names and values as read from YAML or Python.

    Returns:
        The complete typed values, defaults filled in, and the faults found: (option, message).
    """
    values = {o.name: o.default for o in options.values() if o.default is not REQUIRED}
    faults: list[tuple[str | None, str]] = []
    for name, value in given.items():
        if name not in options:
            faults.append((name, unknown_name(owner, "option", name, list(options))))
            continue
        try:
            values[name] = coerce(value, options[name].type)
        except ValueError as fault:
            faults.append((name, f"{owner}, option {name!r}: {fault}"))
    missing = [o.name for o in options.values() if o.default is REQUIRED and o.name not in given]
    faults += [(None, f"{owner} needs the option {name!r}") for name in missing]
    return values, faults


def unknown_name(owner: str, kind: str, name: str, known: Sequence[str]) -> str:
    """Say that a name is unknown, what there is, and which is nearest."""
    message = f"{owner} has no {kind} {name!r}; it takes {sorted(known)}."
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return message + (f" Did you mean {near[0]!r}?" if near else "")


def coerce(value: Any, wanted: Any) -> Any:
    """Turn a YAML value into the wanted type.

    Raises:
        ValueError: It cannot be; the message says what was found and what was expected.
    """
    origin = typing.get_origin(wanted)
    if origin is typing.Literal:
        return _one_of(value, typing.get_args(wanted))
    if origin in {typing.Union, types.UnionType}:
        if value is None:
            return None
        inner = [a for a in typing.get_args(wanted) if a is not types.NoneType]
        return coerce(value, inner[0])
    if origin in {tuple, list, Sequence}:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(coerce(item, typing.get_args(wanted)[0]) for item in items)
    if origin is Mapping:
        return _mapping(value, typing.get_args(wanted)[1])
    return _dataclass(value, wanted) if dataclasses.is_dataclass(wanted) else _scalar(value, wanted)


def _mapping(value: Any, wanted: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 - the caller reports every fault of a value alike
            f"found {value!r}, expected a mapping of text to {type_name(wanted)}"
        )
    return {str(key): coerce(item, wanted) for key, item in value.items()}


def _one_of(value: Any, allowed: Sequence[Any]) -> Any:
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [str(a) for a in allowed], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"found {value!r}, expected one of {list(allowed)}.{hint}")
    return value


def _scalar(value: Any, wanted: Any) -> Any:
    accepts = {float: (int, float), int: (int,), bool: (bool,), str: (str, int, float)}
    if wanted is Any:
        return value
    wrong_bool = isinstance(value, bool) and wanted is not bool
    if wrong_bool or not isinstance(value, accepts[wanted]):
        raise ValueError(f"found {value!r}, expected {type_name(wanted)}")
    return wanted(value)


def _dataclass(value: Any, wanted: Any) -> Any:
    if isinstance(value, wanted):
        return value
    fields = {f.name: f for f in dataclasses.fields(wanted)}
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 - the caller reports every fault of a value alike
            f"found {value!r}, expected a mapping with keys from {sorted(fields)}"
        )
    hints = typing.get_type_hints(wanted)
    for name in value:
        if name not in fields:
            raise ValueError(unknown_name("it", "key", str(name), list(fields)))
    return wanted(**{name: coerce(item, hints[name]) for name, item in value.items()})


def plain(value: Any) -> Any:
    """Turn an option value into JSON values: what enters ids, records and reports."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def type_name(wanted: Any) -> str:
    """Name a type as a user would write about it."""
    origin = typing.get_origin(wanted)
    arguments = typing.get_args(wanted)
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin in {typing.Union, types.UnionType}:
        return " | ".join(type_name(a) for a in arguments if a is not types.NoneType) + " | null"
    if origin in {tuple, list, Sequence}:
        return f"list of {type_name(arguments[0])}"
    if origin is Mapping:
        return f"mapping of text to {type_name(arguments[1])}"
    if dataclasses.is_dataclass(wanted):
        keys = ", ".join(f"{n}: {type_name(t)}" for n, t in typing.get_type_hints(wanted).items())
        return f"mapping of {keys}"
    return {float: "number", int: "whole number", bool: "true or false", str: "text"}.get(
        wanted, getattr(wanted, "__name__", str(wanted))
    )


def _argument_texts(function: Callable[..., Any]) -> dict[str, str]:
    """Read the Args section of a Google-style docstring."""
    section = re.search(r"Args:\n(.*?)(?:\n\s*\n|\Z)", inspect.getdoc(function) or "", re.DOTALL)
    texts: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + section[1] if section else ""):
        name, _, text = entry.strip().partition(":")
        texts[name.split(" ")[0]] = " ".join(text.split())
    return texts


def first_line(function: Callable[..., Any]) -> str:
    """Give the first sentence of a function's docstring."""
    return (inspect.getdoc(function) or "").partition("\n")[0]
