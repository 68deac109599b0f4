"""Sources become rows: columns mapped, ids and groups given, labels checked, test rows set apart.

The one idea: what enters here is decided by what the records say, never by the names of files, the
order of records or their splitting into parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import connectors
from curator import schema
from curator.errors import RowError
from curator.labels import Label, load_labels, nearest
from curator.near import choose_shingles, near_groups, near_pairs, nearest_group
from curator.recipe import Recipe
from curator.sources import read_sources
from curator.splitting import make_test_split
from curator.tasks import Task, task_named

IMPORT_VERSION = 1
GROUP_JACCARD = 0.7
SAME_CORPUS = 0.1


@dataclass(frozen=True, slots=True)
class Imported:
    """Rows of an import and what there is to say about them.

    options: What of the recipe shaped the rows, as plain values; enters the version id.
    bad: Records that could not be read.
    split_made: The test split was made here, not brought by a source.
    """

    rows: pa.Table
    options: Mapping[str, Any]
    labels: Mapping[str, Label]
    bad: tuple[connectors.BadRecord, ...]
    warnings: tuple[str, ...]
    split_made: bool
    keyed: bool
    redelivered: bool


Quarantine = Callable[[Sequence[connectors.BadRecord]], None]


def import_rows(
    recipe: Recipe,
    *,
    previous: pa.Table | None = None,
    quarantine: Quarantine | None = None,
    for_check: bool = False,
) -> Imported:
    """Read the sources of a recipe into rows that keep the contract.

    Args:
        recipe: What to read and how.
        previous: Rows of an earlier import; rows known from it keep their group and made split.
            An import that shares under a tenth of its rows counts as another corpus.
        quarantine: Told of the records that could not be read, before any error is raised.
        for_check: Only to be looked at: labels may be absent or unknown, no test split is made.

    Returns:
        The rows, sorted by id, and what there is to say about them.

    Raises:
        RowError: Too many bad records, duplicate keys, unknown labels, labels only in test.
    """
    task = task_named(recipe.task)
    table, bad, warnings = read_sources(recipe, labelled=not for_check)
    if quarantine is not None:
        quarantine(bad)
    _refuse_too_many(bad, table.num_rows, recipe.max_bad_share)
    labels = load_labels(recipe.labels, base=recipe.base)
    table = table.append_column("id", [_ids(table, task)])
    table = table.sort_by("id")
    previous = _same_corpus(previous, table)
    split_made = not pc.any(pc.equal(table["split"], "test")).as_py()
    table = _with_groups(table, previous, task)
    splits: list[str] = [s or "train" for s in table["split"].to_pylist()]
    split_made = split_made and not for_check
    if split_made:
        known = _known_splits(previous, table["id"].to_pylist())
        splits = make_test_split(
            task.label_sets(table),
            table["group"].to_pylist(),
            share=recipe.split.test,
            seed=recipe.split.seed,
            known=known,
        )
    table = table.set_column(table.column_names.index("split"), "split", [splits])
    if not for_check:
        warnings += _check_labels(table, labels, task)
    rows = _contract(table, task)
    return Imported(
        rows=rows,
        options=_options(recipe, split_made=split_made),
        labels=labels,
        bad=tuple(bad),
        warnings=tuple(warnings),
        split_made=split_made,
        keyed=all(spec.id for spec in recipe.sources),
        redelivered=previous is not None,
    )


def _same_corpus(previous: pa.Table | None, table: pa.Table) -> pa.Table | None:
    """Give an earlier import only where this one delivers it again."""
    if previous is None:
        return None
    known = pc.sum(pc.is_in(previous["id"], table["id"].combine_chunks())).as_py() or 0
    return previous if known >= SAME_CORPUS * previous.num_rows else None


def _refuse_too_many(bad: Sequence[connectors.BadRecord], good: int, most: float) -> None:
    share = len(bad) / max(1, len(bad) + good)
    if share > most:
        first = bad[0]
        line = f":{first.line}" if first.line else ""
        raise RowError(
            f"{len(bad)} of {len(bad) + good} records ({share:.1%}) could not be read; "
            f"max_bad_share allows {most:.1%}. The first: {first.source}{line}: {first.reason}. "
            "Mend the source, or raise max_bad_share in the recipe"
        )


def _ids(table: pa.Table, task: Task) -> list[str]:
    """Give each record its id; sources of one name share their id space."""
    names, keys = table["name"].to_pylist(), table["key"].to_pylist()
    ids = [schema.hash_fields(n, k) if k else "" for n, k in zip(names, keys, strict=True)]
    open_rows = [i for i, found in enumerate(ids) if not found]
    if open_rows:
        some = table.take(open_rows)
        columns = [some[name].to_pylist() for name in ("name", *task.inputs)]
        inputs = [schema.hash_fields(*said) for said in zip(*columns, strict=True)]
        for i, base, number in zip(
            open_rows, inputs, schema.occurrences(inputs, _ranks(some)), strict=True
        ):
            ids[i] = schema.hash_fields(base, number)
    _refuse_twice(ids, table, task)
    return ids


def _ranks(table: pa.Table) -> list[str]:
    """Rank equal inputs by all they say, so that their order in the source does not matter."""
    drop = ("source", "source_row", "source_line", "key", "name")
    columns = sorted(n for n in table.column_names if n not in drop)
    values = [table[name].to_pylist() for name in columns]
    hashes = (schema.hash_fields(*row) for row in zip(*values, strict=True))
    # Test rows first: a training row of the same text, relabelled upstream, must not swap ids with
    # a frozen row.
    order = {"test": "0", "validation": "1"}
    splits = table["split"].to_pylist()
    return [order.get(split, "2") + found for split, found in zip(splits, hashes, strict=True)]


def _refuse_twice(ids: Sequence[str], table: pa.Table, task: Task) -> None:
    twice = [key for key, count in Counter(ids).items() if count > 1]
    if not twice:
        return
    places = [i for i, key in enumerate(ids) if key == twice[0]]
    some = table.take(places[:3])
    where = [
        f"{r['source']}:{r['source_line'] or r['source_row']} ({said[:40]!r})"
        for r, said in zip(
            some.select(["source", "source_line", "source_row"]).to_pylist(),
            task.input_text(some).to_pylist(),
            strict=True,
        )
    ]
    more = f" (and {len(twice) - 1:,} more keys)" if twice[1:] else ""
    raise RowError(
        f"a key stands more than once{more}: {' and '.join(where)}. "
        "Name key columns (`id:`) that tell the records apart, or leave `id:` out"
    )


def _with_groups(table: pa.Table, previous: pa.Table | None, task: Task) -> pa.Table:
    """Give each row its near-duplicate group; rows of an earlier import keep theirs."""
    ids, texts = table["id"].to_pylist(), task.input_text(table)
    known: dict[str, str] = {}
    before = texts if previous is None else task.input_text(previous)
    shingles = choose_shingles(before)
    if previous is not None:
        known = dict(zip(previous["id"].to_pylist(), previous["group"].to_pylist(), strict=True))
        later = [i for i, row_id in enumerate(ids) if row_id not in known]
        nearest = nearest_group(
            texts.take(pa.array(later, pa.int64())),
            before,
            previous["group"].to_pylist(),
            threshold=GROUP_JACCARD,
            shingles=shingles,
        )
        known |= {ids[i]: group for i, group in zip(later, nearest, strict=True) if group}
    left = [i for i, row_id in enumerate(ids) if row_id not in known]
    alone = texts.take(pa.array(left, pa.int64()))
    pairs = near_pairs(alone, threshold=GROUP_JACCARD, shingles=shingles)
    names = [ids[i] for i in left]
    known |= dict(zip(names, near_groups(names, pairs), strict=True))
    groups = [known[row_id] for row_id in ids]
    return table.append_column("group", [_joined(groups, table["user_group"].to_pylist())])


def _joined(groups: Sequence[str], own: Sequence[str | None]) -> list[str]:
    """Join near-duplicate groups that share a group of the user's (a patient, a conversation)."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.get(name, name) != name:
            name = leader[name]
        return name

    first: dict[str, str] = {}
    for group, user in zip(groups, own, strict=True):
        if user:
            one, other = find(group), find(first.setdefault(user, group))
            leader[max(one, other)] = min(one, other)
    return [find(group) for group in groups]


def _known_splits(previous: pa.Table | None, ids: Sequence[str]) -> list[str | None]:
    """Find the split that rows had in an earlier import whose test split was made."""
    if previous is None:
        return [None] * len(ids)
    before = dict(zip(previous["id"].to_pylist(), previous["split"].to_pylist(), strict=True))
    known = [before.get(row_id) for row_id in ids]
    return known if "test" in known else [None] * len(ids)


def _check_labels(table: pa.Table, labels: Mapping[str, Label], task: Task) -> list[str]:
    if not task.has_label:
        return []
    by_split: dict[str, set[str]] = {s: set() for s in schema.SPLITS}
    label_sets = task.label_sets(table)
    for here, split in zip(label_sets, table["split"].to_pylist(), strict=True):
        by_split[split].update(here)
    if labels:
        for label in sorted(set().union(*by_split.values()) - set(labels)):
            raise RowError(
                f"{_place(table, label_sets, label)}: label {label!r} is not declared in labels "
                f"({len(labels)} are).{nearest(label, labels)} Add it, or mend the row"
            )
    train = by_split["train"]
    warnings = []
    for label in sorted(by_split["test"] - train):
        place, near = _place(table, label_sets, label), nearest(label, sorted(train))
        told = f"{place}: label {label!r} stands in test but never in training.{near}"
        if task.is_single_label:
            raise RowError(f"{told} Mend the label, or add training rows for it")
        warnings.append(told)
    absent = sorted(train - by_split["test"])
    empty = sorted(set(labels) - train)
    if len(train) == 1 and task.is_single_label:
        warnings.append(
            f"all training rows are labelled {next(iter(train))!r}: there is nothing to tell apart"
        )
    if absent:
        warnings.append(
            f"{len(absent)} of {len(train)} classes have no test row, so nothing can be said about "
            f"them: {', '.join(absent[:5])}{' ...' * (len(absent) > 5)}"  # noqa: PLR2004
        )
    if empty:
        warnings.append(f"{len(empty)} declared labels have no training row: {empty[:5]}")
    return warnings


def _place(table: pa.Table, label_sets: Sequence[tuple[str, ...]], label: str) -> str:
    first = next(at for at, here in enumerate(label_sets) if label in here)
    row = table.select(["source", "source_line", "source_row"]).slice(first, 1).to_pylist()[0]
    return f"{row['source']}:{row['source_line'] or row['source_row']}"


def _contract(table: pa.Table, task: Task) -> pa.Table:
    rows, columns_of_task = table.num_rows, task.schema
    extra = {
        "weight": pa.array([1.0] * rows, pa.float32()),
        "parent": pa.nulls(rows, pa.string()),
        "step": pa.array(["import"] * rows, pa.string()),
    }
    working = ("user_group", "key", "name", "source_line", *columns_of_task.names)
    own = [n for n in table.column_names if n not in working]
    columns = [extra[n] if n in extra else table[n] for n in columns_of_task.names]
    contract = pa.table(columns, schema=columns_of_task)
    for name in sorted(own):
        contract = contract.append_column(name, table[name])
    return contract


def _options(recipe: Recipe, *, split_made: bool) -> dict[str, Any]:
    """Name what of the recipe shaped the rows; file names and their number do not."""
    sources = {
        schema.hash_fields(repr(o)): o
        for spec in recipe.sources
        for o in [
            {
                "name": spec.name,
                "id": list(spec.id),
                "columns": dict(sorted(spec.columns.items())),
                "split": spec.split,
                **({"separator": spec.separator} if spec.separator else {}),
            }
        ]
    }
    made = {"test": recipe.split.test, "seed": recipe.split.seed} if split_made else None
    return {"sources": [sources[k] for k in sorted(sources)], "split": made}
