"""A history as a graph in text: one line a version, lanes for lines that run side by side.

The one idea: a lane waits for one version. A version with two parents opens a lane, a version that
several lanes wait for closes all but one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHORT = 12


def graph(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    r"""Draw versions, newest first, each above its parents.

    Args:
        entries: version, parents, step, rows, created, branches, tags of each; any order.

    Returns:
        Lines of text.

    >>> def entry(name, *parents, branches=()):
    ...     return {"version": name, "parents": parents, "step": "step", "rows": 1,
    ...             "created": None, "branches": branches, "tags": ()}
    >>> print("\n".join(graph([
    ...     entry("merged", "ours", "theirs", branches=["main"]), entry("ours", "base"),
    ...     entry("theirs", "base", branches=["reviews"]), entry("base")])))
    * merged  step  1 row  (main)
    |\
    * | ours  step  1 row
    | * theirs  step  1 row  (reviews)
    |/
    * base  step  1 row
    """
    lanes: list[str] = []
    lines: list[str] = []
    for entry in in_order(entries):
        name = entry["version"]
        lines += _joined(lanes, name)
        if name not in lanes:
            lanes.append(name)
        at = lanes.index(name)
        marks = " ".join("*" if lane == at else "|" for lane in range(len(lanes)))
        lines.append(f"{marks} {_told(entry)}")
        lines += _parted(lanes, at, [p for p in entry["parents"] if p])
    return [line.rstrip() for line in lines]


def in_order(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Put versions newest first, none before a child of its own."""
    left = {entry["version"]: entry for entry in entries}
    children = dict.fromkeys(left, 0)
    for entry in left.values():
        for parent in entry["parents"]:
            if parent in children:
                children[parent] += 1
    order = {name: number for number, name in enumerate(left)}
    ready = [name for name, count in children.items() if not count]
    found = []
    while ready:
        ready.sort(key=lambda name: (left[name]["created"] or "~", -order[name]))
        entry = left[ready.pop()]
        found.append(entry)
        for parent in entry["parents"]:
            if parent in children:
                children[parent] -= 1
                if not children[parent]:
                    ready.append(parent)
    return found


def _joined(lanes: list[str], name: str) -> list[str]:
    """Close all but the first of the lanes that wait for a version."""
    lines = []
    while lanes.count(name) > 1:
        first = lanes.index(name)
        last = len(lanes) - 1 - lanes[::-1].index(name)
        line = [" "] * (2 * len(lanes))
        for lane in range(last):
            line[2 * lane] = "|"
        for lane in range(first, last - 1):
            line[2 * lane + 1] = "_"
        for lane in range(last, len(lanes)):
            line[2 * lane - 1] = "/"
        lines.append("".join(line))
        del lanes[last]
    return lines


def _parted(lanes: list[str], at: int, parents: Sequence[str]) -> list[str]:
    """Let the lane of a version wait for its first parent, and open one for each further one."""
    if not parents:
        del lanes[at]
        if at == len(lanes):
            return []
        return ["| " * at + " /" * (len(lanes) - at)] if at else [" " + "/ " * len(lanes)]
    lanes[at] = parents[0]
    lines = []
    for parent in parents[1:]:
        lines.append("| " * at + "|" + "\\ " * (len(lanes) - at))
        lanes.insert(at + 1, parent)
    return lines


def _told(entry: Mapping[str, Any]) -> str:
    rows = f"{entry['rows']:,} row" + ("" if entry["rows"] == 1 else "s")
    facts = [entry["version"][:SHORT], entry["step"], rows]
    if entry["created"]:
        facts.append(entry["created"][:16].replace("T", " "))
    names = [*entry["branches"], *(f"tag {name}" for name in entry["tags"])]
    if names:
        facts.append(f"({', '.join(names)})")
    return "  ".join(facts)
