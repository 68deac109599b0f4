"""`curator init FILE`: a runnable, commented recipe from a look at a file.

The one idea: what is clear is written down with its reason, what is not becomes a question. An
unanswered question stands in the recipe as a line that begins with `# ?` and names the
alternatives, so the recipe runs as it is and nothing was guessed in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import connectors
from connectors import Inspection, SourceError
from curator.errors import RecipeError
from curator.guessing import (
    NO_LANGUAGE,
    Guess,
    Roles,
    Shape,
    guess_language,
    guess_roles,
    guess_shape,
)
from curator.options import unknown_name
from curator.recipe_text import NONE, Question, Source, quoted, recipe_text

_ROLES = ("text", "label", "id", "group", "split")
_SIBLINGS = {
    "test": ("test",),
    "validation": ("dev", "valid", "val"),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A recipe for a file.

    recipe: the YAML text, ready to be written.
    rows: the first five records, as column -> value.
    questions: what is open.
    found: what the file holds.
    """

    recipe: str
    rows: tuple[dict[str, object], ...]
    questions: tuple[Question, ...]
    found: Inspection

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the file's columns, in its order."""
        return tuple(column.name for column in self.found.columns)


def draft(
    path: Path, *, folder: Path | None = None, answers: Mapping[str, str] | None = None
) -> Draft:
    """Write a recipe for a file.

    Args:
        path: A csv, tsv, json, jsonl, parquet or xlsx file.
        folder: Where the recipe will lie, its paths are relative to it; the file's own folder
            by default.
        answers: Answers to the questions of an earlier draft, `about` -> option.

    Returns:
        The recipe and what is open about it; nothing is written to the disk.

    Raises:
        connectors.SourceError: The file cannot be read or has no records.
        RecipeError: No record can be read, no column holds text, or an answer names what is
            not there.
    """
    given = dict(answers or {})
    found = connectors.inspect(path, sheet=given.get("sheet"), delimiter=given.get("delimiter"))
    roles = _answered(guess_roles(found), given, found)
    shape = None if given.get("label") else guess_shape(found, roles)
    if found.rows == 0:
        raise RecipeError(f"{path}: {found.doubts[0]}; mend the file, or name its format")
    if roles.text.chosen is None and shape is None:
        raise RecipeError(
            f"{path}: no column holds text; the columns are "
            f"{', '.join(f'{c.name} ({c.kind})' for c in found.columns)}"
        )
    texts = _texts(found, next(iter(shape.columns.values())) if shape else roles.text.chosen)
    language, shares = guess_language(texts)
    language = given.get("language", language)
    sources = _sources(path, folder or path.parent, found, roles)
    key = None if _keys_clash(sources, roles.id.chosen) else roles.id.chosen
    questions = [
        *_file_questions(found),
        *_task_questions(shape, given),
        *_role_questions(
            roles, found, {**given, **(dict.fromkeys(("text", "label"), "") if shape else {})}
        ),
        *_key_questions(roles, key, found, given),
        *_language_questions(language, shares, given),
    ]
    text = recipe_text(path, sources, roles, key, shape, language, questions)
    return Draft(text, found.first, tuple(questions), found)


def write_recipe(file: Path, out: Path, *, force: bool = False, ask: bool = False) -> Draft:
    """Write a recipe for a file to the disk.

    Args:
        file: What the recipe is for.
        out: The recipe to write; its paths will be relative to its folder.
        force: Replace a recipe that exists.
        ask: Ask what is open on the terminal; otherwise it is marked in the recipe.

    Raises:
        RecipeError: The recipe exists, or cannot be written.
        connectors.SourceError: The file cannot be read or has no records.
    """
    if out.exists() and not force:
        raise RecipeError(f"{out}: is there already; name another with --out, or add --force")
    answers: dict[str, str] = {}
    made = draft(file, folder=out.parent, answers=answers)
    while ask and (question := _next_question(made, answers)):
        answers[question.about] = _ask(question)
        made = draft(file, folder=out.parent, answers=answers)
    part = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(made.recipe, "utf-8")
        part.replace(out)
    except OSError as error:
        raise RecipeError(f"{out}: cannot be written: {error.strerror or error}") from error
    return made


def _next_question(made: Draft, answers: Mapping[str, str]) -> Question | None:
    return next((q for q in made.questions if q.options and q.about not in answers), None)


def _ask(question: Question) -> str:
    import typer

    typer.echo(question.text, err=True)
    for number, option in enumerate(question.options, start=1):
        typer.echo(f"  {number}  {option or '(none of them)'}", err=True)
    options = question.options
    usual = options.index(question.chosen) + 1 if question.chosen in options else 1
    while True:
        number = int(typer.prompt("number", default=usual, type=int, err=True))
        if 1 <= number <= len(options):
            return options[number - 1]
        typer.echo(f"{number} is not one of 1 to {len(options)}", err=True)


def _texts(found: Inspection, column: str | None) -> list[str]:
    values = found.table[column].to_pylist() if column else []
    return [_said(value) for value in values if value]


def _said(value: object) -> str:
    """Give the words of a cell: of a dialogue what is said in it, not how it is written."""
    try:
        return " ".join(message["content"] for message in connectors.read_messages(value))
    except connectors.RecordError:
        words = connectors.decoded(value)
        return " ".join(map(str, words)) if isinstance(words, list) else str(value)


def _answered(roles: Roles, given: Mapping[str, str], found: Inspection) -> Roles:
    names = [column.name for column in found.columns]
    guesses = {role: getattr(roles, role) for role in _ROLES}
    for role in _ROLES:
        if role in given:
            if given[role] and given[role] not in names:
                raise RecipeError(unknown_name(found.address, "column", given[role], names))
            guesses[role] = Guess(given[role] or None)
    return Roles(**guesses)


def _sources(path: Path, folder: Path, found: Inspection, roles: Roles) -> list[Source]:
    here = Source(found, _address(path, folder), None)
    if "train" not in path.stem.lower() or roles.split.chosen:
        return [here]
    wanted = {getattr(roles, role).chosen for role in _ROLES} - {None}
    others = []
    for split, stems in _SIBLINGS.items():
        beside = [p for p in sorted(path.parent.iterdir()) if _is_sibling(p, path, stems)]
        sibling = _inspected(beside[0]) if len(beside) == 1 else None
        if sibling and wanted <= {column.name for column in sibling.columns}:
            others.append(Source(sibling, _address(beside[0], folder), split))
    return [Source(found, here.address, "train"), *others] if others else [here]


def _is_sibling(other: Path, path: Path, stems: tuple[str, ...]) -> bool:
    before, _, after = path.stem.lower().partition("train")
    fits = any(
        re.match(rf"{re.escape(before + stem)}(?![a-z])", other.stem.lower()) for stem in stems
    )
    same_end = not after or other.stem.lower().endswith(after)
    return other.suffix == path.suffix and fits and same_end and other != path


def _inspected(path: Path) -> Inspection | None:
    try:
        return connectors.inspect(path)
    except SourceError:  # a neighbour that is no data is no source; the file asked for is
        return None


def _address(path: Path, folder: Path) -> str:
    return "file:" + Path(os.path.relpath(path, folder)).as_posix()


def _keys_clash(sources: list[Source], key: str | None) -> bool:
    values = [v for s in sources if key for v in s.found.table[key].to_pylist()]
    return len(set(values)) < len(values)


def _file_questions(found: Inspection) -> Iterator[Question]:
    for doubt in found.doubts:
        if "sheets are filled" in doubt:
            yield Question("sheet", doubt, found.sheets, found.sheet or NONE)
        elif doubt.startswith("the delimiter"):
            options = tuple(re.findall(r"could be '(.*?)' or '(.*?)'", doubt)[0])
            yield Question("delimiter", doubt, options, found.delimiter or NONE)
        else:
            yield Question("file", doubt)


def _task_questions(shape: Shape | None, given: Mapping[str, str]) -> Iterator[Question]:
    if shape is not None and "task" not in given:
        yield Question(
            "task",
            f"this looks like the task {shape.task!r} ({shape.why}); if it is another, change the "
            "task and the columns below",
        )


def _role_questions(
    roles: Roles, found: Inspection, given: Mapping[str, str]
) -> Iterator[Question]:
    for role, guess in (("text", roles.text), ("label", roles.label), ("group", roles.group)):
        if guess.rivals and role not in given:
            options = tuple(filter(None, (guess.chosen, *guess.rivals)))
            yield Question(
                role, f"{role} could be {_listed(options)}", options, guess.chosen or NONE
            )
    if roles.split.rivals and "split" not in given:
        name = roles.split.rivals[0]
        values = next(column.samples for column in found.columns if column.name == name)
        yield Question(
            "split",
            f"column {quoted(name)} looks like a split but holds {_listed(values)}; Curator knows "
            f"train, validation and test (or dev, val, valid): rename them, then map it",
        )


def _key_questions(
    roles: Roles, key: str | None, found: Inspection, given: Mapping[str, str]
) -> Iterator[Question]:
    if "id" in given:
        return
    candidates = tuple(filter(None, (roles.id.chosen, *roles.id.rivals)))
    if roles.id.chosen and key is None:
        yield Question(
            "id", f"values of {quoted(roles.id.chosen)} stand in several files, so it is no key"
        )
    elif key and _counts(found, key):
        yield Question(
            "id",
            f"id {quoted(key)} counts the records; if it is only a row number that changes with "
            f"the next export, take it out",
            (key, NONE),
            key,
        )
    elif len(candidates) > 1 or (candidates and key is None):
        yield Question(
            "id", f"the key could be {_listed(candidates)}", (*candidates, NONE), key or NONE
        )
    elif not candidates:
        yield Question(
            "id",
            "no column is different for every record: rows are known by their text, so an edited "
            "text will be a new row",
        )


def _counts(found: Inspection, key: str) -> bool:
    values = [str(value) for value in found.table[key].to_pylist()]
    start = int(values[0]) if re.fullmatch(r"\d{1,9}", values[0]) else -1
    return start in (0, 1) and values == [str(start + i) for i in range(len(values))]


def _language_questions(
    language: str, shares: Mapping[str, float], given: Mapping[str, str]
) -> Iterator[Question]:
    if language == NO_LANGUAGE and "language" not in given:
        seen = ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:4])
        yield Question(
            "language",
            f"no language has most of the texts ({seen or 'no letters found'})",
            tuple(shares)[:4],
            NO_LANGUAGE,
        )


def _listed(names: tuple[str, ...]) -> str:
    return " or ".join(map(quoted, names))
