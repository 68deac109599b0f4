"""What a fresh process has loaded after `import curator` and after the cheap verbs.

The architecture test reads the source; this one looks at sys.modules, so it also sees what the
libraries themselves bring along.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from curator import schema
from curator.versions import StepRecord, open_store

LOADED = """
import json, sys
{before}
sys.argv = ["curator", *{arguments}]
try:
    {call}
except SystemExit as left:
    assert not left.code, left.code
print(json.dumps(sorted(m for m in sys.modules if "." not in m)), file=sys.stderr)
"""
TABLES = {"numpy", "pandas", "polars", "pyarrow"}
FITTING = {"torch", "transformers", "spacy", "sklearn", "datasets"}


def loaded_by(*arguments, folder):
    """Say which top-level modules a fresh process has loaded at its end."""
    call = "cli.main()" if arguments else "pass"
    before = "from curator import cli" if arguments else "import curator"
    code = LOADED.format(before=before, arguments=list(arguments), call=call)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture
def folder_with_a_store(tmp_path):
    """Make a folder whose store holds one small version, as a run would leave it."""
    row = {
        "id": "r0", "group": "r0", "text": "where is my card", "label": "card", "split": "train",
        "weight": 1.0, "source": "file:a.csv", "source_row": 0, "parent": None, "step": "import",
    }  # fmt: skip
    open_store(tmp_path / ".curator", create=True).commit(
        "main",
        schema.pa.Table.from_pylist([row], schema=schema.ROW_SCHEMA),
        parents=(),
        task="classification",
        step=StepRecord("import", {}, 1),
        decisions=schema.decisions([]),
        findings=schema.findings([]),
    )
    return tmp_path


def test_importing_curator_loads_no_library_at_all(tmp_path):
    assert set() == loaded_by(folder=tmp_path) & {*FITTING, *TABLES, "scipy", "typer"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["steps"], ["log"], ["branch"], ["tag"]],
    ids=" ".join,
)
def test_a_cheap_verb_loads_nothing_that_fits_models_and_no_pandas(arguments, folder_with_a_store):
    assert set() == loaded_by(*arguments, folder=folder_with_a_store) & {*FITTING, "pandas"}


@pytest.mark.parametrize("arguments", [["show"], ["rows"], ["diff", "main", "main"]], ids=" ".join)
def test_a_verb_that_reads_rows_loads_nothing_that_fits_models(arguments, folder_with_a_store):
    """Pandas may come: pyarrow loads it where it is installed, for its own conversions."""
    assert set() == loaded_by(*arguments, folder=folder_with_a_store) & FITTING
