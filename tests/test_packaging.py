"""What users install: the wheel, its contents, and Curator run from it without our tools.

The wheel is built from a copy of the tracked files alone. It is installed into a new environment
outside the checkout, whose site-packages hold links to exactly the distributions that
[project.dependencies] leads to (read from the metadata of what is installed here): a developer's
tool that the code came to need is not there, and nothing is downloaded.
"""

from __future__ import annotations

import ast
import csv
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"augmenters", "connectors", "curator", "finetune", "reports"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TOOLS = ("pytest", "hypothesis", "duckdb", "selenium", "mypy")
NEVER_IMPORTED = {
    "pandas": "frames come in and go out as pandas through pyarrow",
    "vl-convert-python": "altair draws SVG with it",
    "safetensors": "transformers and peft read and write weights with it",
}
"""Dependencies that no import statement of ours names, and what they are for."""


def own_files():
    """List the files of the checkout that are or will be tracked."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def outside(**more):
    """Give the environment of a user: no checkout on the path, the guard against the net stays."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    return kept | {"PYTHONPATH": str(ROOT / "tests" / "offline"), **more}


def call(*command, **options):
    options = {"env": outside(), "timeout": 300, **options}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from the tracked files."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in own_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    done = call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source)
    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_five_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    about = f"corpus_curator-{PROJECT['version']}.dist-info"

    assert {*PACKAGES, about} == {name.split("/")[0] for name in names}


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.split("/")[0] in PACKAGES}
    tracked = {name for name in own_files() if name.split("/")[0] in PACKAGES}

    assert tracked == held
    assert {f"{package}/py.typed" for package in PACKAGES} <= held
    assert any(name.startswith("reports/templates/") for name in held)


def needed():
    """Follow [project.dependencies] through the installed metadata: name -> distribution."""
    found, asked = {}, set()
    waiting = [Requirement(line) for line in PROJECT["dependencies"]]
    while waiting:
        one = waiting.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in asked:
            continue
        asked.add(key)
        try:
            found[key[0]] = distribution(one.name)
        except PackageNotFoundError:
            continue  # a platform's own package; what is truly missing fails when it is imported
        waiting += [
            inner
            for inner in map(Requirement, found[key[0]].requires or [])
            if inner.marker is None
            or any(inner.marker.evaluate({"extra": extra}) for extra in ("", *one.extras))
        ]
    return found


def link(dist, folder):
    """Link what a distribution installed into another site-packages."""
    tops = {file.parts[0] for file in dist.files or []} - {"..", "__pycache__"}
    for top in tops:
        source, target = Path(dist.locate_file(top)), folder / top
        if source.exists() and not target.exists() and source.suffix != ".pth":
            target.symlink_to(source.resolve())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel, with its dependencies alone, into a new environment; give its bin."""
    folder = tmp_path_factory.mktemp("user") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    done = call(
        sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python,
        "install", "--no-deps", "--no-index", wheel,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    (site,) = folder.glob("lib/python*/site-packages")
    for dist in needed().values():
        link(dist, site)
    return folder / "bin"


@pytest.mark.slow
def test_the_installed_packages_are_those_of_the_wheel_and_no_tool_is_there(installed, tmp_path):
    code = (
        "import importlib.util as u, curator, connectors, augmenters, finetune, reports\n"
        "for m in (curator, connectors, augmenters, finetune, reports): print(m.__file__)\n"
        f"print([t for t in {TOOLS} if u.find_spec(t)])"
    )
    done = call(installed / "python", "-c", code, cwd=tmp_path)

    assert 0 == done.returncode, done.stderr
    *files, tools = done.stdout.splitlines()
    assert "[]" == tools
    assert all(Path(file).is_relative_to(installed.parent) for file in files), files


@pytest.mark.slow
def test_the_command_helps_outside_the_checkout(installed, tmp_path):
    done = call(installed / "curator", "--help", cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    assert "Curate text corpora in versions" in done.stdout


RECIPE = """\
name: tiny
language: en
sources:
  - from: file:rows.csv
steps:
  - clean
  - duplicates: {near: 0.8}
  - leaks: {near: 0.8}
  - label_errors: {min_class_rows: 5}
  - augment: {with: [keyboard]}
measure: {model: tfidf, tiers: [probe]}
report: report.html
"""
WORDS = {
    "card": "card plastic envelope delivery arrive post letter replace chip expired lost window",
    "money": "transfer payment refund balance pending declined salary currency fee cash euro bank",
    "login": "password phone code face reset locked email verify identity screen device sign",
}


@pytest.mark.slow
def test_a_recipe_runs_from_the_installed_wheel(installed, tmp_path):
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        write(["text", "label"])
        for number in range(20):
            for label, words in WORDS.items():
                some = words.split()[number % 5 :: 1 + number % 3]
                write([f"{' '.join(some)} {number}", label])

    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    home = tmp_path / "home"
    home.mkdir()

    done = call(
        installed / "curator", "run", "recipe.yaml", cwd=tmp_path, env=outside(HOME=str(home))
    )

    assert 0 == done.returncode, done.stderr
    assert "duplicates" in done.stdout
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert "report.json" in {path.name for path in tmp_path.iterdir()}


def test_what_the_packages_import_is_declared():
    """A library that comes along with another one today may leave with it tomorrow."""
    homes = packages_distributions()
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    imported = {
        top: path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for top in _tops(node)
        if top not in sys.stdlib_module_names and top not in PACKAGES
    }
    names = {top: {canonicalize_name(n) for n in homes.get(top, [top])} for top in imported}
    used = set().union(*names.values())

    extras = {
        canonicalize_name(Requirement(line).name)
        for lines in PROJECT.get("optional-dependencies", {}).values()
        for line in lines
    }

    known = declared | extras
    assert {} == {top: where for top, where in imported.items() if not names[top] & known}
    assert declared - used == NEVER_IMPORTED.keys()


def _tops(node):
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        return {node.module.split(".")[0]}
    return set()


@pytest.mark.parametrize("name", sorted(PACKAGES - {"curator"}))
@pytest.mark.parametrize("kind", ["module", "package"])
def test_a_file_in_the_way_is_named(name, kind, tmp_path):
    stray = tmp_path / (f"{name}.py" if kind == "module" else f"{name}/__init__.py")
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = call(sys.executable, "-c", "import curator", cwd=tmp_path, env=outside(PYTHONPATH=paths))

    assert 1 == done.returncode
    last = done.stderr.strip().splitlines()[-1]
    assert f"ImportError: package '{name}' of Curator is hidden by {stray.resolve()}: " in last
    assert "rename that file or folder, or run from another folder" in last
