"""What may be declared of test rows before anybody looks at them: a rule, and how much alpha.

The one idea: a declaration is four words in a recipe or beside a benchmark; what it gives each
comparison, and who keeps to it, is `impact.budget`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Rule = Literal["explore", "split", "lord", "saffron", "final"]
CANDIDATE = 0.5  # SAFFRON: a p-value above this one is evidence for "nothing", and pays back
# gamma_j = j^-1.6 / zeta(1.6): steep, as a benchmark is asked tens of times and not thousands.
DECAY, ZETA = 1.6, 2.2857656
RULES: tuple[Rule, ...] = ("explore", "split", "lord", "saffron", "final")


@dataclass(frozen=True, slots=True)
class Declared:
    """What was declared for one set of test rows.

    rule: explore (as often as wanted, nothing is claimed), split (comparisons at alpha / number),
        lord or saffron (online, no fixed number), final (one comparison per release).
    alpha: What all comparisons may spend together: of claims on all test rows, and again as much
        of the families of touched classes.
    comparisons: Their number, for the rule split; else None.
    """

    rule: Rule
    alpha: float = 0.05
    comparisons: int | None = None

    def fault(self) -> str | None:
        """Say what is wrong with it; None where nothing is."""
        if self.rule not in RULES:
            return f"rule {self.rule!r} is not one of {', '.join(RULES)}"
        if not 0 < self.alpha <= 0.2:  # noqa: PLR2004 - one false claim in five is no claim
            return f"alpha {self.alpha:g}: expected a fraction above 0, at most 0.2, such as 0.05"
        if self.rule == "split" and (self.comparisons or 0) < 1:
            return "comparisons: expected how many comparisons share alpha, 1 or more"
        if self.rule != "split" and self.comparisons is not None:
            return f"comparisons go with the rule split, not with {self.rule}"
        return None

    def first_level(self) -> float:
        """Give the level of the first comparison."""
        if self.rule == "split":
            return self.alpha / (self.comparisons or 1)
        return self.alpha if self.rule in {"explore", "final"} else online_level(self, 1, (), ())

    def words(self) -> str:
        """Say it in one line."""
        if self.rule == "explore":
            return "to explore: looked at as often as wanted, nothing is claimed"
        if self.rule == "split":
            number = self.comparisons or 1
            noun = "comparison" if number == 1 else "comparisons"
            each = _percent(self.alpha / number)
            return f"{number:,} {noun} at {each} each ({_percent(self.alpha)} in all)"
        if self.rule == "final":
            return f"locked: opened once per release (tag), at {_percent(self.alpha)}"
        return f"online ({self.rule.upper()}) at a false discovery rate of {_percent(self.alpha)}"


def online_level(
    declared: Declared, number: int, calls: Sequence[int], candidates: Sequence[int]
) -> float:
    """Give the level of a comparison under LORD++ or SAFFRON.

    Args:
        declared: The rule and the false discovery rate it keeps to.
        number: Place of the comparison, from 1.
        calls: Per call so far, how many comparisons were open when it was known.
        candidates: The same per p-value of at most a half; only SAFFRON reads them.

    Source: Ramdas et al. 2017 (LORD++) and 2018 (SAFFRON), with rejections counted where they are
        known (Zrnic, Ramdas and Jordan 2021).
    """
    saffron = declared.rule == "saffron"
    known = candidates if saffron else ()

    def gamma(since: int) -> float:
        place = number - since - sum(since < one < number for one in known)
        return float(max(place, 1) ** -DECAY / ZETA)

    start = declared.alpha / 2
    level = start * gamma(0)
    for at, call in enumerate(sorted(calls)):
        level += (declared.alpha - (0 if at else start)) * gamma(call)
    return min(CANDIDATE, level * (1 - CANDIDATE if saffron else 1))


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
