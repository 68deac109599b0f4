"""Which module may import which: the table of the design, read from the source by AST.

`faults(module, source)` is a plain function of a module's name and text, so the planted violations
below can show that each rule bites. Imports under TYPE_CHECKING count for the rules about packages
(a type is a bond too), not for the order of layers (they run nothing).
"""

from __future__ import annotations

import ast
import fnmatch
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.architecture import (
    HEAVY,
    HOMES,
    LAYERS,
    LEAVES,
    LIBRARIES,
    MAX_LINES,
    ONLY_FROM,
    OURS,
    PURE,
    PURE_LIBRARIES,
    SIDE_EFFECTS,
    STRANGERS,
)

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Found:
    """One import of a module: what, in which line, relative, for types only, in a function."""

    name: str
    line: int
    relative: bool = False
    typing: bool = False
    nested: bool = False

    @property
    def top(self):
        return self.name.split(".")[0]


@cache
def modules():
    """Find every module of the five packages: name -> path."""
    found = {}
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def exported(leaf):
    """Read the names of a leaf's __all__ without importing it."""
    for node in ast.parse(modules()[leaf].read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def imports(module, source):
    """List what a module imports, names made absolute."""
    tree = ast.parse(source)
    package = module if _is_package(module) else module.rpartition(".")[0]
    found = []

    def visit(node, typing, nested):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            typing = True
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nested = True
        if isinstance(node, ast.Import):
            found.extend(
                Found(a.name, node.lineno, typing=typing, nested=nested) for a in node.names
            )
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            found.extend(
                Found(name, node.lineno, bool(node.level), typing, nested)
                for name in {_target(base, a.name) for a in node.names}
            )
        for child in ast.iter_child_nodes(node):
            visit(child, typing, nested)

    visit(tree, typing=False, nested=False)
    return found


def _is_package(module):
    path = modules().get(module)
    return path is not None and path.name == "__init__.py"


def _target(base, name):
    """Name what `from base import name` reaches: a module of ours, or base."""
    inner = f"{base}.{name}"
    if base in LEAVES and name in exported(base):
        return base
    return inner if inner in modules() else base


def matches(module, patterns):
    return any(fnmatch.fnmatchcase(module, pattern) for pattern in patterns)


def layer(module):
    """Give the number of a module's layer; an exact name wins over a pattern."""
    for exact in (True, False):
        for number, names in enumerate(LAYERS):
            if module in names if exact else matches(module, names):
                return number
    return None


def faults(module, source):
    """List every rule of the table that a module breaks, as sentences with their line."""
    found = imports(module, source)
    told = [*_packages(module, found), *_homes(module, found), *_lines(source)]
    told += _dynamic(module, source)
    if module.split(".")[0] == "curator":
        told += [*_layers(module, found), *_pure(module, found, source), *_known(module, found)]
    return [f"{module}:{text}" for text in told]


def _packages(module, found):
    own = module.split(".")[0]
    for one in found:
        if one.top in sys.stdlib_module_names:
            continue
        if one.top == own:
            if own in LEAVES and not one.relative:
                yield f"{one.line}: a leaf imports itself relatively, not {one.name}"
            if own == "curator" and one.relative:
                yield f"{one.line}: curator imports itself by its full name, not relatively"
        elif one.top in OURS:
            if own in LEAVES:
                yield f"{one.line}: the leaf {own} imports {one.name}"
            elif one.name != one.top:
                yield f"{one.line}: a leaf is imported at its root, not {one.name}"
        elif one.top not in LIBRARIES[own]:
            yield f"{one.line}: {own} may not import {one.top}"


def _homes(module, found):
    for one in found:
        if one.top in HOMES and not matches(module, HOMES[one.top]):
            yield f"{one.line}: {one.top} lives in {HOMES[one.top]}"
        if one.top in HEAVY and not one.nested and not one.typing:
            yield f"{one.line}: {one.top} is heavy and belongs into the function that needs it"


def _lines(source):
    count = len(source.splitlines())
    if count > MAX_LINES:
        yield f"{count}: {count} lines, {MAX_LINES} are the limit"


def _dynamic(module, source):
    """Refuse what would hide an import from this test, and reaching through a leaf's root."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("__import__", "importlib.import_module", "import_module") and (
                module != "curator"
            ):
                yield f"{node.lineno}: imports by a string"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            leaf, part = node.value.id, node.attr
            inner = f"{leaf}.{part}" in modules() and leaf in LEAVES
            if inner and part not in exported(leaf):
                yield f"{node.lineno}: reaches into {leaf}.{part}"


def _layers(module, found):
    own = layer(module)
    if own is None:
        yield "1: has no layer; give it one in the table LAYERS of tests/architecture.py"
        return
    for one in found:
        other = layer(one.name) if one.top == "curator" else None
        if other is not None and other > own and not one.typing:
            yield f"{one.line}: imports {one.name}, which lies above it"


def _pure(module, found, source):
    if layer(module) != PURE:
        return
    for one in found:
        if one.top in SIDE_EFFECTS:
            yield f"{one.line}: is pure and imports {one.name}"
        if one.top in LEAVES or (
            one.top not in sys.stdlib_module_names and one.top not in {*PURE_LIBRARIES, *OURS}
        ):
            yield f"{one.line}: is pure and imports {one.name}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "print", "input"):
            yield f"{node.lineno}: is pure and calls {ast.unparse(node.func)}"


def _known(module, found):
    for one in found:
        for who, strangers in STRANGERS:
            if matches(module, (who,)) and matches(one.name, strangers):
                yield f"{one.line}: does not know {one.name}"
        for name, allowed in ONLY_FROM.items():
            if matches(one.name, (name,)) and not matches(module, (name, *allowed)):
                yield f"{one.line}: {one.name} is imported by {allowed or 'nobody'} only"


@pytest.mark.parametrize("module", modules())
def test_a_module_keeps_the_table(module):
    assert [] == faults(module, modules()[module].read_text("utf-8"))


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("curator.schema", "from curator.options import plain", "which lies above it"),
        ("connectors.files", "import curator", "the leaf connectors imports curator"),
        ("connectors.files", "from finetune import embed", "the leaf connectors imports finetune"),
        ("connectors.files", "from connectors.address import locate", "imports itself relatively"),
        ("connectors.files", "import torch", "connectors may not import torch"),
        ("connectors.files", "def f():\n    import requests", "may not import requests"),
        ("reports.page", "import datasets", "reports may not import datasets"),
        ("finetune.probe", "def f():\n    import peft", "peft lives in ('finetune.methods',)"),
        ("augmenters.lineage", "def f():\n    import nlpaug", "nlpaug lives in"),
        ("finetune.embed", "import torch", "torch is heavy"),
        ("curator.checks.text", "def f():\n    from cleanlab import x", "cleanlab lives in"),
        ("curator.context", "from connectors.files import read_file", "imported at its root"),
        ("curator.context", "from connectors import files", "imported at its root"),
        ("curator.context", "import connectors.files", "imported at its root"),
        ("curator.context", "import reports\nreports.page.x()", "reaches into reports.page"),
        ("curator.context", "from .errors import StepError", "by its full name"),
        ("curator.schema", "from curator.decide import decide", "curator.decide, which lies above"),
        ("curator.schema", "from curator import near", "curator.near, which lies above"),
        ("curator.errors", "from curator.schema import ROW_SCHEMA", "which lies above it"),
        ("curator.near", "import os", "is pure and imports os"),
        ("curator.filters", "from pathlib import Path", "is pure and imports pathlib"),
        ("curator.decide", "def f():\n    import random", "is pure and imports random"),
        ("curator.checks.leaks", "import finetune", "is pure and imports finetune"),
        ("curator.impact.statistics", "def f():\n    open('x')", "is pure and calls open"),
        ("curator.checks.text", "from curator.versions import Store", "which lies above it"),
        ("curator.checks.text", "from curator.context import Context", "which lies above it"),
        ("curator.impact.planning", "from curator.running import run", "which lies above it"),
        ("curator.versions.store", "from curator import execute", "does not know curator.execute"),
        ("curator.versions.store", "from curator.execute import x", "does not know"),
        ("curator.execute", "from curator.versions.store import Store", "does not know"),
        (
            "curator.execute",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import curator.versions",
            "does not know curator.versions",
        ),
        ("curator.plan", "from curator import cli", "curator.cli is imported by nobody"),
        ("curator.checking", "from curator.running import run", "curator.running is imported by"),
        ("curator.query", "import importlib\nimportlib.import_module('x')", "by a string"),
        ("curator.brand_new", "", "has no layer"),
        ("curator.near", "x = 1\n" * 501, "501 lines, 500 are the limit"),
    ],
)  # fmt: skip
def test_a_planted_violation_is_found(module, source, told):
    found = faults(module, source)

    assert any(told in fault for fault in found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("connectors.files", "from .address import locate\nimport pyarrow as pa"),
        ("finetune.embed", "def f():\n    import torch"),
        ("curator.context", "import connectors\nfrom finetune import FitError\nconnectors.read"),
        ("curator.checking", "from connectors import inspect\nfrom curator import schema"),
        ("curator.near", "from scipy.sparse import coo_array\nfrom curator import buckets"),
        ("curator.schema", "from curator.errors import RecipeError"),
    ],
)
def test_what_the_design_allows_is_no_violation(module, source):
    assert [] == faults(module, source)


def test_no_module_waits_for_itself():
    reaches = {
        name: {i.name for i in imports(name, path.read_text("utf-8")) if not i.typing}
        & modules().keys() - {name}
        for name, path in modules().items()
    }
    while ready := [n for n, needs in reaches.items() if not needs & reaches.keys()]:
        for name in ready:
            del reaches[name]

    assert {} == reaches


def test_the_tables_name_only_what_exists():
    named = {n for names in (*LAYERS, *HOMES.values(), *ONLY_FROM.values()) for n in names}
    named |= ONLY_FROM.keys()

    assert set() == {n for n in named if "*" not in n} - modules().keys()


def test_no_module_bears_a_public_name():
    """`import curator.NAME` would put the module in the place of the function."""
    import curator

    assert set() == {f"curator.{name}" for name in curator.__all__} & modules().keys()


def test_no_file_is_longer_than_the_limit():
    listed = subprocess.run(
        ["git", "-C", ROOT, "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    names = [name for name in listed.stdout.splitlines() if name.endswith(".py")]
    assert names, listed.stderr
    long = {
        name: lines
        for name in names
        if (ROOT / name).exists()
        and (lines := len((ROOT / name).read_text("utf-8").splitlines())) > MAX_LINES
    }

    assert {} == long
