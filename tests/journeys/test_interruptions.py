"""Ctrl-C, a full disk, a folder that may not be written: told in a line, and nothing half-done."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curator.versions import open_store

CURATOR = [sys.executable, "-c", "from curator.cli import main; main()"]


def whole(folder):
    """Read every version that the store has: nothing in it may be half there."""
    store = open_store(folder / ".curator", create=False)
    entries = store.log() if "main" in store.branches() else []
    for entry in entries:
        assert entry.rows == store.rows(entry.version).num_rows
        store.check_lock(entry.version)
    return [entry.step for entry in entries]


def left_over(folder):
    """Name temporary files that a writer left behind."""
    return [p.name for p in folder.rglob("*") if ".tmp" in p.name]


def test_ctrl_c_exits_130_keeps_finished_steps_and_the_next_run_goes_on(corpus, curator):
    made = corpus(classes=24, train=6, test=4)
    with subprocess.Popen(
        [*CURATOR, "run", "recipe.yaml"], cwd=made.folder, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        for line in process.stderr:
            if "step    leaks (done)" in line:
                break
        process.send_signal(signal.SIGINT)
        err, out = process.stderr.read(), process.stdout.read()

    assert 130 == process.returncode
    assert err.endswith("interrupted; finished steps are kept, run again to go on\n")
    assert "Traceback" not in err
    assert "" == out
    assert ["leaks", "duplicates", "clean", "import"] == whole(made.folder)[-4:]
    assert not (made.folder / "report.html").exists()

    said = curator(made.folder, "run", "recipe.yaml", "--no-measure", "--json").json()
    assert [True, True, True, True] == [v["cached"] for v in said["versions"][:4]]


@pytest.fixture
def full_disk(monkeypatch):
    """Let the disk be full from the n-th write of bytes on: `full_disk(3)`."""

    def after(writes):
        real, left = os.write, [writes]

        def write(handle, data):
            if handle > 2:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(handle, data)

        monkeypatch.setattr(os, "write", write)

    return after


@pytest.mark.parametrize("writes", [0, 1, 3, 6, 9, 12, 20, 30])
def test_a_full_disk_stops_the_run_with_advice_and_whole_versions(
    corpus, curator, full_disk, monkeypatch, writes
):
    made = corpus()
    full_disk(writes)

    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")

    assert 1 == said.code
    assert "no space left on the disk" in said.err
    assert "free some space and run again" in said.err
    assert "Traceback" not in said.err
    monkeypatch.undo()
    steps = whole(made.folder) if (made.folder / ".curator" / "FORMAT").exists() else []
    assert [] == left_over(made.folder)
    assert not (made.folder / "report.html").exists()

    again = curator(made.folder, "run", "recipe.yaml", "--no-measure", "--json").json()
    assert len(steps) <= sum(v["cached"] for v in again["versions"]) + 1
    assert 6 == len(whole(made.folder))


def test_a_disk_that_fills_up_while_the_report_is_written_keeps_the_old_report(
    corpus, curator, monkeypatch
):
    made = corpus()
    curator(made.folder, "run", "recipe.yaml", "--no-measure")
    before = (made.folder / "report.html").read_bytes()

    def full(handle):
        if ".curator" not in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")

    assert 1 == said.code
    assert "report.html: cannot write the report (No space left on device)" in said.err
    assert before == (made.folder / "report.html").read_bytes()
    assert [] == left_over(made.folder)


def test_a_cache_on_a_full_disk_is_told_too(corpus, curator, monkeypatch):
    import numpy as np

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "pairs.npz")

    monkeypatch.setattr(np, "savez", full)
    made = corpus()

    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")

    assert 1 == said.code
    assert "the disk is full; free some room and run again, finished steps are kept" in said.err
    assert ["clean", "import"] == whole(made.folder)
    assert [] == left_over(made.folder)


def test_a_store_that_may_not_be_written_is_told(corpus, curator, monkeypatch):
    """The suite may run as root, whom no mode stops, so the refusal comes from the call."""
    made = corpus()

    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "link", refuse)
    said = curator(made.folder, "run", "recipe.yaml")

    assert 1 == said.code
    assert ".curator/FORMAT: no permission (Permission denied); give this user" in said.err
    assert [] == left_over(made.folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(corpus, curator):
    made = corpus()
    made.folder.chmod(0o555)

    said = curator(made.folder, "run", "recipe.yaml")
    made.folder.chmod(0o755)

    assert 1 == said.code
    assert "no permission" in said.err


def test_ctrl_c_before_anything_happened_says_the_same(corpus):
    made = corpus()
    process = subprocess.Popen(
        [*CURATOR, "run", "recipe.yaml"], cwd=made.folder, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (made.folder / ".curator").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert 130 == process.returncode
    assert "Traceback" not in err
