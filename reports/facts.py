"""The finished facts of one run, as plain frozen values: everything a report may say.

The one idea: a report computes nothing about data. Whoever fills these classes counted, measured
and worded; the page and its JSON twin only show. Times are given in as text, so the same facts make
the same bytes. Shares, scores and effects are fractions (0.01 is one percent or one percentage
point), costs are CPU seconds, counts are rows unless a field says otherwise.

    RunFacts
    ├── corpus: CorpusFacts ── classes: ClassFacts, sources: SourceFacts
    ├── issues: IssueFacts ─── actions: ActionFacts, examples: ExampleFacts
    ├── changes: StepFacts ─── actions: ActionFacts
    ├── impacts: ImpactFacts ─ slices, touched: SliceFacts
    ├── reviews: ReviewFacts ─ people: ReviewerFacts
    ├── reliability: ReliabilityFacts ─ bins: BinFacts
    ├── attribution: AttributionFacts ─ steps: StepShareFacts
    ├── versions: VersionFacts
    ├── lock: LockFacts
    └── next_steps: NextStep, commands: CommandFacts
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .review import ReliabilityFacts, ReviewFacts

Verdict = Literal["better", "worse", "equivalent", "undecided", "identical", "not_measurable"]
"""Six verdicts of an impact; `identical` and `not_measurable` have no effect and no interval."""

Action = Literal["drop", "edit", "relabel", "weight", "add", "keep", "reject"]
"""What was done; keep (a flagged row that a floor protected) and reject (an augmented row that
never became one) change nothing."""

ExamplesShown = Literal["full", "masked", "none"]
"""Whether row texts may stand in the report as they are, masked by the caller, or not at all."""

WHOLE_CHAIN = "whole chain"
"""The `step` of an impact that compares the import version with the last one."""


class ReportError(Exception):
    """A report that cannot be made from these facts; the message names the fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFacts:
    """A command worth knowing.

    purpose: what it does, in a few words.
    command: the whole command line.
    """

    purpose: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """One thing to do next.

    sentence: what to do and why, in plain words.
    command: the command that does it or shows more; None where a person has to act.
    """

    sentence: str
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """One committed version of the corpus.

    id: 64 hexadecimal digits.
    step: name of the step that made it; `import` for the first.
    rows, train, validation, test: rows it holds, in all and by split.
    added, dropped, edited, relabelled, weighted: rows changed against its parent.
    command: lists its rows.
    """

    id: str
    step: str
    rows: int
    train: int
    validation: int
    test: int
    added: int
    dropped: int
    edited: int
    relabelled: int
    weighted: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFacts:
    """Rows of one class in the last version; a declared class may be empty."""

    name: str
    train: int
    validation: int
    test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What one source gave.

    address: as written in the recipe.
    split: the split its rows went to, or `split by Curator`.
    records: records read, bad ones included.
    quarantined: records that could not be read and were set aside.
    command: lists the quarantined records, or shows where they lie.
    """

    address: str
    split: str
    records: int
    quarantined: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFacts:
    """The last version as a whole.

    rows, train, validation, test: rows in all and by split.
    classes: every class, in the order to be shown (the page shows the first ones only).
    sources: one entry per source of the recipe.
    warnings: whole sentences about the corpus, such as a declared class without rows.
    classes_command: lists all classes with their counts.
    """

    rows: int
    train: int
    validation: int
    test: int
    classes: tuple[ClassFacts, ...]
    sources: tuple[SourceFacts, ...]
    warnings: tuple[str, ...]
    classes_command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFacts:
    """How often one thing was done for one reason.

    action: drop, edit, relabel, weight, add, keep or reject.
    count: rows (for reject: augmented rows that never became rows of the corpus).
    reason: why, as it stands in the decisions.
    command: lists these rows.
    """

    action: Action
    count: int
    reason: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleFacts:
    """One real row that shows what an issue looks like.

    id: of the row.
    text, label: as they came.
    suggestion: what the check proposes instead (a repaired text, another label).
    partner_text: text of the other row, for duplicates, leaks and conflicts.
    reason: in plain words, what is wrong with this row.
    score: of the finding; higher is more suspicious, the scale is the check's.
    """

    id: str
    text: str
    label: str
    reason: str
    suggestion: str | None = None
    partner_text: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFacts:
    """One kind of doubt that was looked for; give it with count 0 when nothing was found.

    issue_type: as in the findings, such as `label` or `exact_duplicate`.
    title, explanation: for a reader who does not code; `quality.describe` has both.
    step: name of the step whose check looked for it.
    count: flagged rows, of all splits.
    share: count as a share of the rows that were looked at, 0..1.
    test_count: those of the flagged rows that are test rows; no step drops or relabels them.
    open: flagged rows outside test that the last version still holds, unrepaired.
    actions: what was done about them.
    command: lists the flagged rows.
    examples: real rows, the most telling first (the page shows the first ones only).
    """

    issue_type: str
    title: str
    explanation: str
    step: str
    count: int
    share: float
    test_count: int
    open: int
    actions: tuple[ActionFacts, ...]
    command: str
    examples: tuple[ExampleFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """What one step changed.

    step: its name.
    sentence: what it did and why, in plain words.
    version: id of the version it made.
    actions: counts by action and reason; empty where nothing changed.
    command: shows the whole difference.
    """

    step: str
    sentence: str
    version: str
    actions: tuple[ActionFacts, ...]
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFacts:
    """The effect on a named part of the test rows: effect and interval as fractions."""

    name: str
    rows: int
    effect: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactFacts:
    """What one change did to one metric, on the same seeds and test rows.

    step: the step, or WHOLE_CHAIN.
    tier: probe, top-layers or all-layers.
    method: head, lora and so on; empty where the tier has none.
    model: the features or base model, named in full (such as `char 1-3-gram TF-IDF, SVD 256`).
    metric: such as accuracy.
    verdict: one of six.
    sentence: the claim in plain words: this training set, this spec, these test rows.
    command: measures it again.
    effect, low, high: after minus before and its interval, fractions; None where not measured.
    level: of the interval, 0..1, such as 0.95, higher where Holm's correction asks for it.
    margin: the smallest change worth acting on, fraction.
    mde: the smallest effect these seeds and test rows could have shown, fraction.
    before_score, after_score: mean score over the seeds, fractions.
    seeds, test_rows: how many were used.
    cost_cpu_s: CPU seconds spent on it in this run; 0 where all fits were there already.
    why: why it is undecided, identical or not measurable; must be given for these.
    what_would_decide: such as more test rows; must be given for undecided.
    slices: parts of the test rows.
    touched: those classes that the change touched and that have rows enough, each at its own level.
    notes: whole sentences that belong beside the verdict: touched classes, placebo, equal epochs.
    """

    step: str
    tier: str
    method: str
    model: str
    metric: str
    verdict: Verdict
    sentence: str
    command: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    margin: float | None = None
    mde: float | None = None
    before_score: float | None = None
    after_score: float | None = None
    seeds: int = 0
    test_rows: int = 0
    cost_cpu_s: float = 0.0
    why: str | None = None
    what_would_decide: str | None = None
    slices: tuple[SliceFacts, ...] = ()
    touched: tuple[SliceFacts, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFacts:
    """A step's share of a chain's effect, by one way of sharing, and its interval, fractions.

    separable: the interval excludes 0.
    """

    effect: float
    low: float
    high: float
    separable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShareFacts:
    """The shares of one step; shapley is None where there were too many steps."""

    step: str
    waterfall: ShareFacts
    leave_one_out: ShareFacts
    shapley: ShareFacts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionFacts:
    """A chain's effect shared out among its steps.

    sentence: the result, whose decisions it rests on, and that the order matters.
    total: the effect of the whole chain.
    steps: in the order that was run.
    command: computes it again.
    """

    sentence: str
    total: ShareFacts
    steps: tuple[StepShareFacts, ...]
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFacts:
    """The frozen test rows.

    digest: 64 hexadecimal digits; None where there are no test rows.
    test_rows: how many are frozen.
    made_here: Curator made the split itself, because no source was marked as test.
    first_used: date of the first measurement on these rows, ISO 8601; None before it.
    smallest_effect: smallest effect the test rows can show on the dearest tier, fraction.
    power: the chance to see an effect of that size, 0..1.
    margin: the smallest change worth acting on, fraction.
    command: checks the lock.
    """

    digest: str | None
    test_rows: int
    made_here: bool
    first_used: str | None
    smallest_effect: float | None
    power: float
    margin: float | None
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that a run's report says.

    name, task: of the recipe.
    language: of the texts, a BCP 47 tag such as `en` or `zh`.
    created: when the run ended, ISO 8601, given in by the caller.
    curator_version: release that made it.
    recipe_text: the recipe as it was run.
    examples_shown: whether row texts may be shown; with `none` no issue may carry examples.
    versions: from the import version to the last one.
    issues: every kind of doubt that was looked for, also those not found.
    changes: one entry per step, in recipe order.
    impacts: in the order to be shown; empty where nothing was measured.
    not_measured: why impacts is empty; must be given then.
    attribution: the shares of the steps, where they were asked for.
    reviews: how far annotators are, one entry per project; reliability: what blind verdicts say of
        P(wrong), where anybody judged.
    next_steps: the most useful first.
    commands: the commands worth knowing.
    """

    name: str
    task: str
    language: str
    created: str
    curator_version: str
    recipe_text: str
    examples_shown: ExamplesShown
    versions: tuple[VersionFacts, ...]
    corpus: CorpusFacts
    issues: tuple[IssueFacts, ...]
    changes: tuple[StepFacts, ...]
    impacts: tuple[ImpactFacts, ...]
    lock: LockFacts
    next_steps: tuple[NextStep, ...]
    commands: tuple[CommandFacts, ...]
    not_measured: str | None = None
    attribution: AttributionFacts | None = None
    reviews: tuple[ReviewFacts, ...] = ()
    reliability: ReliabilityFacts | None = None
