"""What the whole command line keeps, whatever the verb."""

from __future__ import annotations

import errno
import os

import pytest

from curator import cli
from curator.foreign import explain
from curator.session import Session


def verbs():
    return [command.name or command.callback.__name__ for command in cli.app.registered_commands]


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_explains_itself(curator, tmp_path, verb):
    said = curator(tmp_path, verb, "--help")

    assert 0 == said.code
    assert "Usage: curator" in said.out
    assert "" == said.err


def test_without_a_verb_the_help_is_shown(curator, tmp_path):
    said = curator(tmp_path)

    assert "run" in said.out + said.err
    assert "Traceback" not in said.err


def test_an_unknown_error_keeps_its_traceback(curator, tmp_path, monkeypatch):
    """A fault of ours must not be dressed as one of the user's."""

    def broken():
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("curator.doctor.examine", broken)

    with pytest.raises(ZeroDivisionError, match="ours"):
        curator(tmp_path, "doctor")


def test_an_interrupt_anywhere_exits_130_and_says_how_to_go_on(curator, tmp_path, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("curator.doctor.examine", interrupted)

    said = curator(tmp_path, "doctor")

    assert 130 == said.code
    assert "interrupted; finished steps are kept, run again to go on\n" == said.err


def test_steps_and_doctor_speak_json(curator, tmp_path):
    steps = curator(tmp_path, "steps", "--json").json()

    assert {"clean", "duplicates", "leaks", "label_errors", "augment"} <= {s["step"] for s in steps}
    assert all(option["text"] for step in steps for option in step["options"]), "undocumented"
    assert {"name", "found", "detail"} == set(curator(tmp_path, "doctor", "--json").json()[0])


def test_a_store_is_where_it_is_said_to_be(curator, finished, tmp_path):
    said = curator(tmp_path, "--store", finished.folder / ".curator", "log", "--json")

    assert 6 == len(said.json())
    assert str(Session.store).endswith(".curator")


def test_init_does_not_replace_a_recipe_unasked(curator, corpus):
    made = corpus()
    before = made.recipe.read_text()

    said = curator(made.folder, "init", "train.csv")
    assert (1, before) == (said.code, made.recipe.read_text())
    assert "recipe.yaml: there is a recipe already; --force replaces it" in said.err

    assert 0 == curator(made.folder, "init", "train.csv", "--force").code
    assert before != made.recipe.read_text()
    assert 0 == curator(made.folder, "run", "recipe.yaml", "--plan").code


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "f.csv: the disk is full; free some room and run again"),
        (errno.EACCES, "f.csv: permission is denied; choose a folder you may write to"),
        (errno.EROFS, "f.csv: the file system is read-only"),
        (errno.ENOENT, "f.csv: there is no such file or folder"),
    ],
)
def test_what_the_system_refuses_is_put_into_words(number, advice):
    assert explain(OSError(number, os.strerror(number), "f.csv")).startswith(advice)
