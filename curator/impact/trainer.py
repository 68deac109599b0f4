"""Run an outside trainer: files in, a process, a file of answers out, and nothing done twice.

The one idea: a run is a function of the training rows, the test texts, the seed and the command, so
its answers are kept under a hash of these; a killed measurement goes on with the first run that is
not kept yet, and a finished one is never made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

import connectors
from curator import schema
from curator.errors import MeasureError
from curator.impact.answers import read_answers
from curator.impact.outside import Asked, Scores
from curator.progress import SILENT, Progress

PLACES = ("train", "test", "seed", "out")
FORMATS = ("jsonl", "csv", "parquet")
LAST_LINES = 15
PATIENCE_S = 5.0  # between asking a process to end and ending it
# A file named in the command is hashed up to this size; a larger one goes by size and time.
HASHED_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Trainer:
    """A command that trains on {train}, answers {test} under {seed} and writes {out}.

    command: As written by the user; it is split like a shell does, and no shell runs it.
    files: Format of the three files: jsonl, csv or parquet.
    time_limit_s: Wall seconds one run may take; None sets no limit.
    """

    command: str
    files: str = "jsonl"
    time_limit_s: float | None = None

    def arguments(self) -> list[str]:
        """Split the command, its places still open.

        Raises:
            MeasureError: It cannot be split, or a place is missing.
        """
        try:
            found = shlex.split(self.command)
        except ValueError as fault:
            raise MeasureError(f"--train-with {self.command!r}: {fault}") from fault
        missing = [f"{{{name}}}" for name in PLACES if f"{{{name}}}" not in self.command]
        if not found or missing:
            raise MeasureError(
                f"--train-with {self.command!r} has no {', '.join(missing)}; it must say where "
                "the training rows {train}, the test rows {test}, the {seed} and the answers "
                "{out} go, as in 'python train.py {train} {test} {seed} {out}'"
            )
        if self.files not in FORMATS:
            raise MeasureError(f"--files {self.files!r} is not one of {list(FORMATS)}")
        return found

    def spec(self) -> str:
        """Hash the command, and the files it names as they now are."""
        named = [_file_mark(part) for part in self.arguments()]
        return schema.hash_fields("train-with 1", self.command, self.files, named)


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a trainer.

    name: What to call it in progress and faults, as "after, seed 3".
    train: Columns id, text, label, weight, and the user's own.
    test: Columns id and text.
    asked: What its answers are held to.
    """

    name: str
    train: pa.Table
    test: pa.Table
    seed: int
    asked: Asked


@dataclass(frozen=True, slots=True)
class Run:
    """What one run gave, made now or found in the cache."""

    scores: Scores
    cached: bool


def run_trainer(
    trainer: Trainer, job: Job, *, cache: Path, progress: Progress = SILENT
) -> Run:  # fmt: skip
    """Give the answers of one run, from the cache where it was made before.

    Args:
        trainer: The command.
        job: Rows and seed.
        cache: Folder that may be deleted at any time.
        progress: Told each line the command prints, on either stream.

    Raises:
        MeasureError: The command cannot be started, failed, took too long, or its answers cannot
            be used. Nothing is kept then.
    """
    key = schema.hash_fields(
        trainer.spec(),
        job.seed,
        *_content(job.train),
        *_content(job.test),
        sorted(job.asked.labels),
    )
    path = cache / "outside" / f"{key}.json"
    if path.exists():
        kept = json.loads(path.read_text("utf-8"))
        return Run(Scores(kept["kind"], {job.seed: kept["answers"]}, kept["cpu_s"]), cached=True)
    made = _train(trainer, job, progress)
    _keep(path, {"kind": made.kind, "answers": made.by_seed[job.seed], "cpu_s": made.cpu_s})
    return Run(made, cached=False)


def _content(table: pa.Table) -> Iterator[Any]:
    for name in table.column_names:
        yield from (name, table[name].to_pylist())


def _file_mark(argument: str) -> str:
    """Hash the file that an argument, or what follows its `=`, names; empty for none."""
    path = Path(argument.rpartition("=")[2])
    try:
        if not path.is_file():
            return ""
        about = path.stat()
        if about.st_size > HASHED_BYTES:
            return f"{about.st_size} {about.st_mtime_ns}"
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except (OSError, ValueError):  # no path at all, or one that may not be read: so no file of ours
        return ""


def _keep(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _train(trainer: Trainer, job: Job, progress: Progress) -> Scores:
    with tempfile.TemporaryDirectory(prefix="curator-train-") as folder:
        places = {
            name: Path(folder) / f"{name}.{trainer.files}" for name in ("train", "test", "out")
        }
        kind: Any = trainer.files
        connectors.write(job.train, places["train"], to=kind)
        connectors.write(job.test, places["test"], to=kind)
        filled = {name: str(path) for name, path in places.items()} | {"seed": str(job.seed)}
        arguments = [_fill(part, filled) for part in trainer.arguments()]
        cpu_s = _run(arguments, job.name, trainer.time_limit_s, progress)
        if not places["out"].exists():
            raise MeasureError(
                f"--train-with: the command ended well ({job.name}) but wrote no {{out}}; it must "
                f"write a {trainer.files} file with id and prediction, or id and score, there"
            )
        try:
            found = read_answers(places["out"], job.asked, seed=job.seed)
        except (MeasureError, connectors.SourceError) as fault:
            told = str(fault).replace(str(places["out"]), "{out}")
            raise MeasureError(f"--train-with ({job.name}): {told}") from fault
        return Scores(found.kind, found.by_seed, cpu_s)


def _fill(argument: str, places: dict[str, str]) -> str:
    return re.sub(r"\{(train|test|seed|out)\}", lambda match: places[match[1]], argument)


def _run(arguments: list[str], name: str, limit_s: float | None, progress: Progress) -> float:
    """Run a command to its end; give its CPU seconds, those of its children included."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    before = _children_cpu_s()
    with _started(arguments) as process:
        reader = threading.Thread(target=_listen, args=(process, name, last, progress), daemon=True)
        reader.start()
        try:
            # With a timeout it is a poll: a blocking wait may sleep through an interrupt that the
            # system gave to the reading thread.
            code = process.wait(timeout=threading.TIMEOUT_MAX if limit_s is None else limit_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise MeasureError(
                f"--train-with: the command took more than {limit_s:g} s ({name}) and was ended; "
                f"raise --time-limit{_said(last)}"
            ) from None
        finally:
            _end(process)  # nothing of ours may outlive an interrupt
            reader.join(PATIENCE_S)
    if code:
        raise MeasureError(f"--train-with: the command {_ended(code)} ({name}){_said(last)}")
    return _children_cpu_s() - before


@contextlib.contextmanager
def _started(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        # A session of its own: an interrupt reaches us alone, and we end all that it started.
        process = subprocess.Popen(  # noqa: S603 - the user's own command, given to no shell
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", start_new_session=True,
        )  # fmt: skip
    except OSError as fault:
        raise MeasureError(
            f"--train-with: {arguments[0]!r} cannot be started: {fault.strerror}; name a program "
            "that is installed, or its path"
        ) from fault
    with process:
        yield process


def _listen(
    process: subprocess.Popen[str], name: str, last: deque[str], progress: Progress
) -> None:  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if told := line.rstrip():
            last.append(told)
            progress.say(f"  [{name}] {told}")


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started, also what it left behind."""
    if process.poll() is None:
        _send(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=PATIENCE_S)
    _send(process, signal.SIGKILL)
    process.wait()


def _send(process: subprocess.Popen[str], what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # nothing is left of it
        os.killpg(process.pid, what)


def _children_cpu_s() -> float:
    spent = os.times()
    return spent.children_user + spent.children_system


def _ended(code: int) -> str:
    if code > 0:
        return f"failed with exit code {code}"
    names = {one.value: one.name for one in signal.Signals}
    out_of_memory = " (the system may be out of memory)" if -code == signal.SIGKILL else ""
    return f"was killed by {names.get(-code, -code)}{out_of_memory}"


def _said(last: deque[str]) -> str:
    if not last:
        return "; it printed nothing"
    return "; it last said:" + "".join(f"\n  {line}" for line in last)
