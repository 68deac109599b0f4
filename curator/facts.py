"""What a report says of a run, gathered from the store: counts, examples, claims, commands.

Every count names the command that lists its rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pyarrow.compute as pc

import reports
from curator.about import RunAbout
from curator.checks.personal import ISSUE
from curator.context import served
from curator.decide import REASONS
from curator.identifiers import KINDS
from curator.impact.claim import Impact
from curator.impact.measure import first_used
from curator.impact.planning import PLANNED, POWER, default_margin
from curator.impact.sequence import visible_at_last_look
from curator.issues import NEVER_FLAGGED
from curator.label_maps import label_maps, renamed
from curator.masking import Shown, own_kinds
from curator.query import as_told
from curator.tasks import task_of
from curator.versions.manifest import Version
from curator.versions.store import Store

EXAMPLES = 3
STEP_ISSUES = {
    "clean": ("unicode", "html", "whitespace", "empty", "too_short"),
    "duplicates": (
        "exact_duplicate",
        "near_duplicate",
        "label_conflict",
        "near_but_different",
    ),
    "leaks": ("leak",),
    "label_errors": ("label",),
    "augment": ("augmented_copy", "augmented_leak", "augmented_label"),
    "map_labels": ("label_split",),
    "personal_data": tuple(ISSUE + kind for kind in KINDS),
}
STEP_SENTENCES = {
    "clean": "Texts were repaired; rows with nothing to read were removed.",
    "duplicates": "Of rows that say the same under one label, one was kept.",
    "leaks": "Training rows that stand, nearly alike, among the test rows were removed.",
    "label_errors": "Training rows whose label a model contradicts were removed.",
    "augment": "Rows were added to training, each checked for copies, leaks and its label.",
    "map_labels": "Labels were renamed or merged; test rows are scored under the same map.",
    "personal_data": "Personal data was hidden in texts, or rows with it were removed.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One version of the chain a report is on, and the step that made it."""

    name: str
    kind: str
    version: Version
    notes: tuple[str, ...] = ()


def gather(
    store: Store,
    steps: Sequence[Step],
    about: RunAbout,
    impacts: Sequence[tuple[str, Impact]],
    *,
    created: str,
    cli: str = "curator",
    attribution: Mapping[str, Any] | None = None,
) -> reports.RunFacts:
    """Gather the facts of a chain of versions.

    Args:
        store: Holds the versions.
        steps: The chain, oldest first; what stands before it is not told.
        about: What the run that made them was about.
        impacts: (step name or "whole chain", impact) to show.
        created: Time of the report, ISO 8601.
        cli: How the command line is called, its store included.
        attribution: Shares of the steps, where they were asked for.
    """
    told = range(1, len(steps))
    show = Shown(about.examples, own_kinds(s.version.step.options for s in steps))
    issues = tuple(issue for at in told for issue in _issues(store, steps, at, cli, show))
    shown = tuple(impact_facts(step, impact, cli) for step, impact in impacts)
    head = steps[-1].version
    return reports.RunFacts(
        name=about.name,
        task=about.task,
        language=about.language or "und",
        created=created,
        curator_version=version("corpus-curator"),
        recipe_text=about.recipe_text,
        examples_shown=about.examples,
        versions=tuple(_version(store, steps, at, cli) for at in range(len(steps))),
        corpus=_corpus(store, head, about, cli),
        issues=issues,
        changes=tuple(_change(store, steps, at, cli) for at in told),
        impacts=shown,
        not_measured=None if shown else "nothing was measured in this run",
        lock=_lock(store, head, about, impacts, cli),
        next_steps=tuple(_next_steps(head, issues, shown, cli)),
        commands=_commands(head, cli),
        attribution=None if attribution is None else _attribution(attribution, head, cli),
    )


def _attribution(found: Mapping[str, Any], head: Version, cli: str) -> reports.AttributionFacts:
    return reports.AttributionFacts(
        sentence=found["sentence"],
        total=reports.ShareFacts(**found["total"]),
        steps=tuple(
            reports.StepShareFacts(
                step=one["step"],
                waterfall=reports.ShareFacts(**one["waterfall"]),
                leave_one_out=reports.ShareFacts(**one["leave_one_out"]),
                shapley=reports.ShareFacts(**one["shapley"]) if one["shapley"] else None,
            )
            for one in found["steps"]
        ),
        command=f"{cli} attribution {head.id[:12]} --decisions {found['decisions']}",
    )


def _counts(store: Store, made: Version) -> Counter[tuple[Any, str]]:
    decisions = store.decisions(made)
    return Counter(
        zip(decisions["action"].to_pylist(), decisions["reason"].to_pylist(), strict=True)
    )


def _span(steps: Sequence[Step], at: int) -> str:
    return f"{steps[at - 1].version.id[:12]}..{steps[at].version.id[:12]}"


def _version(store: Store, steps: Sequence[Step], at: int, cli: str) -> reports.VersionFacts:
    made = steps[at].version
    changed: Counter[str] = Counter()
    for (action, _), count in _counts(store, made).items():
        changed[action] += count
    return reports.VersionFacts(
        id=made.id,
        step=steps[at].name,
        rows=made.rows,
        train=made.splits.get("train", 0),
        validation=made.splits.get("validation", 0),
        test=made.splits.get("test", 0),
        added=changed["add"],
        dropped=changed["drop"],
        edited=changed["edit"],
        relabelled=changed["relabel"],
        weighted=changed["weight"],
        command=f"{cli} rows {made.id[:12]}",
    )


def _corpus(store: Store, head: Version, about: RunAbout, cli: str) -> reports.CorpusFacts:
    rows = served(store.rows(head), head.transforms)
    sets, splits = task_of(rows).label_sets(rows), rows["split"].to_pylist()
    by_class = Counter(
        (label, split) for here, split in zip(sets, splits, strict=True) for label in here
    )
    declared = {renamed(label, label_maps(head.transforms)) for label in about.labels}
    names = sorted({label for label, _ in by_class} | declared)
    return reports.CorpusFacts(
        rows=head.rows,
        train=head.splits.get("train", 0),
        validation=head.splits.get("validation", 0),
        test=head.splits.get("test", 0),
        classes=tuple(
            reports.ClassFacts(
                name=name,
                train=by_class[name, "train"],
                validation=by_class[name, "validation"],
                test=by_class[name, "test"],
            )
            for name in names
        ),
        sources=tuple(
            reports.SourceFacts(
                address=source.address,
                split=source.split or ("split by Curator" if about.split_made else "by column"),
                records=source.records,
                quarantined=source.bad,
                command=f"less {about.quarantine}" if source.bad else "none were set aside",
            )
            for source in about.sources
        ),
        warnings=about.warnings,
        classes_command=f"{cli} show {head.id[:12]}",
    )


def _issues(
    store: Store, steps: Sequence[Step], at: int, cli: str, show: Shown
) -> Iterator[reports.IssueFacts]:
    """Describe every kind of doubt one step looked for, also those not found."""
    step = steps[at]
    findings, before = store.findings(step.version), store.rows(steps[at - 1].version)
    decisions, last = store.decisions(step.version), store.rows(steps[-1].version)
    splits = steps[at - 1].version.splits
    everywhere = step.kind in {
        "clean",
        "duplicates",
        "personal_data",
    }  # these look at test rows too
    looked_at = sum(n for split, n in splits.items() if everywhere or split == "train")
    told = as_told(before)
    texts = dict(zip(told["id"].to_pylist(), told["text"].to_pylist(), strict=True))
    labels = dict(zip(told["id"].to_pylist(), told["label"].to_pylist(), strict=True))
    tests = set(before.filter(pc.equal(before["split"], "test"))["id"].to_pylist())
    alive = set(last["id"].to_pylist())
    acted = {d["row_id"]: d for d in decisions.to_pylist()}
    span = _span(steps, at)
    for issue_type in STEP_ISSUES.get(step.kind, ()):
        here = findings.filter(pc.equal(findings["issue_type"], issue_type))
        shown = here if issue_type in NEVER_FLAGGED else here.filter(here["flagged"])
        rows = shown.sort_by([("score", "descending"), ("row_id", "ascending")]).to_pylist()
        ids = {r["row_id"] for r in rows}
        title, explanation = reports.describe(issue_type)
        yield reports.IssueFacts(
            issue_type=issue_type,
            title=title,
            explanation=explanation,
            step=step.name,
            count=len(ids),
            share=len(ids) / max(1, looked_at),
            test_count=len(ids & tests),
            open=len([i for i in ids - tests if i in alive and _still(i, acted)]),
            actions=tuple(_actions(issue_type, acted.values(), span, cli)),
            command=f"{cli} rows {span} --issue {issue_type}",
            examples=tuple(_examples(rows, texts, labels, acted, show)),
        )


def _still(row_id: str, acted: dict[str, dict[str, Any]]) -> bool:
    """Say whether a flagged row was left as it was."""
    decision = acted.get(row_id)
    return decision is None or decision["action"] == "keep"


def _actions(issue_type: str, decisions: Any, span: str, cli: str) -> Iterator[reports.ActionFacts]:
    reason = REASONS.get(issue_type, issue_type)
    counts: Counter[tuple[Any, str]] = Counter(
        (d["action"], d["reason"])
        for d in decisions
        if d["issue_type"] == issue_type or reason in d["reason"].split(", ")
    )
    for (action, why), count in sorted(counts.items()):
        yield reports.ActionFacts(
            action=action, count=count, reason=why,
            command=f"{cli} rows {span} --action {action} --issue {issue_type}",
        )  # fmt: skip


def _examples(
    rows: Sequence[dict[str, Any]],
    texts: dict[str, str],
    labels: dict[str, str],
    acted: dict[str, dict[str, Any]],
    show: Shown,
) -> Iterator[reports.ExampleFacts]:
    for finding in rows[:EXAMPLES] if show.examples != "none" else ():
        row_id = finding["row_id"]
        made = acted.get(row_id, {}).get("after") if row_id not in texts else None
        content = json.loads(made) if made else {}
        yield reports.ExampleFacts(
            id=row_id,
            text=show(texts.get(row_id, content.get("text", ""))) or "",
            label=labels.get(row_id, content.get("label", "")),
            suggestion=show(finding["suggestion"]),
            partner_text=show(texts.get(finding["partner_id"] or "")),
            reason=show(finding["evidence"]) or REASONS.get(finding["issue_type"], ""),
            score=finding["score"],
        )


def _change(store: Store, steps: Sequence[Step], at: int, cli: str) -> reports.StepFacts:
    step = steps[at]
    span = _span(steps, at)
    actions = tuple(
        reports.ActionFacts(
            action=action, count=count, reason=reason,
            command=f"{cli} rows {span} --action {action}",
        )
        for (action, reason), count in sorted(_counts(store, step.version).items())
    )  # fmt: skip
    return reports.StepFacts(
        step=step.name,
        sentence=" ".join((STEP_SENTENCES.get(step.kind, "Rows were changed."), *step.notes)),
        version=step.version.id,
        actions=actions,
        command=f"{cli} diff {span.replace('..', ' ')}",
    )


def impact_facts(step: str, impact: Impact, cli: str = "curator") -> reports.ImpactFacts:
    """Give an impact as the report takes it."""
    m = impact.measurement
    whys = {
        "undecided": f"the interval holds both 0 and effects beyond {m.margin * 100:.1f} points",
        "identical": "the model would see the same training set",
        "not_measurable": m.reason,
    }
    measured = m.estimate is not None
    return reports.ImpactFacts(
        step=step,
        tier=m.tier,
        method={"probe": "head", "outside": ""}.get(m.tier, "lora"),
        model=m.model,
        metric=m.metric,
        verdict=impact.verdict,
        sentence=impact.sentence,
        command=f"{cli} measure {m.before[:12]} {m.after[:12]} "
        + ("--train-with COMMAND" if m.tier == "outside" else f"--tier {m.tier}"),
        effect=impact.effect if measured else None,
        low=impact.low if measured else None,
        high=impact.high if measured else None,
        level=1 - impact.alpha if measured else None,
        margin=m.margin,
        mde=impact.mde,
        before_score=m.before_score,
        after_score=m.after_score,
        seeds=len(m.seeds),
        test_rows=m.test_rows,
        cost_cpu_s=m.cost_cpu_s,
        why=whys.get(impact.verdict),
        what_would_decide=impact.next or None,
        slices=tuple(
            reports.SliceFacts(
                name=s["name"], rows=s["rows"], effect=s["effect"], low=s["low"], high=s["high"]
            )
            for s in m.slices
            if s["low"] is not None
        ),
        touched=tuple(_touched(impact)),
        notes=tuple(_notes(impact)),
    )


def _touched(impact: Impact) -> Iterator[reports.SliceFacts]:
    for one in impact.touched.classes if impact.touched else ():
        if one.effect is not None and one.low is not None and one.high is not None:
            yield reports.SliceFacts(
                name=one.name, rows=one.rows, effect=one.effect, low=one.low, high=one.high
            )


def _notes(impact: Impact) -> Iterator[str]:
    """Say what belongs beside a verdict: touched classes, placebo, the second arm."""
    if impact.touched:
        yield impact.touched.sentence
    if sentence := (impact.measurement.placebo or {}).get("sentence"):
        yield sentence
    if arm := impact.equal_epochs():
        effect, low, high = (f"{100 * arm[name]:+.1f}" for name in ("effect", "low", "high"))
        yield (
            "The change moves the number of training rows; at equal epochs its effect is "
            f"{effect} points [{low}, {high}]."
        )


def _lock(
    store: Store,
    head: Version,
    about: RunAbout,
    impacts: Sequence[tuple[str, Impact]],
    cli: str,
) -> reports.LockFacts:
    rows = head.splits.get("test", 0)
    every = [i.measurement for _, i in impacts if i.measurement.estimate is not None]
    measured = [m for m in every if m.tier in PLANNED]  # an outside trainer's noise is not known
    tier = measured[-1].tier if measured else "probe"
    claims = max((i.claims for _, i in impacts), default=1)
    seen = visible_at_last_look(tier, rows=rows, claims=claims) if rows else None
    margin = about.measure.margin if about.measure else None
    return reports.LockFacts(
        digest=head.lock,
        test_rows=rows,
        made_here=about.split_made,
        first_used=first_used(store, head.lock),
        smallest_effect=seen,
        power=POWER,
        margin=margin or (default_margin(rows) if rows else None),
        command=f"{cli} show {head.id[:12]}",
    )


def _next_steps(
    head: Version,
    issues: Sequence[reports.IssueFacts],
    impacts: Sequence[reports.ImpactFacts],
    cli: str,
) -> Iterator[reports.NextStep]:
    for issue in issues:
        if issue.issue_type == "label_conflict" and issue.count:
            yield reports.NextStep(
                sentence=f"Look at {issue.count:,} rows that say the same as another row under "
                "another label, and decide which label is right.",
                command=issue.command,
            )
        if issue.issue_type == "label" and issue.open:
            yield reports.NextStep(
                sentence=f"Read the {issue.open:,} rows whose label looks wrong but whose class "
                "is too small to lose them.",
                command=issue.command,
            )
    undecided = [i for i in impacts if i.verdict == "undecided"]
    if undecided:
        smallest = min(undecided, key=lambda i: i.mde or 0)
        yield reports.NextStep(
            sentence=f"{len(undecided)} of {len(impacts)} measurements are undecided. "
            f"{smallest.what_would_decide or ''}",
        )
    for impact in impacts:
        if impact.verdict == "worse":
            yield reports.NextStep(
                sentence=f"Step {impact.step} made the model worse ({impact.tier}): take it out "
                "of the recipe, or loosen its options, and run again.",
                command=impact.command,
            )
    yield reports.NextStep(
        sentence="Take the curated rows to your trainer.",
        command=f"{cli} export {head.id[:12]} --to parquet --out curated",
    )


def _commands(last: Version, cli: str) -> tuple[reports.CommandFacts, ...]:
    head = last.id[:12]
    return (
        reports.CommandFacts(purpose="the history of versions", command=f"{cli} log"),
        reports.CommandFacts(purpose="what this version holds", command=f"{cli} show {head}"),
        reports.CommandFacts(
            purpose="everything that ever happened to one row", command=f"{cli} why ROW"
        ),
    )
