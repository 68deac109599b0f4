"""Law 6: killed at any system call of a commit or a gc, the store is whole and work goes on."""

import json
import subprocess
import sys

import pytest

from curator.versions import open_store
from curator.versions.gc import collect
from curator.versions.verify import verify

# Forks once per kill, so that Python and Arrow start once. The child dies by SIGKILL in the n-th of
# the calls that put a commit on the disk; with n = 0 it lives and says how many there were.
SCRIPT = """
import os, random, signal, sys, json, tempfile
from pathlib import Path
from curator import schema
from curator.versions import StepRecord, open_store
from curator.versions.gc import collect

ROW = {"group": "g", "label": "a", "weight": 1.0, "source": "s", "source_row": 0, "parent": None,
       "step": "import"}

def rows(*texts):
    import pyarrow as pa
    made = [{**ROW, "id": t, "text": t, "split": "test" if t == "t" else "train"} for t in texts]
    return pa.Table.from_pylist(made, schema=schema.ROW_SCHEMA)

def commit(store, rows, parents, step, decided):
    made = [{"step": step, "reason": "r", "by": "rule", **d} for d in decided]
    return store.commit("main", rows, parents=parents, task="classification",
        step=StepRecord(step, {}, 1), decisions=schema.decisions(made),
        findings=schema.findings([]))

def first(folder):
    return commit(open_store(folder, create=True), rows("a", "b", "t"), (), "import", [])

def second(folder):
    store = open_store(folder, create=False)
    return commit(store, rows("a", "c", "t"), [store.head()], "change",
        [{"row_id": "b", "action": "drop"}, {"row_id": "c", "action": "add"}])

def lost(folder):
    store = open_store(folder, create=False)
    made = store.commit(None, rows("a", "t"), parents=[store.head()], task="classification",
        step=StepRecord("lost", {}, 1), findings=schema.findings([]),
        decisions=schema.decisions([
            {"row_id": "b", "action": "drop", "step": "lost", "reason": "r", "by": "rule"}]))
    return made.id

def clear(folder):
    collect(open_store(folder, create=False), grace_s=0)

def counted(kill_at):
    calls = 0
    for name in ("open", "write", "fsync", "link", "mkdir", "unlink"):
        def wrapped(*args, real=getattr(os, name), **options):
            nonlocal calls
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)
        setattr(os, name, wrapped)
    return lambda: calls

top = Path(sys.argv[1])
def child(kill_at, folder, act):
    pid = os.fork()
    if pid == 0:
        number = counted(kill_at)
        act(folder)
        (folder / "calls").write_text(str(number()))
        os._exit(0)
    return os.waitpid(pid, 0)[1]

def killed(name, act, prepare, number):
    whole = top / name / "whole"
    prepare(whole)
    child(0, whole, act)
    calls = int((whole / "calls").read_text())
    draw = random.Random(7)
    points = sorted({1, calls, *draw.sample(range(2, calls), number)})
    for at in points:
        folder = top / name / str(at)
        prepare(folder)
        died = child(at, folder, act)
        assert os.WIFSIGNALED(died) and os.WTERMSIG(died) == signal.SIGKILL, (name, at, died)
    return points

def with_garbage(folder):
    first(folder)
    lost(folder)

points = {
    "commit": killed("commit", second, first, 10),
    "gc": killed("gc", clear, with_garbage, 8),
}
print(json.dumps(points))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    top = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(top)], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return top, json.loads(done.stdout)


@pytest.fixture
def killed_commit(killed):
    top, points = killed
    return top / "commit", points["commit"]


def test_the_version_before_is_whole_and_the_next_commit_goes_on(killed_commit):
    top, points = killed_commit
    expected = open_store(top / "whole", create=False)
    texts = {"import": ["a", "b", "t"], "change": ["a", "c", "t"]}
    for at in points:
        store = open_store(top / str(at), create=False)
        head = store.head()
        assert texts[head.step.name] == store.rows(head)["text"].to_pylist(), at
        store.check_lock(head)
        again = store.commit(
            "main",
            expected.rows("main"),
            parents=["main~1"] if head.step.name == "change" else ["main"],
            task="classification",
            step=expected.head().step,
            decisions=expected.decisions("main"),
            findings=expected.findings("main"),
        )

        assert expected.head() == again == store.head()
        assert ["a", "c", "t"] == store.rows("main")["text"].to_pylist()
        assert 2 == len(store.entries())
        assert "dropped" == store.why("b").state.where


def test_nothing_but_unnamed_bytes_is_left_by_a_kill(killed_commit):
    top, points = killed_commit
    whole = {p.relative_to(top / "whole") for p in (top / "whole").rglob("*") if p.is_file()}
    for at in points:
        folder = top / str(at)
        left = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()} - whole

        # A cache and a lease that runs out are no part of any version either.
        expected = {path for path in left if path.parts[0] in ("cache", "leases")}
        assert all(path.name.startswith(".tmp-") for path in left - expected), at


def test_a_killed_gc_leaves_every_version_whole_and_the_next_one_ends_its_work(killed):
    top, points = killed[0] / "gc", killed[1]["gc"]
    for at in points:
        store = open_store(top / str(at), create=False)

        assert () == verify(store).faults, at
        collect(store, grace_s=0)
        found = verify(store)
        assert (((), 1, 0)) == (found.faults, found.versions, found.unreachable)
        assert () == store.folder.unfinished()
        assert ["a", "b", "t"] == store.rows("main")["text"].to_pylist()
