"""Does P(wrong) mean what it says? A sample to judge, and what the verdicts show, with intervals.

The one idea: rows are drawn by lot within bins of P(wrong), low bins too, so each bin's share has
an exact interval of its own. Rows that a relabel would change are a bin by themselves, as a bulk
change needs proof about these rows and no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curator.schema import hash_fields

FloatArray = npt.NDArray[np.float64]
Verdict = Literal["given", "suggested", "other", "unclear"]
VERDICTS: tuple[Verdict, ...] = ("given", "suggested", "other", "unclear")
"""The given label is right; the suggested one is; neither is; or nobody can tell."""

EDGES = (0.0, 0.02, 0.1, 0.3, 0.5, 0.8, 1.0)
"""Bins of P(wrong): narrow where most rows are and where a small error means many rows."""

LEVEL = 0.95
FOLDS = 5
PRIOR_SD = 1.0
"""How far slope and intercept of a recalibration stray from 1 and 0 before verdicts: a few
verdicts move them little, a hundred move them freely."""

LEAST = 20
"""Fewer verdicts are too few to fit a recalibration, and to try it on held-out ones."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row to be judged.

    bin: Number of its bin; is_fix: it is of those that a relabel would change.
    """

    row_id: str
    given: str
    suggested: str
    p_wrong: float
    p_fix: float
    bin: int
    is_fix: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows drawn by lot in each bin, in the order in which they are to be judged.

    rows: What was drawn; sizes: rows that each bin holds in all, by name; promised: mean P(wrong)
        of each bin, by name; promised_fix: mean P(fix) of the rows that a relabel would change.
    """

    rows: tuple[Drawn, ...]
    sizes: Mapping[str, int]
    promised: Mapping[str, float]
    promised_fix: float | None
    min_p_fix: float

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sample:
        """Read what `as_dict` gave."""
        return cls(**{**values, "rows": tuple(Drawn(**row) for row in values["rows"])})


def draw_sample(
    findings: Sequence[Mapping[str, Any]],
    given: Mapping[str, str],
    *,
    rows: int,
    fixes: int,
    min_p_fix: float,
    seed: int = 0,
) -> Sample:
    """Draw rows to be judged: `rows` over the bins of P(wrong), `fixes` of those to be relabelled.

    Args:
        findings: Label findings: row_id, suggestion, p_wrong, p_fix, flagged.
        given: Label of each row.
        rows: How many over the bins, equally many of each as far as they reach.
        fixes: How many of the rows that a relabel from `min_p_fix` would change.
        min_p_fix: From this P(fix) a relabel would change a row, 0.5..1.
        seed: Another seed draws another lot.

    Returns:
        The sample. A larger one holds a smaller one of the same seed.
    """
    known = [f for f in findings if f["p_wrong"] is not None and f["suggestion"] is not None]
    bins: dict[int, list[Mapping[str, Any]]] = {}
    for finding in known:
        bins.setdefault(_bin_of(finding, min_p_fix), []).append(finding)
    for found in bins.values():
        found.sort(key=lambda f: hash_fields("calibrate", seed, f["row_id"]))
    zone = len(EDGES) - 1
    takes = _even({b: len(found) for b, found in bins.items() if b != zone}, rows)
    takes[zone] = min(fixes, len(bins.get(zone, ())))
    chosen = [
        Drawn(
            row_id=f["row_id"], given=given[f["row_id"]], suggested=f["suggestion"],
            p_wrong=f["p_wrong"], p_fix=f["p_fix"], bin=b, is_fix=b == zone,
        )
        for b, found in bins.items() for f in found[: takes[b]]
    ]  # fmt: skip
    # Judged in one order by lot over all bins: whoever stops early has judged a random part.
    chosen.sort(key=lambda one: hash_fields("judge", seed, one.row_id))
    named = {name_of(b, min_p_fix): found for b, found in sorted(bins.items())}
    fix = bins.get(zone)
    return Sample(
        tuple(chosen),
        {name: len(found) for name, found in named.items()},
        {n: float(np.mean([f["p_wrong"] for f in found])) for n, found in named.items()},
        float(np.mean([f["p_fix"] for f in fix])) if fix else None,
        min_p_fix,
    )


def _bin_of(finding: Mapping[str, Any], min_p_fix: float) -> int:
    if finding["flagged"] and (finding["p_fix"] or 0.0) >= min_p_fix:
        return len(EDGES) - 1
    return min(int(np.searchsorted(EDGES, finding["p_wrong"], "right")) - 1, len(EDGES) - 2)


def name_of(bin_number: int, min_p_fix: float) -> str:
    """Name a bin as a table shows it."""
    if bin_number == len(EDGES) - 1:
        return f"P(fix) >= {min_p_fix:g}"
    return f"P(wrong) {EDGES[bin_number]:g} to {EDGES[bin_number + 1]:g}"


def _even(sizes: Mapping[int, int], total: int) -> dict[int, int]:
    """Share a total out evenly; what a small bin cannot take goes to the others."""
    takes = dict.fromkeys(sizes, 0)
    left = min(total, sum(sizes.values()))
    while left:
        open_bins = sorted(b for b in sizes if takes[b] < sizes[b])
        share = max(1, left // len(open_bins))
        for b in open_bins:
            more = min(share, sizes[b] - takes[b], left)
            takes[b] += more
            left -= more
    return takes


def exact_interval(count: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """Give the exact interval of a share, 0..1.

    Source: Clopper and Pearson 1934.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, of - count + 1)) if count else 0.0
    high = float(beta.isf(tail, count + 1, of - count)) if count < of else 1.0
    return low, high


@dataclass(frozen=True, slots=True)
class Bin:
    """What the verdicts say of one bin.

    rows: Rows it holds; judged: of them, unclear ones left out; wrong: given labels found wrong.
    promised: mean P(wrong); share, low, high: share found wrong with its exact 95 % interval, None
        where nothing was judged. kept: promised lies within it.
    """

    name: str
    rows: int
    judged: int
    unclear: int
    wrong: int
    promised: float
    share: float | None
    low: float | None
    high: float | None

    @property
    def kept(self) -> bool | None:
        """Say whether the promise lies within the interval; None where nothing was judged."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.promised <= self.high


@dataclass(frozen=True, slots=True)
class Recalibration:
    """P(wrong) anew: logistic(slope x logit(P(wrong)) + intercept).

    before, after: mean log loss of the judged rows, each by a fit on the other folds (nats).
    gain, gain_low: before - after, and the lower end of its one-sided 95 % interval.
    helps: gain_low is above 0: only then is it worth applying.
    """

    slope: float
    intercept: float
    before: float
    after: float
    gain: float
    gain_low: float

    @property
    def helps(self) -> bool:
        """Say whether held-out verdicts show that it is better than what is there."""
        return self.gain_low > 0


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the verdicts show.

    bins: One each; error: mean distance of promised and found shares, weighted by rows, over the
        bins judged. wrong_rows, promised_rows: wrong labels in all, found (scaled up from the
        sample) and promised; None where a bin has no verdict.
    fix_reviewed, fix_right: Rows to be relabelled that were judged, and those for which the
        suggestion is right; one that nobody can tell is not right.
    fix_low: One-sided 95 % lower bound of the share right; fix_promised: mean P(fix).
    min_p_fix: The rule.
    """

    bins: tuple[Bin, ...]
    error: float | None
    wrong_rows: float | None
    promised_rows: float
    fix_reviewed: int
    fix_right: int
    fix_low: float
    fix_promised: float | None
    min_p_fix: float
    recalibration: Recalibration | None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        made = asdict(self)
        for told, one in zip(made["bins"], self.bins, strict=True):
            told["kept"] = one.kept
        if self.recalibration is not None:
            made["recalibration"]["helps"] = self.recalibration.helps
        return made | {"relabel_allowed": self.relabel_allowed, "evidence": self.evidence()}

    @property
    def relabel_allowed(self) -> bool:
        """Say whether a bulk relabel is proven: the lower bound reaches the rule."""
        return self.fix_reviewed > 0 and self.fix_low >= self.min_p_fix

    def evidence(self) -> dict[str, Any]:
        """Give what the option `calibrated` of label_errors takes."""
        made: dict[str, Any] = {
            "reviewed": self.fix_reviewed, "right": self.fix_right, "from_p_fix": self.min_p_fix,
        }  # fmt: skip
        if self.recalibration is not None and self.recalibration.helps:
            made["logit"] = [round(self.recalibration.slope, 4),
                             round(self.recalibration.intercept, 4)]  # fmt: skip
        return made


def reliability(sample: Sample, verdicts: Mapping[str, Verdict]) -> Reliability:
    """Compare what P(wrong) promises with what people found.

    Args:
        sample: What was drawn.
        verdicts: By row id; rows that nobody judged yet are absent.
    """
    judged = [(one, verdicts[one.row_id]) for one in sample.rows if one.row_id in verdicts]
    names = [name_of(b, sample.min_p_fix) for b in range(len(EDGES))]
    bins = tuple(_bin(sample, name, judged) for name in names if name in sample.sizes)
    fixes = [verdict for one, verdict in judged if one.is_fix]
    right = sum(verdict == "suggested" for verdict in fixes)
    clear = [(one.p_wrong, verdict != "given") for one, verdict in judged if verdict != "unclear"]
    total = sum(sample.sizes.values())
    told = [b for b in bins if b.share is not None]
    seen = sum(b.rows for b in told)
    apart = sum(b.rows * abs((b.share or 0.0) - b.promised) for b in told)
    whole = len(told) == len(bins)
    return Reliability(
        bins=bins,
        error=apart / seen if seen else None,
        wrong_rows=sum(b.rows * (b.share or 0.0) for b in bins) if whole and total else None,
        promised_rows=sum(b.rows * b.promised for b in bins),
        fix_reviewed=len(fixes),
        fix_right=right,
        fix_low=exact_interval(right, len(fixes), 2 * LEVEL - 1)[0] if fixes else 0.0,
        fix_promised=sample.promised_fix,
        min_p_fix=sample.min_p_fix,
        recalibration=recalibrate(*map(np.array, zip(*clear, strict=True))) if clear else None,
    )


def _bin(sample: Sample, name: str, judged: Sequence[tuple[Drawn, Verdict]]) -> Bin:
    own = [v for one, v in judged if name_of(one.bin, sample.min_p_fix) == name]
    unclear = own.count("unclear")
    wrong, n = sum(v in ("suggested", "other") for v in own), len(own) - unclear
    low, high = exact_interval(wrong, n) if n else (None, None)
    return Bin(
        name, sample.sizes[name], n, unclear, wrong, sample.promised[name],
        wrong / n if n else None, low, high,
    )  # fmt: skip


def recalibrate(p_wrong: FloatArray, wrong: npt.NDArray[np.bool_]) -> Recalibration | None:
    """Fit slope and intercept on the logit of P(wrong), and try them on held-out verdicts.

    Two numbers, not a free monotone curve: with a hundred verdicts a curve of steps follows the
    noise of its bins, and ends at 0 and 1, which no hundred verdicts can prove. The draw depends
    on P(wrong) alone, so the fit needs no weights.

    Args:
        p_wrong: Of the judged rows, shape (n,), in the order of a lot.
        wrong: Whether their label is wrong, shape (n,).

    Returns:
        None under LEAST verdicts, or where all are alike.

    Source: Platt 1999, Probabilistic outputs for support vector machines.
    """
    if len(wrong) < LEAST or wrong.all() or not wrong.any():
        return None
    x, y = _logit(p_wrong), wrong.astype(np.float64)
    fold = np.arange(len(x)) % FOLDS
    after = np.empty(len(x))
    for k in range(FOLDS):
        slope, intercept = _fit(x[fold != k], y[fold != k])
        after[fold == k] = _loss(slope * x[fold == k] + intercept, y[fold == k])
    before = _loss(x, y)
    gains = before - after
    spread = float(gains.std(ddof=1)) / len(gains) ** 0.5
    slope, intercept = _fit(x, y)
    gain = float(gains.mean())
    return Recalibration(
        slope, intercept, float(before.mean()), float(after.mean()), gain, gain - 1.645 * spread
    )


def recalibrated(p_wrong: FloatArray, slope: float, intercept: float) -> FloatArray:
    """Give P(wrong) after a recalibration."""
    return np.asarray(1 / (1 + np.exp(-(slope * _logit(p_wrong) + intercept))))


def _logit(p: FloatArray) -> FloatArray:
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))


def _loss(z: FloatArray, y: FloatArray) -> FloatArray:
    return np.asarray(np.logaddexp(0.0, z) - y * z)


def _fit(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    from scipy.optimize import minimize

    def cost(at: FloatArray) -> float:
        stray = ((at[0] - 1) ** 2 + at[1] ** 2) / (2 * PRIOR_SD**2)
        return float(_loss(at[0] * x + at[1], y).sum() + stray)

    found = minimize(cost, np.array([1.0, 0.0]), method="BFGS")
    # A falling line would call the surest labels the likeliest wrong: then the level alone moves.
    return float(max(found.x[0], 0.0)), float(found.x[1])
