"""What a long verb says while it works: one line per stage, and a bar with an ETA on a terminal.

Progress goes to stderr, so that `--json` on stdout stays clean.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

Tick = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Says what happens; silent when `quiet`."""

    quiet: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    every_s: float = 2.0

    def say(self, text: str) -> None:
        """Write one line."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    def ticker(self, label: str) -> Tick:
        """Give a function that shows done, total and the time left, at most every few seconds."""
        started = time.monotonic()
        last = started

        def tick(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if self.quiet or total <= 0 or (now - last < self.every_s):
                return
            last = now
            left = (now - started) / max(done, 1) * (total - done)
            self.say(f"  {label}: {done:,} of {total:,}, about {left:.0f} s left")

        return tick


SILENT = Progress(quiet=True)
