"""Write docs/cli-reference.md from the command line itself: `python docs/cli_reference.py`.

`tests/test_docs.py` fails when the page is not what this writes.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from curator import cli
from curator.registry import describe_steps

PAGE = Path(__file__).with_name("cli-reference.md")
TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "flag", "Path": "path"}


def commands() -> dict[str, Any]:
    """Give the verbs in the order of the command line: name -> click command."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found |= {name: command} if below is None else {f"{name} {n}": c for n, c in below.items()}
    return found


def global_options() -> list[Any]:
    """Give the options that stand before the verb."""
    return _own(typer.main.get_command(cli.app))


def parameters(command: Any) -> list[Any]:
    """Give the arguments and options of a verb, without --help."""
    return _own(command)


def _own(command: Any) -> list[Any]:
    return [p for p in command.params if p.name != "help"]


def render() -> str:
    """Give the whole page as Markdown."""
    return "\n".join(_page()).rstrip() + "\n"


def _page() -> Iterator[str]:
    yield "# Command line"
    yield ""
    yield "<!-- Written by docs/cli_reference.py from the command line itself; do not edit. -->"
    yield ""
    # Its first sentence speaks of the module, the rest of the contract with scripts.
    yield " ".join(inspect.cleandoc(cli.__doc__ or "").partition("\n\n")[2].split())
    yield ""
    yield "Before the verb:"
    yield ""
    yield from _table(global_options(), inspect.unwrap(cli.app.registered_callback.callback))  # type: ignore[union-attr, arg-type]
    for name, command in commands().items():
        yield ""
        yield f"## `{_usage(name, command)}`"
        yield ""
        yield " ".join((command.help or "").split())
        own = parameters(command)
        if own:
            yield ""
            yield from _table(own, command.callback)
    yield from _steps()


def _usage(name: str, command: Any) -> str:
    words = ["curator", name]
    for one in parameters(command):
        if one.param_type_name == "argument":
            word = one.name.upper()
            words.append(word if one.required else f"[{word}]")
    return " ".join(words)


def _table(own: list[Any], callback: Any) -> Iterator[str]:
    hints = typing.get_type_hints(inspect.unwrap(callback))
    defaults = inspect.signature(callback).parameters
    yield "| name | type | default | what it is |"
    yield "|---|---|---|---|"
    for one in own:
        names = " / ".join(f"`{n}`" for n in (*one.opts, *one.secondary_opts))
        if one.param_type_name == "argument":
            names = f"`{one.name.upper()}`"
        default = "required" if one.required else _default(defaults[one.name].default)
        yield f"| {names} | {_type(hints[one.name])} | {default} | {one.help or ''} |"


def _type(hint: Any) -> str:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [h for h in typing.get_args(hint) if h is not type(None)]
    if typing.get_origin(hint) is list:
        return f"{_type(typing.get_args(hint)[0])}, may be repeated"
    return TYPES.get(hint.__name__, hint.__name__)


def _default(value: Any) -> str:
    if value is None or value is False:
        return ""
    return "on" if value is True else f"`{value}`"


def _steps() -> Iterator[str]:
    yield ""
    yield "# Steps of a recipe"
    yield ""
    yield "`curator steps` prints the same."
    for step in describe_steps():
        yield ""
        yield f"## `{step['step']}`"
        yield ""
        yield f"{step['text']} Version {step['version']}."
        if step["options"]:
            yield ""
            yield "| option | type | default | what it is |"
            yield "|---|---|---|---|"
        for option in step["options"]:
            kind = option["type"].replace("|", "\\|")
            default = "required" if option["required"] else f"`{_plain(option['default'])}`"
            yield f"| `{option['name']}` | {kind} | {default} | {option['text']} |"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_plain(v)}" for k, v in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
