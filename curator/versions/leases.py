"""Who is writing just now: small files with an expiry, so that no one deletes what another needs.

The one idea: a writer and a collector both first say that they are there and then look who else is.
So of two that start at once at least one sees the other: the writer waits, the collector gives way.
A lease runs out by itself, so a killed process stops nobody for long; and where this machine can
tell that the process of a lease is gone, at once.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from curator.errors import StoreError
from curator.versions.objects import Folder, canonical_json, names, parsed_json

LEASES = "leases"
Work = Literal["write", "gc"]

LIFETIME_S = 300.0
"""How long a lease holds unless it is renewed, seconds."""
SKEW_S = 30.0
"""How far the clocks of two machines may differ, seconds: a lease holds that much longer."""
WAIT_S = 20.0
"""How long a writer waits for a collector before it gives up, seconds."""
_POLL_S = 0.2
_BREAKING = (
    "If you know that this process has ended, `curator gc --break-lease` ends its lease now; "
    "should it be at work after all, it commits nothing and says so"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A lease as it stands in the store.

    writer: its id; work: write or gc; who: host and process; expires: seconds since 1970.
    process: what `process_here` gave in its holder; None where it could tell nothing.
    """

    name: str
    writer: str
    work: str
    who: str
    expires: float
    process: tuple[str, int, str] | None = None

    def is_fresh(self, now: float) -> bool:
        """Tell whether its holder may still be at work."""
        return now < self.expires + SKEW_S and not self.is_gone

    @property
    def is_gone(self) -> bool:
        """Whether this machine knows that its holder has ended; False also where it cannot know."""
        if self.process is None:
            return False
        machine, number, started = self.process
        return machine == _machine() and _started(number) != started

    @property
    def until(self) -> str:
        """When it is over, for people."""
        left = max(0, round(self.expires + SKEW_S - time.time()))
        end = datetime.fromtimestamp(self.expires + SKEW_S, UTC).isoformat(timespec="seconds")
        return f"{end} (in {left // 60} min {left % 60} s)"


def process_here() -> tuple[str, int, str] | None:
    """Give what tells this process from all others: machine, number, start; None if unknown."""
    number = os.getpid()
    machine, started = _machine(), _started(number)
    return (machine, number, started) if machine and started else None


@functools.cache
def _machine() -> str | None:
    """Name this start of this machine, and its space of process numbers; None if unknown.

    A container has the kernel of its host but numbers of its own, so a name alone is not enough.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8")
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:  # no Linux: leases there run out by themselves
        return None
    return hashlib.sha256(f"{platform.node()} {boot} {space}".encode()).hexdigest()[:16]


def _started(number: int) -> str | None:
    """Give when a process of this machine started, in ticks; None where there is none."""
    try:
        told = Path(f"/proc/{number}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    state, *rest = told.rpartition(") ")[2].split()
    return None if state in ("Z", "X") else rest[18]


def every(folder: Folder) -> list[Told]:
    """List the leases that stand in a store, run out or not.

    Raises:
        StoreError: One cannot be read as a lease.
    """
    found = []
    for name in names(folder, LEASES):
        data = folder.get(name)
        if data is None:  # renewed or given back meanwhile
            continue
        facts = parsed_json(data, name)
        try:
            writer, process = name.split("/")[1], facts.get("process")
            found.append(Told(name, writer, facts["work"], facts["who"], float(facts["expires"]),
                              tuple(process) if process else None))  # fmt: skip
        except (KeyError, TypeError, ValueError, IndexError) as fault:
            raise StoreError(f"{name}: not a lease; delete it if nobody is writing") from fault
    return found


class Lease:
    """The time in which this process may rely on what lies in the store; a context manager."""

    def __init__(self, folder: Folder, work: Work, *, lifetime_s: float = LIFETIME_S) -> None:
        self._folder, self._work, self._lifetime_s = folder, work, lifetime_s
        self.writer = f"{work}-{secrets.token_hex(8)}"
        self._number = 0
        self._expires = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._keep_renewing, daemon=True)

    def __enter__(self) -> Self:
        self.renew()
        try:
            if self._work == "write":
                self._wait_for_collectors()
            else:
                self._give_way()
        except BaseException:
            self._folder.delete(self._name())
            raise
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        self._over.set()
        self._renewing.join()
        try:
            self._folder.delete(self._name())
        except StoreError:  # it runs out by itself; the fault that led here matters more
            if fault is None:
                raise

    def renew(self) -> None:
        """Say anew that this process is at work: a later lease is written, then the former goes."""
        with self._lock:
            former = self._name() if self._number else None
            if former is not None and self._folder.get(former, 0, 1) is None:
                return  # broken by a person: `check` will say so
            expires = time.time() + self._lifetime_s
            facts = {
                "work": self._work,
                "who": f"process {os.getpid()} on {platform.node()}",
                "expires": expires,
                "process": process_here(),
            }
            self._number += 1
            self._folder.put_new(self._name(), canonical_json(facts))
            self._expires = expires
            if former is not None:
                self._folder.delete(former)

    def check(self) -> None:
        """Check that the lease still holds, before what was written is made public.

        Raises:
            StoreError: It ran out, as this process stood still or could not renew it; or a person
                broke it.
        """
        with self._lock:
            is_there = self._folder.get(self._name(), 0, 1) is not None
        if not is_there:
            raise StoreError(
                "the lease of this process was ended by `gc --break-lease`, so unfinished objects "
                "may have been cleared away; nothing was committed: run again"
            )
        if time.time() >= self._expires:
            raise StoreError(
                "this process stood still for longer than its lease on the store, so unfinished "
                "objects may have been cleared away; nothing was committed: run again"
            )

    def _name(self) -> str:
        return f"{LEASES}/{self.writer}/{self._number:06d}"

    def _keep_renewing(self) -> None:
        while not self._over.wait(self._lifetime_s / 3):
            try:
                self.renew()
            except StoreError:  # `check` refuses once the last one has run out
                continue

    def _others(self, *works: Work) -> list[Told]:
        now = time.time()
        return [
            told
            for told in every(self._folder)
            if told.writer != self.writer and told.work in works and told.is_fresh(now)
        ]

    def _wait_for_collectors(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while others := self._others("gc"):
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{self._folder.address}: a `gc` is at work ({others[0].who}), or was killed; "
                    f"nothing was written. Run again when it is done, at the latest after "
                    f"{others[0].until}. {_BREAKING}"
                )
            time.sleep(_POLL_S)

    def _give_way(self) -> None:
        if others := self._others("write", "gc"):
            raise StoreError(
                f"{self._folder.address}: {len(others)} other(s) are at work ("
                + ", ".join(sorted({told.who for told in others}))
                + "), or were killed; nothing was deleted. Run `gc` again when they are done, at "
                f"the latest after {max(others, key=lambda told: told.expires).until}. {_BREAKING}"
            )


def clear_old(folder: Folder) -> int:
    """Delete leases that have run out or whose process is gone; gives their number."""
    now = time.time()
    old = [told for told in every(folder) if not told.is_fresh(now)]
    for told in old:
        folder.delete(told.name)
    return len(old)


def break_all(folder: Folder) -> list[Told]:
    """End every lease, whoever holds it; gives those that were ended.

    A process that is at work all the same finds its lease gone before it commits, and stops.
    """
    found = every(folder)
    for told in found:
        folder.delete(told.name)
    return found
