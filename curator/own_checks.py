"""A user's own check: a function of rows, named in the recipe or brought by an installed package.

The one idea: what a step *is* must not depend on where its file lies. Its identity is the name of
the function and a hash of the code it stands in, so an edited check is another step, and a moved
one is not. The function has the signature of our own checks: rows first, then what it wants from
the context by name (embeddings, probabilities, pairs), then keyword-only options.
"""

from __future__ import annotations

import importlib.util
import inspect
import traceback
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pyarrow as pa

from curator.errors import RecipeError, StepError
from curator.options import unknown_name
from curator.schema import FINDING_SCHEMA, hash_fields

GROUP = "curator.checks"
"""Entry points of installed packages that are checks."""

PROVIDED = ("pairs", "probabilities", "beliefs", "classes", "embeddings")
"""What a check may want besides the rows."""

_loaded: dict[tuple[str, str], Callable[..., Any]] = {}


@dataclass(frozen=True, slots=True)
class OwnCheck:
    """A check that is not ours: its name, a hash of its code, the function."""

    name: str
    code: str
    function: Callable[..., Any]


def load_check(use: str, base: Path) -> OwnCheck:
    """Load the check a recipe names.

    Args:
        use: `file.py:function`, relative to base; or the name of an entry point `curator.checks`.
        base: The recipe's folder.

    Raises:
        RecipeError: No such file, function or entry point, or a signature that is no check's.
    """
    place, colon, name = use.rpartition(":")
    function = _from_file(use, base / place, name) if colon else _from_package(use)
    _check_signature(use, function)
    own = OwnCheck(name, _code_of(function), function)
    _loaded[own.name, own.code] = function
    return own


def known_check(name: str, code: str) -> Callable[..., Any]:
    """Give the function of a check that was loaded before.

    Raises:
        StepError: It was not, or its code has changed since.
    """
    if (name, code) not in _loaded:
        raise StepError(
            f"the code of check {name!r} (hash {code[:12]}) is not at hand: it changed since, or "
            "its recipe was not read; run the recipe that names it"
        )
    return _loaded[name, code]


def installed_checks() -> list[str]:
    """Name the checks that installed packages bring."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def _from_file(use: str, path: Path, name: str) -> Callable[..., Any]:
    if not path.is_file():
        raise RecipeError(f"check {use!r}: there is no file {path.name!r} in {path.parent}")
    spec = importlib.util.spec_from_file_location(f"own_check_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"check {use!r}: {path.name!r} is not a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as fault:
        raise RecipeError(f"check {use!r}: {path.name} cannot be loaded: {_told(fault)}") from fault
    functions = [
        n for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == spec.name
    ]
    if name not in functions:
        raise RecipeError(unknown_name(f"check {use!r}: {path.name}", "function", name, functions))
    function: Callable[..., Any] = getattr(module, name)
    return function


def _from_package(use: str) -> Callable[..., Any]:
    found = [entry for entry in entry_points(group=GROUP) if entry.name == use]
    if not found:
        raise RecipeError(
            f"check {use!r}: no installed package brings a check of this name (they bring "
            f"{installed_checks()}); a function of a file is named file.py:function"
        )
    if len(found) > 1:
        owners = sorted({str(entry.dist.name) for entry in found if entry.dist})
        raise RecipeError(f"check {use!r}: packages {owners} both bring it; remove one of them")
    function: Callable[..., Any] = found[0].load()
    return function


def _check_signature(use: str, function: Callable[..., Any]) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    given = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    if not given:
        raise RecipeError(
            f"check {use!r} takes no rows; expected def {function.__name__}(rows, *, ...)"
        )
    for parameter in given[1:]:
        if parameter.name not in PROVIDED:
            message = unknown_name(f"check {use!r}: the context", "input", parameter.name, PROVIDED)
            raise RecipeError(f"{message} Options are keyword-only: put them behind a `*`.")
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError) as fault:
        raise RecipeError(
            f"check {use!r}: its type hints cannot be read: {_told(fault)}"
        ) from fault
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in hints:
            raise RecipeError(
                f"check {use!r}: option {parameter.name!r} has no type; write it as "
                f"`{parameter.name}: int = 2`"
            )


def _code_of(function: Callable[..., Any]) -> str:
    """Hash the file a function stands in; line ends do not count."""
    path = inspect.getsourcefile(function)
    source = Path(path).read_text("utf-8") if path else inspect.getsource(function)
    return hash_fields("own check 1", source)


def ask_own(
    name: str,
    function: Callable[..., Any],
    rows: pa.Table,
    inputs: Sequence[Any],
    options: Mapping[str, Any],
) -> pa.Table:
    """Ask an own check, and give what it says as findings.

    Raises:
        StepError: It failed, or what it returned are no findings.
    """
    try:
        made = function(rows, *inputs, **options)
    except Exception as fault:
        last = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        raise StepError(f"check {name!r} failed at {where}: {_told(fault)}") from fault
    return as_findings(name, made, rows)


def _told(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}"


def as_findings(name: str, made: Any, rows: pa.Table) -> pa.Table:
    """Give what an own check returned as a findings table.

    Args:
        name: The check's name: the default issue type.
        made: A findings table, or a list of dicts with at least row_id.
        rows: The rows it was asked about.

    Raises:
        StepError: Something else came back: another type, an unknown key, a row that is not there.
    """
    records = made.to_pylist() if isinstance(made, pa.Table) else made
    if not isinstance(records, list) or not all(isinstance(r, Mapping) for r in records):
        raise StepError(
            f"check {name!r} returned {type(made).__name__}; expected a list of dicts such as "
            "{'row_id': ..., 'score': ..., 'evidence': ...}, or a table of findings"
        )
    ids = set(rows["id"].to_pylist())
    for record in records:
        for key in record:
            if key not in FINDING_SCHEMA.names:
                known = FINDING_SCHEMA.names
                raise StepError(unknown_name(f"check {name!r}: a finding", "key", str(key), known))
        if record.get("row_id") not in ids:
            raise StepError(
                f"check {name!r}: a finding is about row {record.get('row_id')!r}, which is not "
                "among the rows it was given"
            )
    filled = [{"flagged": True, "issue_type": name, "check": name, **r} for r in records]
    try:
        return pa.Table.from_pylist(filled, schema=FINDING_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as fault:
        raise StepError(
            f"check {name!r}: a finding has a value of the wrong type: {fault}"
        ) from fault
