"""Builders that every part of the suite may use: a small corpus on disk, and the command line."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
import os
import random
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

RECIPE = """\
name: tiny
language: en
sources:
  - {{from: "file:train.csv", split: train{key}}}
  - {{from: "file:test.csv", split: test{key}}}
steps:
  - clean
  - duplicates
  - leaks
  - label_errors: {{min_class_rows: 3}}
  - augment: {{with: [keyboard], keep_label: 0}}
measure: {{model: tfidf, tiers: [probe]}}
report: report.html
"""


def words_of(name):
    """Give the fourteen words of a class; no other class has one of them."""
    draw = random.Random(f"words of {name}")
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    return ["".join(draw.sample(syllables, 3)) for _ in range(14)]


def sentence_of(name, number):
    """Give a text of a class; texts of one class share a third of their words or so."""
    return " ".join(random.Random(f"{name} {number}").sample(words_of(name), 7))


def write_csv(path, records):
    """Write records, all with the keys of the first, as csv."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return path


@dataclass
class Corpus:
    """A corpus on disk: its folder, recipe and records (text, label, perhaps ticket)."""

    folder: Path
    recipe: Path
    train: list
    test: list

    def write(self):
        """Write the files again, as the records now stand."""
        write_csv(self.folder / "train.csv", self.train)
        if self.test:
            write_csv(self.folder / "test.csv", self.test)
        return self

    def say(self, text):
        """Replace the recipe."""
        self.recipe.write_text(text, encoding="utf-8")
        return self

    def swap(self, old, new):
        """Replace one passage of the recipe."""
        text = self.recipe.read_text("utf-8")
        assert old in text
        return self.say(text.replace(old, new))


def build_corpus(folder, *, classes=3, train=12, test=5, plants=True, keyed=False):
    """Write a corpus of clearly different classes, with one planted fault of each kind.

    Args:
        folder: Gets train.csv, test.csv and recipe.yaml.
        classes: Number of classes; 24 or more can carry a verdict.
        train, test: Rows per class.
        plants: Add an exact duplicate, a near-duplicate, markup, a leak, a label conflict, a wrong
            label and a text that is too short, in this order, at the end of train.csv.
        keyed: Add a key column `ticket`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"topic{k:02}" for k in range(classes)]
    rows = [{"text": sentence_of(n, i), "label": n} for i in range(train) for n in names]
    held = [{"text": sentence_of(n, 1000 + i), "label": n} for i in range(test) for n in names]
    if plants:
        other = {name: names[k - 1] for k, name in enumerate(names)}
        rows += [
            dict(rows[0]),
            {**rows[1], "text": rows[1]["text"] + "!!"},
            {"text": f"<b>{sentence_of(names[0], 501)}</b> &amp; more", "label": names[0]},
            {**held[0]} if held else dict(rows[2]),
            {**rows[5], "label": other[rows[5]["label"]]},
            {"text": sentence_of(names[1], 502), "label": names[0]},
            {"text": "x", "label": names[0]},
        ]
    if keyed:
        rows = [{"ticket": f"T{i:04}", **row} for i, row in enumerate(rows)]
        held = [{"ticket": f"H{i:04}", **row} for i, row in enumerate(held)]
    corpus = Corpus(folder, folder / "recipe.yaml", rows, held).write()
    return corpus.say(RECIPE.format(key=", id: [ticket]" if keyed else ""))


@dataclass
class Said:
    """What one call of the command line came to."""

    code: int
    out: str
    err: str

    def json(self):
        """Read stdout as JSON; nothing else may stand there."""
        return json.loads(self.out)


def call_curator(folder, *arguments):
    """Call the command line in this process, in a folder, and catch all it says."""
    from curator import cli
    from curator.session import Session

    Session.store, Session.cache, Session.quiet = ".curator", None, False
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["curator", *map(str, arguments)]
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            sys.argv = before
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    """Keep each test's looks at test rows from those of other tests, and from the user's own."""
    monkeypatch.setenv("CURATOR_STATE", str(tmp_path / "state of curator"))


@pytest.fixture(scope="session", autouse=True)
def _quick_and_wide(tmp_path_factory):
    """Let fsync do nothing (no test cuts the power) and let tables be as wide as they need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATOR_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setattr(os, "fsync", lambda _: None)
        patch.setenv("COLUMNS", "250")
        yield


@pytest.fixture(scope="session")
def s3_server():
    """A real S3 protocol server on this machine, with keys that open nothing else."""
    path = Path(__file__).with_name("s3_server.py")
    spec = importlib.util.spec_from_file_location("s3_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch, tmp_path):
    """The S3 server, with its keys in the environment and a home for caches in this test's folder.

    `s3.new_address()` gives an address where nothing is yet.
    """
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return s3_server


@pytest.fixture
def place(request, tmp_path):
    """An address where no store is yet: on the disk, or where a test says so on the S3 server."""
    if getattr(request, "param", "disk") == "s3":
        return request.getfixturevalue("s3").new_address()
    return str(tmp_path / "store")


@pytest.fixture
def corpus(tmp_path):
    """Build corpora in this test's folder: `corpus(classes=24)`, `corpus("b", keyed=True)`."""

    def build(name="corpus", **options):
        return build_corpus(tmp_path / name, **options)

    return build


@pytest.fixture
def curator():
    """Call the command line in this process: `curator(folder, "log", "--json")` -> Said."""
    return call_curator


@pytest.fixture(scope="session")
def builders():
    """Give `build_corpus` and `call_curator` to fixtures that outlive one test."""
    return build_corpus, call_curator


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A corpus of 24 classes whose recipe has run: to be read only, `finished_copy` may be changed.

    Its test rows can carry a verdict.
    """
    made = build_corpus(tmp_path_factory.mktemp("finished") / "corpus", classes=24, train=6, test=4)
    said = call_curator(made.folder, "run", "recipe.yaml")
    assert said.code == 0, said.err
    return made


@pytest.fixture
def finished_copy(finished, tmp_path):
    """A copy of the finished corpus and its store, to be changed."""
    folder = Path(shutil.copytree(finished.folder, tmp_path / "finished"))
    return replace(finished, folder=folder, recipe=folder / "recipe.yaml")
