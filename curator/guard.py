"""The guard of near texts: what differs in an amount, a dose, a date, a negation or a name is two.

The one idea: what is protected in a text is made once, when first asked for, and most pairs are
told apart by their plain values alone; only names and negations may be said in other words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from curator.shingles import unescape
from curator.spans import Difference, Facts, difference, facts_of, names_in

DIFFERENT = "near_but_different"
"""Issue type of a row that only the guard kept."""

BUT = ", but another fact: "
"""Stands in its evidence before the kind of the difference."""

Plain = tuple[tuple[str, str], ...]

_BY_WORDING = ("negation", "name")


@dataclass(frozen=True, slots=True)
class Guard:
    """Tells whether the near texts of two rows, by position, say the same.

    names: Words of the corpus that are names wherever they stand; None: nothing is guarded.
    """

    texts: Sequence[str]
    names: frozenset[str] | None
    _facts: dict[int, tuple[Facts, Plain]] = field(default_factory=dict)

    @classmethod
    def over(cls, texts: Sequence[str], *, guard: bool) -> Guard:
        """Learn the names of a corpus."""
        return cls(texts, names_in(texts) if guard else None)

    def differ(self, one: int, other: int) -> Difference | None:
        """Tell the first protected thing in which the texts of two rows differ."""
        return difference(self._of(one)[0], self._of(other)[0])

    def parted(self, one: int, other: int) -> bool:
        """Tell whether the texts of two rows are to be kept apart."""
        if self.names is None:
            return False
        left, right = self._of(one), self._of(other)
        return left[1] != right[1] or difference(left[0], right[0]) is not None

    def _of(self, at: int) -> tuple[Facts, Plain]:
        if at not in self._facts:
            facts = facts_of(unescape(self.texts[at]), names=self.names or frozenset())
            plain = sorted((s.kind, s.value) for s in facts.spans if s.kind not in _BY_WORDING)
            self._facts[at] = facts, tuple(plain)
        return self._facts[at]
