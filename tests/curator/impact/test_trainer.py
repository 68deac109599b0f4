"""An outside trainer is run once per content, and its failures are told in its own words."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from curator.errors import MeasureError
from curator.impact.outside import Asked
from curator.impact.trainer import Job, Trainer, run_trainer
from curator.progress import Progress

COPY = """\
import json, sys
train, test, seed, out = sys.argv[1:5]
print("seed", seed, file=sys.stderr)
rows = [json.loads(line) for line in open(test)]
first = json.loads(open(train).readline())
with open(out, "w") as file:
    for row in rows:
        print(json.dumps({"id": row["id"], "prediction": first["label"]}), file=file)
"""


def job(seed=0, label="x"):
    train = pa.table({"id": ["1"], "text": ["a text"], "label": [label], "weight": [1.0]})
    test = pa.table({"id": ["2", "3"], "text": ["other", "text"]})
    asked = Asked(frozenset({"2", "3"}), ("2", "3"), frozenset({"x", "y"}))
    return Job(f"after, seed {seed}", train, test, seed, asked)


@pytest.fixture
def trainer(tmp_path):
    """Make a trainer of a script: `trainer(source)`."""

    def make(source=COPY, extra="", **options):
        script = tmp_path / "train script.py"
        script.write_text(textwrap.dedent(source), "utf-8")
        command = f"'{sys.executable}' -S '{script}' {{train}} {{test}} {{seed}} {{out}}{extra}"
        return Trainer(command, **options)

    return make


class Told:
    """What progress was told, line by line."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_run_reads_train_and_test_and_answers_every_test_row(trainer, tmp_path):
    told = Told()
    found = run_trainer(trainer(), job(), cache=tmp_path / "cache", progress=Progress(stream=told))

    assert {"2": "x", "3": "x"} == found.scores.by_seed[0]
    assert not found.cached
    assert found.scores.cpu_s > 0
    assert "  [after, seed 0] seed 0\n" == told.text


@pytest.mark.parametrize("files", ["jsonl", "csv", "parquet"])
def test_the_test_file_has_no_label_in_any_format(trainer, tmp_path, files):
    source = f"""\
        import shutil, sys
        shutil.copy(sys.argv[1], {str(tmp_path)!r} + "/train.seen")
        shutil.copy(sys.argv[2], {str(tmp_path)!r} + "/test.seen")
        """
    with pytest.raises(MeasureError, match=r"ended well \(after, seed 0\) but wrote no \{out\}"):
        run_trainer(trainer(source, files=files), job(label="y"), cache=tmp_path / "cache")

    import connectors

    seen = [
        next(connectors.read(
            str(tmp_path / f"{name}.seen"), base=tmp_path, on_bad=print, format=files
        )).column_names[:-2]
        for name in ("train", "test")
    ]  # fmt: skip
    assert [["id", "text", "label", "weight"], ["id", "text"]] == seen


def test_what_was_run_is_found_again_by_its_content(trainer, tmp_path):
    made = trainer()

    def cached(one, what):
        return run_trainer(one, what, cache=tmp_path / "cache").cached

    assert [False, True] == [cached(made, job()), cached(made, job())]
    assert not cached(made, job(seed=1))
    assert not cached(made, job(label="y"))
    assert not cached(trainer(extra=" --more"), job())
    assert not cached(trainer(COPY + "# edited\n"), job())
    assert cached(trainer(COPY + "# edited\n"), job())


def test_a_failure_is_told_with_its_exit_code_and_last_lines(trainer, tmp_path):
    source = """\
        import sys
        for number in range(30):
            print("line", number)
        print("CUDA out of memory", file=sys.stderr)
        sys.exit(7)
        """
    with pytest.raises(MeasureError) as caught:
        run_trainer(trainer(source), job(seed=3), cache=tmp_path / "cache")

    told = str(caught.value)
    assert "the command failed with exit code 7 (after, seed 3); it last said:\n  line " in told
    assert "line 29\n" in told
    assert "CUDA out of memory" in told
    assert "line 1\n" not in told
    assert not (tmp_path / "cache").exists()


def test_a_kill_is_told_as_one(trainer, tmp_path):
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"

    with pytest.raises(MeasureError, match=r"killed by SIGKILL.*out of memory.*printed nothing"):
        run_trainer(trainer(source), job(), cache=tmp_path / "cache")


def test_too_long_a_run_is_ended_with_all_that_it_started(trainer, tmp_path):
    source = f"""\
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
        open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
        time.sleep(60)
        """
    started = time.monotonic()

    with pytest.raises(MeasureError, match=r"took more than 1.5 s \(after, seed 0\)"):
        run_trainer(trainer(source, time_limit_s=1.5), job(), cache=tmp_path / "cache")

    assert time.monotonic() - started < 20
    assert_gone(int((tmp_path / "child").read_text()))


def assert_gone(pid):
    """Wait a little for a process to be gone, or to be a zombie that nobody has waited for."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")


def test_an_interrupt_ends_the_run_and_leaves_nothing_half_written(trainer, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    pid = tmp_path / "pid"
    source = f"""\
        import os, sys, time
        open(sys.argv[4], "w").write("half")
        open({str(pid)!r} + ".new", "w").write(str(os.getpid()))
        os.rename({str(pid)!r} + ".new", {str(pid)!r})
        time.sleep(60)
        """

    def interrupt():
        while not pid.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), 2)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_trainer(trainer(source), job(), cache=tmp_path / "cache")

    assert_gone(int(pid.read_text()))
    assert [] == list((tmp_path / "tmp").iterdir())
    assert not (tmp_path / "cache").exists()


def test_answers_that_cannot_be_used_are_told_and_not_kept(trainer, tmp_path):
    source = COPY.replace('first["label"]', '"maybe"')

    with pytest.raises(MeasureError) as caught:
        run_trainer(trainer(source), job(), cache=tmp_path / "cache")

    assert str(caught.value).startswith(
        "--train-with (after, seed 0): {out}: these answers cannot be compared:\n"
        "  2 predictions that are no label (labels are 'x', 'y';"
    )
    assert not (tmp_path / "cache").exists()


def test_no_shell_reads_the_command(trainer, tmp_path):
    """What a shell would run or expand stays what it is."""
    found = trainer(extra=" $(touch hacked) '; touch hacked' '{seed}0'")

    run_trainer(found, job(), cache=tmp_path / "cache")

    assert not Path("hacked").exists()
    assert ["$(touch", "hacked)", "; touch hacked", "{seed}0"] == found.arguments()[-4:]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("python train.py {train} {out}", "has no {test}, {seed}; it must say where"),
        ("", "has no {train}, {test}, {seed}, {out}"),
        ("python 'train.py {train} {test} {seed} {out}", "No closing quotation"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_before_anything_is_done(command, told):
    with pytest.raises(MeasureError) as caught:
        Trainer(command).arguments()

    assert told in str(caught.value)


def test_a_program_that_is_not_there_is_told(tmp_path):
    trainer = Trainer("no-such-program {train} {test} {seed} {out}")

    with pytest.raises(MeasureError, match="'no-such-program' cannot be started: No such file"):
        run_trainer(trainer, job(), cache=tmp_path / "cache")
