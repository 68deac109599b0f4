"""A full disk, a limit and a folder without permission, real ones: a clear error, nothing lost."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from curator.versions import open_store
from curator.versions.verify import verify

COMMIT = """
import json, os, resource, sys
import pyarrow as pa
from curator import schema
from curator.errors import CuratorError
from curator.versions import StepRecord, open_store

address, kind = sys.argv[1:]
words = os.urandom(1 << 22).hex()  # nothing compresses it
row = {"group": "g", "text": words, "label": "a", "split": "train", "weight": 1.0, "source": "s",
       "source_row": 0, "parent": None, "step": "import", "id": "big"}
rows = pa.Table.from_pylist([row], schema=schema.ROW_SCHEMA)
if kind == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    open_store(address, create=False, cache=None).commit(
        "big", rows, parents=(), task="classification", step=StepRecord("import", {}, 1),
        decisions=schema.decisions([]), findings=schema.findings([]))
except CuratorError as fault:
    print(fault)
    sys.exit(1)
"""


def commit(place, kind):
    """Commit 4 MB of noise to a store in a process of its own; gives how it ended, what it said."""
    done = subprocess.run(
        [sys.executable, "-c", COMMIT, str(place), kind],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def small(finished, tmp_path):
    """A copy of a store on a disk of 3 MB."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        shutil.copytree(finished.folder / ".curator", disk / "store", ignore=no_cache)
        yield disk / "store"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def no_cache(_, names):
    return [name for name in names if name == "cache"]


def test_a_disk_that_is_full_is_said_and_nothing_is_lost(small):
    before = open_store(small, create=False).branches()
    code, told = commit(small, "full")
    store = open_store(small, create=False)

    assert 1 == code
    assert "no space left on the disk; nothing is half-written" in told
    assert before == store.branches()
    assert () == verify(store).faults
    assert () == store.folder.unfinished()


def test_a_file_larger_than_a_limit_of_the_process_is_said_and_nothing_is_lost(finished_copy):
    place = finished_copy.folder / ".curator"
    code, told = commit(place, "limit")
    store = open_store(place, create=False)

    assert 1 == code
    assert "larger than this process may write (see `ulimit -f`); nothing is half-written" in told
    assert "big" not in store.branches()
    assert () == verify(store).faults


def test_a_folder_that_may_not_be_written_is_said_and_nothing_is_lost(small):
    before = open_store(small, create=False).branches()
    subprocess.run(["mount", "-o", "remount,ro", str(small.parent)], check=True)
    code, told = commit(small, "locked")

    assert 1 == code
    assert "no permission (Read-only file system); give this user the right to read and" in told
    assert before == open_store(small, create=False).branches()


def test_what_the_bad_input_of_a_store_says_at_the_command_line(curator, finished_copy):
    folder = finished_copy.folder
    place = folder / ".curator"
    curator(folder, "tag", "first", "main~1")
    tagged = curator(folder, "tag", "first", "main")
    missing = curator(folder, "log", "mian")
    (place / "FORMAT").write_text("99\n", "utf-8")
    newer = curator(folder, "log")
    (place / "FORMAT").write_text("1\n", "utf-8")
    entry = place / "refs" / "heads" / "main" / "00000002"
    kept = entry.read_bytes()
    entry.unlink()
    gap = curator(folder, "log")
    entry.write_bytes(kept)
    layout = next((place / "layouts" / open_store(place, create=False).head().id).iterdir())
    facts = json.loads(layout.read_bytes())
    facts["parts"][0]["object"] = "0" * 64
    layout.chmod(0o644)
    layout.write_text(json.dumps(facts), "utf-8")
    absent = curator(folder, "rows", "main")

    assert [1] * 5 == [said.code for said in (tagged, missing, newer, gap, absent)]
    assert "tag 'first' exists" in tagged.err
    assert "did you mean 'main'?" in missing.err
    assert "made by a newer Curator" in newer.err
    assert "entries [2] of" in gap.err
    assert "000000000000" in absent.err
    assert not any("Traceback" in said.err for said in (tagged, missing, newer, gap, absent))
