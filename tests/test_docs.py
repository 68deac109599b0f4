"""The documents say what the code does: help everywhere, a current reference, a README that runs.

How a Markdown page is run (`run_page`): all blocks of a page share one empty folder, in order.

    <!-- file: train.csv -->      the next block is written to this file, whatever its language
    ```python                     is executed; all python blocks share one namespace
    ```console                    `$ curator ...` lines are run, what is printed is compared
    <!-- exit: 3 -->              the last command of the next console block ends with this code
    <!-- not run: reason -->      the next block is left alone

Printed lines of a console block must all occur in what the command printed (stdout and stderr), in
this order. What depends on the machine does not count: ids, decimal numbers and the widths of
white space are made alike on both sides. A line `...` says that lines are left out.
Blocks of any other language are not run.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from curator.registry import describe_steps

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)


@pytest.fixture(scope="module")
def reference():
    """Load the script that writes the reference."""
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "docs/cli_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_verb_and_each_of_its_options_has_help(reference):
    without = [name for name, command in reference.commands().items() if not command.help]
    without += [p.name for p in reference.global_options() if not p.help]
    without += [
        f"{name} {p.name}"
        for name, command in reference.commands().items()
        for p in reference.parameters(command)
        if not p.help
    ]

    assert [] == without


def test_every_step_and_each_of_its_options_has_a_sentence():
    described = describe_steps()
    without = [s["step"] for s in described if not s["text"].endswith(".")]
    without += [
        f"{s['step']}.{o['name']}" for s in described for o in s["options"] if not o["text"]
    ]

    assert [] == without


def test_the_reference_is_what_the_command_line_says(reference):
    pages = reference.PAGE.read_text("utf-8"), reference.render()
    stale = list(difflib.unified_diff(*(page.splitlines() for page in pages), lineterm="", n=0))

    assert [] == stale, "run: make docs"


@pytest.mark.parametrize("page", PAGES)
def test_a_link_within_the_checkout_leads_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [t for t in targets if not re.match(r"[a-z]+:", t)]

    assert [] == [t for t in local if not ((ROOT / page).parent / t).exists()]


@pytest.mark.parametrize("page", [p for p in PAGES if p.startswith("docs/decisions/")])
def test_a_decision_record_is_numbered_and_says_why(page):
    text = (ROOT / page).read_text("utf-8").lower()

    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", Path(page).name)
    assert [] == [w for w in ("context", "options", "choice", "cost") if w not in text]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text and first line, and what the comment above it says."""

    language: str
    text: str
    line: int
    say: str


FENCE = re.compile(
    r"(?:^<!-- (?P<say>[^\n]*?) -->\n\n?)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page):
    """Find the fenced blocks of a page."""
    return [
        Block(m["language"], m["text"], page.count("\n", 0, m.start("text")), m["say"] or "")
        for m in FENCE.finditer(page)
    ]


def run_page(page, folder):
    """Run a page in a folder; raise AssertionError with the line where it is wrong."""
    names = {"__name__": "__page__"}
    for block in blocks(page):
        kind, _, value = block.say.partition(": ")
        if kind == "file":
            (folder / value).parent.mkdir(parents=True, exist_ok=True)
            (folder / value).write_text(block.text, encoding="utf-8")
        elif kind == "not run":
            assert value, f"line {block.line}: say why it is not run"
        elif block.language == "python":
            _run_python(block, names, folder)
        elif block.language == "console":
            _run_console(block, folder, int(value) if kind == "exit" else 0)


def _run_python(block, names, folder):
    source = "\n" * block.line + block.text  # so that a traceback has the page's own lines
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, "page", "exec"), names)


def _run_console(block, folder, code):
    commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not commands[0].strip(), f"line {block.line}: a console block begins with `$ `"
    for number, command in enumerate(commands[1:], start=1):
        typed, _, printed = command.replace("\\\n", " ").partition("\n")
        program, *arguments = shlex.split(typed, comments=True)
        assert program == "curator", f"line {block.line}: {program} cannot be run by this test"
        done = subprocess.run(
            [Path(sys.executable).with_name("curator"), *arguments],
            cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"},
        )  # fmt: skip
        where = f"line {block.line}: `{typed}`"
        expected = code if number == len(commands) - 1 else 0
        assert done.returncode == expected, f"{where} ended with {done.returncode}: {done.stderr}"
        _compare(where, printed, done.stdout + "\n" + done.stderr)


def _compare(where, printed, actual):
    told = [alike(line) for line in actual.splitlines()]
    for wanted in filter(None, map(alike, printed.splitlines())):
        if wanted == "...":
            continue
        assert wanted in told, f"{where} does not print {wanted!r} (there); it prints:\n{actual}"
        told = told[told.index(wanted) + 1 :]


def alike(line):
    """Make what may differ from machine to machine the same."""
    line = re.sub(r"\b(?=[a-f]*\d)[0-9a-f]{6,64}\b", "#", line)
    line = re.sub(r"[+-]?\d+\.\d+", "#", line)
    return " ".join(line.split())


@pytest.mark.slow
@pytest.mark.model
def test_the_readme_runs_word_by_word(tmp_path):
    run_page((ROOT / "README.md").read_text("utf-8"), tmp_path)


@pytest.mark.slow
def test_the_page_on_outside_trainers_runs_word_by_word(tmp_path, monkeypatch):
    beside = Path(sys.executable).parent  # the `python` of the page is the one of the suite
    monkeypatch.setenv("PATH", f"{beside}{os.pathsep}{os.environ['PATH']}")
    run_page((ROOT / "docs/outside-trainers.md").read_text("utf-8"), tmp_path)


def test_the_page_on_versions_runs_word_by_word(tmp_path):
    run_page((ROOT / "docs/versions.md").read_text("utf-8"), tmp_path)


def test_a_page_that_is_right_runs(tmp_path):
    printed = run_curator("log", folder=tmp_path).strip()
    shown = next(
        line for line in run_curator("steps", folder=tmp_path).splitlines() if "unicode |" in line
    )
    page = f"""\
<!-- file: in/rows.csv -->
```csv
text,label
```
```python
import pathlib
found = pathlib.Path("in/rows.csv").read_text()
```
```python
assert found.startswith("text")
```
```console
$ curator steps  # with a comment
...
{shown.strip()}
```
<!-- exit: 1 -->
```console
$ curator log
{printed}
```
<!-- not run: it installs -->
```console
$ make demo
```
"""
    run_page(page, tmp_path)


def run_curator(*arguments, folder):
    """Give what a command prints, on either stream."""
    done = subprocess.run(
        [Path(sys.executable).with_name("curator"), *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"},
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("```python\nassert 1 == 2\n```", ""),
        ("```console\n$ curator steps\nno such line\n```", "does not print 'no such line'"),
        ("```console\n$ curator log\n```", "ended with 1"),
        ("<!-- exit: 3 -->\n```console\n$ curator log\n```", "ended with 1"),
        ("```console\n$ make demo\n```", "make cannot be run by this test"),
        ("<!-- not run: -->\n```console\n$ make demo\n```", "make cannot be run by this test"),
        ("```console\nclean\n```", "begins with `$ `"),
    ],
)
def test_a_page_that_is_wrong_fails(page, told, tmp_path):
    with pytest.raises(AssertionError) as caught:
        run_page(page, tmp_path)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("version 94de54109d2f", "version   1337bdfcb515"),
        ("effect +18.7  -0.25", "effect +3.14 0.5"),
    ],
)
def test_ids_decimals_and_widths_do_not_count(shown, printed):
    assert alike(shown) == alike(printed)


@pytest.mark.parametrize(("shown", "printed"), [("60 rows", "61 rows"), ("decade", "facade")])
def test_words_and_whole_numbers_count(shown, printed):
    assert alike(shown) != alike(printed)
