"""What to do with labels that are thought wrong: drop, weigh, relabel, or leave them.

The one idea: each action is held to what P(wrong) and P(fix) promise, and the promise is said as a
number of expected mistakes before anything is applied. A label is changed in bulk only where people
have checked the promise: a model's own probability has no witness but itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curator.checks.label_errors import FLAGGED_FROM, ISSUE_TYPE, floor_flags, noise_notes
from curator.checks.label_sets import floor_set_flags, set_notes
from curator.decide import Rule
from curator.errors import StepError
from curator.reliability import recalibrated
from curator.tasks import task_of

SuspectAction = Literal["drop", "keep", "weight", "relabel", "annotate"]
CONFIDENCE = 0.95

PROMISES = {
    "drop": (
        "drops {rows:,} rows; by their P(wrong) about {mistakes:.0f} of them have a right label"
    ),
    "relabel": (
        "relabels {rows:,} rows; by their P(fix) about {mistakes:.0f} of them get a wrong label"
    ),
    "weight": (
        "weighs {rows:,} rows down, together by {lost:.0f} rows; by P(wrong) about {mistakes:.0f} "
        "rows' worth of that is taken from right labels"
    ),
}
"""What is said before an action is taken, and how many mistakes are to be expected of it."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What people found who judged a sample of the suggested labels without seeing them.

    reviewed: Rows that were judged, of those with P(fix) at or above min_p_fix.
    right: How many of them got the label that was suggested.
    from_p_fix: P(fix) from which they were drawn; none: not said, so taken to be min_p_fix.
    logit: Slope and intercept of a recalibration of P(wrong) on its logit; none: as it is.
    """

    reviewed: int
    right: int
    from_p_fix: float | None = None
    logit: tuple[float, ...] = ()

    def lowest_share(self) -> float:
        """Give the one-sided 95 % lower bound of the share that is right, 0..1.

        Source: Clopper and Pearson 1934.
        """
        from scipy.stats import beta

        if self.right <= 0:
            return 0.0
        return float(beta.ppf(1 - CONFIDENCE, self.right, self.reviewed - self.right + 1))


def drop_suspects(
    rows: pa.Table,
    findings: pa.Table,
    *,
    action: SuspectAction = "drop",
    min_class_rows: int = 20,
    min_p_wrong: float = FLAGGED_FROM,
    min_weight: float = 0.05,
    min_p_fix: float = 0.98,
    calibrated: Calibrated | None = None,
) -> Rule:
    """Drop, weigh or relabel rows whose label is thought wrong, within a floor per class.

    Args:
        rows: Row table.
        findings: Label findings.
        action: drop; weight (times 1 - P(wrong)); relabel (asks for `calibrated`); or keep
            or annotate (both change nothing; `curator annotate push` asks people).
        min_class_rows: No class is brought under this many training rows by drop or relabel, the
            highest score going first; a class that is already under it loses none.
        min_p_wrong: Drop from this P(wrong), 0.5..1.
        min_weight: Least factor of a weight, 0..1.
        min_p_fix: Relabel from this probability that the suggested label is right, 0.5..1.
        calibrated: How a blind review came out, as `curator calibrate` prints it: {reviewed: 150,
            right: 150, from_p_fix: 0.98}; the lower bound of the share right must reach
            min_p_fix. With `logit: [slope, intercept]` weights go by P(wrong) recalibrated, and a
            drop spares the rows that it brings under min_p_wrong.
    """
    given = {"min_p_wrong": min_p_wrong, "min_weight": min_weight, "min_p_fix": min_p_fix}
    for _, message in suspect_faults(given):
        raise StepError(f"label_errors: {message}")
    if action in ("keep", "annotate"):
        return Rule({})
    labels = findings.filter(pc.equal(findings["issue_type"], ISSUE_TYPE))
    if calibrated is not None and calibrated.logit and action != "relabel":
        # Not P(fix): the proof of a relabel is a count of the very rows it was drawn by.
        labels = _recalibrated(labels, calibrated.logit)
    if action == "weight":
        return Rule({ISSUE_TYPE: "weight"}, weights=_weights(labels, min_weight))
    doubted = {f["row_id"]: f for f in labels.to_pylist() if f["flagged"]}
    by, least = ("p_fix", min_p_fix) if action == "relabel" else ("p_wrong", min_p_wrong)
    spared = _under(doubted, by, least) | _floored(rows, doubted, by, least, min_class_rows)
    if action == "relabel":
        _refuse(doubted, spared, min_p_fix, calibrated)
        return Rule({ISSUE_TYPE: "relabel"}, protected=spared)
    return Rule({ISSUE_TYPE: "drop"}, protected=spared)


def keep_suspects(
    rows: pa.Table,
    findings: pa.Table,
    *,
    action: SuspectAction = "keep",
    min_class_rows: int = 20,
    min_p_wrong: float = FLAGGED_FROM,
    min_weight: float = 0.05,
    min_p_fix: float = 0.98,
    calibrated: Calibrated | None = None,
) -> Rule:
    """Do as `drop_suspects` does, but only when asked: by default nothing changes.

    With many labels a row P(wrong) ranks rows well and is not calibrated (docs/log.md), so a drop
    should follow a look at the rows.

    Args:
        rows: Row table.
        findings: Label findings.
        action: keep or annotate (both change nothing; `curator annotate push` asks people); drop;
            weight (times 1 - P(wrong)); relabel (asks for `calibrated`).
        min_class_rows: No label is brought under this many training rows by drop or relabel.
        min_p_wrong: Drop from this P(wrong), 0.5..1.
        min_weight: Least factor of a weight, 0..1.
        min_p_fix: Relabel from this probability that the suggested labels are right, 0.5..1.
        calibrated: How a blind review came out, as `curator calibrate` prints it.
    """
    return drop_suspects(
        rows,
        findings,
        action=action,
        min_class_rows=min_class_rows,
        min_p_wrong=min_p_wrong,
        min_weight=min_weight,
        min_p_fix=min_p_fix,
        calibrated=calibrated,
    )


def _recalibrated(labels: pa.Table, logit: tuple[float, ...]) -> pa.Table:
    """Give the findings with P(wrong) as people's verdicts have it.

    Raises:
        StepError: There are not two numbers.
    """
    if len(logit) != len(("slope", "intercept")):
        raise StepError(
            f"label_errors: calibrated: logit is {list(logit)}; expected [slope, intercept]"
        )
    known = pc.is_valid(labels["p_wrong"]).to_numpy()
    p_wrong = pc.fill_null(labels["p_wrong"], 0.5).to_numpy()
    made = pa.array(recalibrated(p_wrong, *logit), pa.float64(), mask=~known)
    return labels.set_column(labels.column_names.index("p_wrong"), "p_wrong", made)


def suspect_notes(rows: pa.Table, findings: pa.Table, decisions: pa.Table) -> tuple[str, ...]:
    """Say what the labels are thought to be, what is to be done, and the mistakes to expect.

    Args:
        rows: Row table before the decisions.
        findings: All label findings.
        decisions: What is about to be done.
    """
    found = {f["row_id"]: f for f in findings.to_pylist() if f["p_wrong"] is not None}
    told = []
    for action, sentence in PROMISES.items():
        ids = decisions.filter(pc.equal(decisions["action"], action))["row_id"].to_pylist()
        acted = [found[i] for i in ids if i in found]
        if acted:
            told.append("label errors: " + sentence.format(rows=len(ids), **_costs(acted, action)))
    notes = noise_notes if task_of(rows).is_single_label else set_notes
    return (*notes(rows, findings), *told)


def _costs(acted: Iterable[Mapping[str, Any]], action: str) -> dict[str, float]:
    wrong = np.array([f["p_wrong"] for f in acted])
    fix = np.array([f["p_fix"] for f in acted])
    mistakes = {"drop": 1 - wrong, "relabel": 1 - fix, "weight": wrong * (1 - wrong)}[action]
    return {"mistakes": float(mistakes.sum()), "lost": float(wrong.sum())}


def suspect_faults(options: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    """Name the options that are out of their range: (option, message)."""
    least = {"min_p_wrong": FLAGGED_FROM, "min_weight": 0.0, "min_p_fix": FLAGGED_FROM}
    return [
        (name, f"{name} is {options[name]}; expected {low:g} to 1")
        for name, low in least.items()
        if name in options and not low <= options[name] <= 1
    ]


def _weights(labels: pa.Table, min_weight: float) -> dict[str, float]:
    """Give the factor of each doubted row; in steps of .01, so that rows hardly in doubt stay."""
    some = labels.filter(pc.is_valid(labels["p_wrong"]))
    factors = np.maximum(np.round(1 - some["p_wrong"].to_numpy(), 2), min_weight)
    ids = some["row_id"].to_pylist()
    return {i: float(w) for i, w in zip(ids, factors, strict=True) if w < 1}


def _under(doubted: Mapping[str, Mapping[str, Any]], by: str, least: float) -> dict[str, str]:
    named = {"p_fix": "P(fix)", "p_wrong": "P(wrong)"}[by]
    return {
        i: f"its {named} is under {least:g}" for i, f in doubted.items() if (f[by] or 0.0) < least
    }


def _floored(
    rows: pa.Table, doubted: Mapping[str, Mapping[str, Any]], by: str, least: float, floor: int
) -> dict[str, str]:
    """Name the rows that their class cannot spare."""
    train = rows.filter(pc.equal(rows["split"], "train"))
    ids = train["id"].to_pylist()
    leaving = np.array([i in doubted and (doubted[i][by] or 0.0) >= least for i in ids], dtype=bool)
    scores = np.array([doubted[i]["score"] if i in doubted else 0.0 for i in ids], dtype=float)
    if task_of(rows).is_single_label:
        may_go = floor_flags(train["label"].to_pylist(), leaving, scores, min_class_rows=floor)
    else:
        sets = task_of(rows).label_sets(train)
        may_go = floor_set_flags(sets, leaving, scores, min_class_rows=floor)
    kept = np.flatnonzero(leaving & ~may_go)
    return {ids[i]: f"its class would fall under {floor} rows" for i in kept}


def _refuse(
    doubted: Mapping[str, Mapping[str, Any]],
    spared: Mapping[str, str],
    min_p_fix: float,
    calibrated: Calibrated | None,
) -> None:
    """Refuse to relabel in bulk what nobody has checked.

    Raises:
        StepError: There is no review, or one that does not bear the promise out.
    """
    doomed = [f["p_fix"] for i, f in doubted.items() if i not in spared]
    if not doomed:
        return
    promise = (
        f"label_errors: relabel would change {len(doomed):,} labels; by the models' own P(fix) "
        f"about {sum(1 - p for p in doomed):.1f} of them would become wrong"
    )
    if calibrated is None:
        raise StepError(
            f"{promise}, but nobody has checked that P(fix). Let people judge a random sample of "
            "these rows blind (`curator calibrate VERSION`; 149 rows without a mistake prove .98), "
            "and state what it prints: calibrated: {reviewed: ROWS, right: ROWS}. Or take action: "
            "weight"
        )
    if calibrated.from_p_fix is not None and calibrated.from_p_fix != min_p_fix:
        raise StepError(
            f"{promise}; the review is of rows from P(fix) {calibrated.from_p_fix:g}, the rule "
            f"changes rows from {min_p_fix:g}: ask `curator calibrate --min-p-fix {min_p_fix:g}`"
        )
    if not 0 <= calibrated.right <= calibrated.reviewed:
        raise StepError(
            f"label_errors: calibrated says {calibrated.right} of {calibrated.reviewed} rows were "
            "right; expected no more right than reviewed, and none negative"
        )
    if (lowest := calibrated.lowest_share()) < min_p_fix:
        raise StepError(
            f"{promise}; the review found {calibrated.right} of {calibrated.reviewed} right, which "
            f"shows a share of at least {lowest:.3f} (95 % sure), under min_p_fix {min_p_fix:g}: "
            "review more rows, lower min_p_fix, or take action: weight"
        )
