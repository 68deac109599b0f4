"""YAML 1.2 with line numbers: a document as nodes that know their line and their spelling.

Labels are text at every boundary: `no`, `57` and `1.10` must arrive as they were written, so a
reader asks a node for the type it wants instead of trusting YAML's guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from curator.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Here:
    """One node of a document.

    value: A dict of Here, a list of Here, or a plain scalar.
    line: 1-based line.
    spelt: A scalar as it was written, else "".
    """

    value: Any
    line: int
    spelt: str = ""

    def plain(self) -> Any:
        """Give the node as plain Python values."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def text(self) -> Any:
        """Give the node with every scalar as text, spelt as it was written."""
        if isinstance(self.value, dict):
            return {key: item.text() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.text() for item in self.value]
        return None if self.value is None else self.spelt


def parse(text: str, name: str) -> Here:
    """Parse a YAML document.

    Args:
        text: The document.
        name: Its file name, for messages.

    Raises:
        RecipeError: It is not YAML, or a key stands twice; with the line.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise RecipeError(f"{name}:{line}: this is not YAML: {fault.problem}") from fault
    except YAMLError as fault:
        raise RecipeError(f"{name}: this is not YAML: {fault}") from fault
    if node is None:
        raise RecipeError(f"{name}: the file is empty; `curator init FILE` writes a recipe")
    return _here(node, name)


def _here(node: Node, name: str) -> Here:
    line = node.start_mark.line + 1
    if isinstance(node, MappingNode):
        return Here(dict(_items(node, name)), line)
    if isinstance(node, SequenceNode):
        return Here([_here(item, name) for item in node.value], line)
    return Here(_scalar(str(node.tag), str(node.value)), line, str(node.value))


def _items(node: MappingNode, name: str) -> Iterator[tuple[str, Here]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise RecipeError(f"{name}:{line}: a key must be text")
        if key.value in seen:
            raise RecipeError(
                f"{name}:{line}: key {key.value!r} stands twice, first in line {seen[key.value]}"
            )
        seen[key.value] = line
        yield str(key.value), _here(value, name)


def _scalar(tag: str, spelt: str) -> Any:
    kind = tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return spelt.lower() == "true"
    if kind == "int":
        # YAML 1.2: 010 is ten; only 0x and 0o change the base.
        return int(spelt, 0) if spelt.lstrip("+-")[:2] in {"0x", "0o"} else int(spelt)
    if kind == "float":
        return float(spelt.replace(".inf", "inf").replace(".nan", "nan"))
    return spelt
