"""Label maps: labels renamed, merged, or marked to be split by annotators.

The one idea: a map changes training rows by decisions and touches no test row. For test rows it is
a serving transform of their labels with a name of its own, so that the frozen rows and their lock
stay as they are while the version is scored on a new, named benchmark. Two versions with different
maps are compared on the coarsest labels both share.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curator import schema
from curator.decide import Rule
from curator.errors import StepError

STEP = "map_labels"
RENAMED, MERGED, TO_SPLIT = "label_rename", "label_merge", "label_split"

Renames = Mapping[str, str]
Lists = Mapping[str, tuple[str, ...]]
Fault = tuple[str | None, str]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def map_labels(
    rows: pa.Table,
    *,
    rename: Renames = _NOTHING,
    merge: Lists = _NOTHING,
    split: Lists = _NOTHING,
    benchmark: str | None = None,
) -> pa.Table:
    """Find the rows whose label a map renames or merges, or sends to annotators to be split.

    Args:
        rows: Row table, test labels as earlier maps serve them.
        rename: New label by old label.
        merge: By new label the labels that become it; it may be one of them.
        split: By label the labels that an annotator chooses from; until then rows keep it.
        benchmark: Name of the test set under this map; by default made from the map.

    Returns:
        Findings of issue types label_rename and label_merge with the new label as suggestion, and
        label_split with the choice as evidence; test rows have none.

    Raises:
        StepError: A label is not there, a new one is, or all classes would become one.
    """
    del benchmark
    own = rows.filter(pc.not_equal(rows["split"], "test"))
    _check(own, rows, rename, merge, split)
    issue = {**dict.fromkeys(rename, RENAMED), **dict.fromkeys(_flat(merge), MERGED)}
    new = {**rename, **_flat(merge)}
    ids, labels = own["id"].to_pylist(), own["label"].to_pylist()
    return schema.findings(
        _split_finding(row, label, split) if label in split
        else {"row_id": row, "issue_type": issue[label], "suggestion": new[label], "check": STEP}
        for row, label in zip(ids, labels, strict=True)
        if label in split or new.get(label, label) != label
    )  # fmt: skip


def _split_finding(row: str, label: str, split: Lists) -> dict[str, object]:
    choice = " or ".join(map(repr, split[label]))
    evidence = f"an annotator chooses {choice}"
    return {"row_id": row, "issue_type": TO_SPLIT, "evidence": evidence, "check": STEP}


def relabel_mapped(rows: pa.Table, findings: pa.Table) -> Rule:
    """Give every renamed or merged label its new one; rows to be split keep theirs."""
    del rows, findings
    return Rule({RENAMED: "relabel", MERGED: "relabel"})


def mapped(
    labels: pa.Array,
    *,
    rename: Renames = _NOTHING,
    merge: Lists = _NOTHING,
    split: Lists = _NOTHING,
    benchmark: str | None = None,
) -> pa.Array:
    """Give labels as a map serves them: those to be split stay."""
    del split, benchmark
    new = {**rename, **_flat(merge)}
    return pa.array([new.get(label, label) for label in labels.to_pylist()], pa.string())


def split_notes(findings: pa.Table) -> tuple[str, ...]:
    """Say how many rows wait for an annotator."""
    waiting = findings.filter(pc.equal(findings["issue_type"], TO_SPLIT))
    choices = Counter(waiting["evidence"].to_pylist())
    return tuple(
        f"{count:,} rows keep their label until {evidence} (findings {TO_SPLIT}; "
        "`curator edits export` writes them for a spreadsheet)"
        for evidence, count in sorted(choices.items())
    )


def benchmark_name(options: Mapping[str, Any]) -> str:
    """Name the test set under a map: as stated, else by the map itself."""
    if options.get("benchmark"):
        return str(options["benchmark"])
    told = [_sorted(options.get(name, {})) for name in ("rename", "merge", "split")]
    return f"labels-{schema.hash_fields(*told)[:8]}"


def _sorted(value: Any) -> Any:
    return {k: list(v) if isinstance(v, list | tuple) else v for k, v in value.items()}


def map_faults(options: Mapping[str, Any]) -> list[Fault]:
    """List what is wrong with a map whatever the rows: (option, message)."""
    rename, merge, split = (options[name] for name in ("rename", "merge", "split"))
    if not (rename or merge or split):
        return [(None, f"step {STEP!r} maps nothing: state rename, merge or split")]
    return [*_twice(rename, merge, split), *_chained(rename, merge, split), *_lists(merge, split)]


def _twice(rename: Renames, merge: Lists, split: Lists) -> Iterator[Fault]:
    sources = Counter([*rename, *(old for olds in merge.values() for old in olds), *split])
    for label, count in sources.items():
        if count > 1:
            yield None, f"step {STEP!r}: label {label!r} is mapped {count} times; map it once"
    for old, new in rename.items():
        if old == new:
            yield "rename", f"step {STEP!r}: label {old!r} is renamed to itself; leave it out"


def _chained(rename: Renames, merge: Lists, split: Lists) -> Iterator[Fault]:
    """Refuse cycles and chains: whether one map runs before another must not matter."""
    targets: dict[str, tuple[str, set[str]]] = {}
    single: Lists = {old: (new,) for old, new in rename.items()}
    for option, pairs in (("rename", single), ("split", split)):
        for old, news in pairs.items():
            for new in news:
                targets.setdefault(new, (option, set()))[1].add(old)
    for new, merged in merge.items():
        targets.setdefault(new, ("merge", set()))[1].update(merged)
    sources = {*rename, *_flat(merge), *split}
    for new, (option, olds) in sorted(targets.items()):
        if new in sources and not (option == "merge" and new in merge.get(new, ())):
            if new in olds and len(olds) == 1:
                continue  # renamed to itself: told already
            through = ", ".join(sorted(map(repr, olds)))
            told = (
                f"step {STEP!r}: {new!r} is a new label and is mapped itself, a chain or a cycle "
                f"({through} -> {new!r} -> ...); write two steps, or name the last label at once"
            )
            yield option, told


def _lists(merge: Lists, split: Lists) -> Iterator[Fault]:
    for new, olds in merge.items():
        if not set(olds) - {new}:
            yield "merge", f"step {STEP!r}: {new!r} merges no other label"
    for old, news in split.items():
        if len(set(news)) < 2:  # noqa: PLR2004 - a choice needs two
            yield "split", f"step {STEP!r}: {old!r} is split into {list(news)}; name two or more"


def _check(own: pa.Table, rows: pa.Table, rename: Renames, merge: Lists, split: Lists) -> None:
    known = set(rows["label"].to_pylist())
    for label in [*rename, *(old for olds in merge.values() for old in olds), *split]:
        if label not in known:
            near = difflib.get_close_matches(label, sorted(known), n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise StepError(f"step {STEP!r}: no row has the label {label!r}.{hint}")
    for old, new in rename.items():
        if new in known:
            raise StepError(
                f"step {STEP!r}: {new!r} is a label already; to join {old!r} with it write "
                f"merge: {{{new}: [{new}, {old}]}}"
            )
    for new, olds in merge.items():
        if new in known and new not in olds:
            named = ", ".join((new, *olds))
            raise StepError(
                f"step {STEP!r}: {new!r} is a label already and not among those that are merged; "
                f"write merge: {{{new}: [{named}]}}, or take a new name"
            )
    before = set(own["label"].to_pylist())
    after = {{**rename, **_flat(merge)}.get(label, label) for label in before}
    if len(before) > 1 and len(after) == 1:
        raise StepError(
            f"step {STEP!r} would merge all {len(before)} classes into {after.pop()!r}: nothing "
            "would be left to tell apart; merge fewer"
        )


def _flat(merge: Lists) -> dict[str, str]:
    return {old: new for new, olds in merge.items() for old in olds}


def label_maps(transforms: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Pick the options of label maps from a version's serving transforms, oldest first."""
    return [t["options"] for t in transforms if t["step"] == STEP]


def renamed(label: str, maps: Iterable[Mapping[str, Any]]) -> str:
    """Give a label after all these maps; one that is to be split stays."""
    for options in maps:
        label = {**options["rename"], **_flat(options["merge"])}.get(label, label)
    return label


@dataclass(frozen=True, slots=True)
class SharedLabels:
    """The coarsest labels that two versions with label maps share.

    before, after: By label of that side, raw test labels included, the label both share.
    raw: By raw test label the label both share.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]
    raw: Mapping[str, str]

    @property
    def note(self) -> str:
        """Say what was joined; empty where nothing was."""
        joined = {name for name, n in Counter(self.raw.values()).items() if n > 1}
        told = [
            f"{name!r} for {', '.join(sorted(k for k, v in self.raw.items() if v == name))}"
            for name in sorted(joined)
        ]
        count = len(set(self.raw.values()))
        return f"scored on the {count} labels both sides share" + (
            f" ({'; '.join(told)})" if told else ""
        )


def shared_labels(
    raw: Iterable[str],
    before: tuple[Sequence[Mapping[str, Any]], Iterable[str]],
    after: tuple[Sequence[Mapping[str, Any]], Iterable[str]],
) -> SharedLabels:
    """Find the coarsest labels on which both sides can be scored.

    Two labels are one where any side's map makes them one, or marks them as parts of one.

    Args:
        raw: Labels of the raw test rows.
        before: Label maps of the version before, oldest first, and its training labels.
        after: The same of the version after.
    """
    test = set(raw)
    sides = [(list(maps), set(labels)) for maps, labels in (before, after)]
    joined = _Joined()
    every = test.union(*(labels for _, labels in sides), *(_named(maps) for maps, _ in sides))
    for label in sorted(every):
        nodes = [(k, renamed(label, maps)) for k, (maps, _) in enumerate(sides)]
        joined.join(*nodes)
    for k, (maps, _) in enumerate(sides):
        for options in maps:
            for old, news in options["split"].items():
                for new in news:
                    joined.join((k, renamed(old, maps)), (k, renamed(new, maps)))
    for k, (_, labels) in enumerate(sides):
        for label in labels:
            joined.find((k, label))  # a label that came back after its map stands alone
    names = _names(joined, test, sides[1][0])
    told = [
        {label: names[joined.find((k, renamed(label, maps)))] for label in test}
        | {label: names[joined.find((k, label))] for label in labels}
        for k, (maps, labels) in enumerate(sides)
    ]
    shown = {label: names[joined.find((1, renamed(label, sides[1][0])))] for label in test}
    return SharedLabels(told[0], told[1], shown)


_Node = tuple[int, str]


class _Joined:
    """Labels of two sides in sets that only grow."""

    def __init__(self) -> None:
        self._leader: dict[_Node, _Node] = {}

    def find(self, node: _Node) -> _Node:
        while (above := self._leader.setdefault(node, node)) != node:
            node = above
        return node

    def join(self, one: _Node, other: _Node) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self._leader[high] = low

    def sets(self) -> dict[_Node, list[_Node]]:
        found: dict[_Node, list[_Node]] = {}
        for node in self._leader:
            found.setdefault(self.find(node), []).append(node)
        return found


def _names(joined: _Joined, test: set[str], maps: Sequence[Mapping[str, Any]]) -> dict[_Node, str]:
    """Name each set by the later side's names of the test labels in it, else by all its labels."""
    served = {renamed(label, maps) for label in test}
    names = {}
    for leader, nodes in joined.sets().items():
        later = {label for side, label in nodes if side == 1 and label in served}
        names[leader] = " + ".join(sorted(later or {label for _, label in nodes}))
    return names


def _named(maps: Iterable[Mapping[str, Any]]) -> set[str]:
    return {
        label
        for options in maps
        for label in (*options["rename"], *_flat(options["merge"]), *options["split"])
    }
