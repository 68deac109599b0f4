"""What steps exist: one literal table, each step a check and the rule that acts on it.

A step's options are the keyword-only parameters of its functions; what else a check wants
(pairs, probabilities) it names as positional parameters, and `context` provides them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

import augmenters
from curator.benchmarks import benchmark_faults
from curator.checks.composition import composition
from curator.checks.contamination import CONTAMINATION, contaminated
from curator.checks.drift import drift
from curator.checks.duplicates import duplicates, guard_notes
from curator.checks.instructions import ISSUES as INSTRUCTION_ISSUES
from curator.checks.instructions import instructions
from curator.checks.label_errors import label_errors
from curator.checks.label_sets import label_sets
from curator.checks.language import ISSUES as LANGUAGE_ISSUES
from curator.checks.language import language
from curator.checks.leaks import leaks
from curator.checks.outliers import ISSUES as OUTLIER_ISSUES
from curator.checks.outliers import outliers
from curator.checks.personal import Hiding, personal_data
from curator.checks.preferences import ISSUES as PREFERENCE_ISSUES
from curator.checks.preferences import preferences
from curator.checks.quality import ISSUES as QUALITY_ISSUES
from curator.checks.quality import quality
from curator.checks.semantic import ISSUES as SEMANTIC_ISSUES
from curator.checks.semantic import semantic_duplicates
from curator.checks.shortcuts import ISSUES as SHORTCUT_ISSUES
from curator.checks.shortcuts import shortcuts
from curator.checks.text import clean, fix_texts
from curator.checks.token_labels import ISSUES as TOKEN_ISSUES
from curator.checks.token_labels import token_labels
from curator.decide import Action, Rule
from curator.errors import RecipeError
from curator.issues import ABOUT_THE_SET
from curator.label_maps import map_faults, map_labels, mapped, relabel_mapped, split_notes
from curator.options import Option, bind, first_line, options_of, plain, unknown_name
from curator.outside import hidden, personal_faults
from curator.own_checks import as_findings, known_check, load_check
from curator.suspects import drop_suspects, keep_suspects, suspect_faults, suspect_notes
from curator.tasks import TASKS

Fault = tuple[str | None, str]
TextAction = Literal["keep", "drop", "annotate"]


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind of step.

    check: rows and context -> findings.
    rule: rows, findings and the rule's own options -> Rule.
    version: Raised whenever the step's output changes for the same input.
    serving: Text fix that also applies to test rows when a model is measured or served.
    serving_labels: Label map that likewise applies to the labels of test rows.
    notes: Sentences for a person, from the findings.
    forecast: Sentences for a person before anything is applied, from rows, findings and decisions.
    is_check: Doubts rows of its own accord, so `curator check` runs it.
    issues: Issue types that its option `only` may name.
    tasks: Names of the tasks whose rows it knows.
    serves: Whether it serves under these options; None: whenever it has a serving transform.
    """

    check: Callable[..., pa.Table]
    rule: Callable[..., Rule]
    version: int
    serving: Callable[..., pa.Array] | None = None
    serving_labels: Callable[..., pa.Array] | None = None
    notes: Callable[[pa.Table], tuple[str, ...]] | None = None
    forecast: Callable[[pa.Table, pa.Table, pa.Table], tuple[str, ...]] | None = None
    is_check: bool = True
    issues: tuple[str, ...] = ()
    serves: Callable[[Mapping[str, Any]], bool] | None = None
    tasks: tuple[str, ...] = tuple(TASKS)

    def options(self) -> dict[str, Option]:
        """Give the options of check and rule by name."""
        return options_of(self.check, self.rule)

    def needs(self) -> tuple[str, ...]:
        """Name what the check wants besides the rows."""
        return _needs(self.check)


def _needs(check: Callable[..., Any]) -> tuple[str, ...]:
    parameters = list(inspect.signature(check).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)


def tidy(rows: pa.Table, findings: pa.Table) -> Rule:
    """Edit texts that a fix changes, drop what is empty or too short."""
    del rows, findings
    actions: dict[str, Action] = {"unicode": "edit", "html": "edit", "whitespace": "edit"}
    return Rule(actions | {"empty": "drop", "too_short": "drop"})


def drop_duplicates(rows: pa.Table, findings: pa.Table) -> Rule:
    """Drop every row whose text stands in a kept row of the same label."""
    del rows, findings
    return Rule({"exact_duplicate": "drop", "near_duplicate": "drop"})


def drop_leaks(rows: pa.Table, findings: pa.Table) -> Rule:
    """Drop training rows that stand, nearly alike, among the frozen rows."""
    del rows, findings
    return Rule({"leak": "drop"})


def drop_contaminated(rows: pa.Table, findings: pa.Table, *, action: TextAction = "drop") -> Rule:
    """Drop training rows in which a benchmark stands, or keep them.

    Args:
        rows: Row table.
        findings: What the check found.
        action: drop, keep, or annotate: kept, and asked about by `annotate push`.
    """
    del rows, findings
    return Rule({CONTAMINATION: "drop"} if action == "drop" else {})


def hide_personal(rows: pa.Table, findings: pa.Table, *, action: Hiding = "mask") -> Rule:
    """Edit texts in which personal data stands, or drop their rows.

    Args:
        rows: Row table.
        findings: What the check found.
        action: mask puts [EMAIL] in its place, surrogate a made-up value of the same shape, the
            same for the same value (needs a key: see docs/personal-data.md), drop drops the row.
    """
    del rows
    act: Action = "drop" if action == "drop" else "edit"
    kinds = findings["issue_type"].unique().to_pylist()
    return Rule({kind: act for kind in kinds if kind != "span_edit"})


def act(
    rows: pa.Table,
    findings: pa.Table,
    *,
    action: TextAction = "keep",
    only: tuple[str, ...] = (),
) -> Rule:
    """Keep what is doubted, or drop it.

    Args:
        rows: Row table.
        findings: What the check found.
        action: keep, drop, or annotate: kept, and asked about by `annotate push`. Doubts about the
            whole set are never acted on.
        only: Issue types that are acted on; by default all of the step.
    """
    del rows
    found = set(only or findings["issue_type"].unique().to_pylist()) - ABOUT_THE_SET
    return Rule(dict.fromkeys(sorted(found), action) if action == "drop" else {})


def only_told(rows: pa.Table, findings: pa.Table) -> Rule:
    """Change nothing: the doubts are about the whole set."""
    del rows, findings
    return Rule({})


def own_check(rows: pa.Table, *, use: str, code: str = "") -> pa.Table:
    """Ask a check of your own: a Python function, or one that an installed package brings.

    Args:
        rows: Row table.
        use: `file.py:function`, relative to the recipe, or the name of an installed check. Its own
            options stand beside it.
        code: Hash of its code, filled in: an edited check is another step.
    """
    return as_findings(use, known_check(use, code)(rows), rows)


STEPS: dict[str, StepKind] = {
    "clean": StepKind(clean, tidy, version=1, serving=fix_texts),
    "duplicates": StepKind(duplicates, drop_duplicates, version=2, notes=guard_notes),
    "leaks": StepKind(leaks, drop_leaks, version=1),
    "decontaminate": StepKind(contaminated, drop_contaminated, version=1),
    "semantic_duplicates": StepKind(
        semantic_duplicates, act, version=1, issues=SEMANTIC_ISSUES, notes=guard_notes
    ),
    "label_errors": StepKind(
        label_errors, drop_suspects, version=2, forecast=suspect_notes, tasks=("classification",)
    ),
    "label_sets": StepKind(
        label_sets, keep_suspects, version=1, forecast=suspect_notes, tasks=("multilabel",)
    ),
    "token_labels": StepKind(token_labels, act, version=1, issues=TOKEN_ISSUES, tasks=("tokens",)),
    "personal_data": StepKind(
        personal_data,
        hide_personal,
        version=1,
        serving=hidden,
        serves=lambda options: options["action"] != "drop",
    ),
    "quality": StepKind(quality, act, version=1, issues=QUALITY_ISSUES),
    "language": StepKind(language, act, version=1, issues=LANGUAGE_ISSUES),
    "outliers": StepKind(outliers, act, version=1, issues=OUTLIER_ISSUES),
    "shortcuts": StepKind(shortcuts, act, version=1, issues=SHORTCUT_ISSUES),
    "instructions": StepKind(
        instructions, act, version=1, issues=INSTRUCTION_ISSUES, tasks=("instruction",)
    ),
    "preferences": StepKind(
        preferences, act, version=1, issues=PREFERENCE_ISSUES, tasks=("preference",)
    ),
    "composition": StepKind(composition, only_told, version=1),
    "drift": StepKind(drift, only_told, version=1),
    "check": StepKind(own_check, act, version=1, is_check=False),
    "map_labels": StepKind(
        map_labels,
        relabel_mapped,
        version=1,
        serving_labels=mapped,
        notes=split_notes,
        is_check=False,
        tasks=("classification",),
    ),
}

OWN = "check"
MODEL_NEEDS = frozenset({"beliefs", "embeddings", "probabilities", "set_probabilities", "tagged"})
"""What a check may want that rests on a model."""


def check_of(kind: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Give the check of a step; for a user's own the function itself."""
    return known_check(options["use"], options["code"]) if kind == OWN else STEPS[kind].check


def needs_of(kind: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what the check of a step wants besides the rows."""
    return _needs(check_of(kind, options))


def augment_rows(
    rows: pa.Table,
    *,
    near: float = 0.8,
    keep_label: float = 0.5,
    copies: int = 1,
    seed: int = 0,
) -> None:
    """Add rows made from training rows, or from the labels' own texts, behind filters.

    Args:
        rows: Row table.
        near: Refuse an augmented row this near (Jaccard, 0..1) to a frozen row.
        keep_label: Refuse a changed row on which the out-of-fold probability of its label falls
            under this share of its parent's, 0..1; 0 asks no model.
        copies: Augmented rows per parent and augmenter.
        seed: Random seed; each row draws from its own stream, by its id.
    """
    del rows, near, keep_label, copies, seed


AUGMENT_VERSION = 2
AUGMENT_TASKS = ("classification",)


def tasks_of_step(name: str) -> tuple[str, ...]:
    """Name the tasks that a step knows."""
    return AUGMENT_TASKS if name == "augment" else STEPS[name].tasks


def bind_step(
    name: str, given: Mapping[str, Any], *, base: Path | None = None
) -> tuple[dict[str, Any], list[Fault]]:
    """Check the options of a step as a recipe gives them.

    Args:
        name: Kind of the step.
        given: Options by name.
        base: Folder of the recipe; None where a stored step is read back.

    Returns:
        Complete typed options and the faults found: (option, message).
    """
    if name == "augment":
        return _bind_augment(given)
    if name == OWN:
        return _bind_own(given, base)
    options, faults = bind(f"step {name!r}", STEPS[name].options(), given)
    if name == "personal_data" and not faults:
        faults += personal_faults(options, base)
    if name == "decontaminate" and not faults:
        faults += benchmark_faults(options, base)
    if name == "map_labels" and not faults:
        faults += map_faults(options)
    if name in ("label_errors", "label_sets"):
        faults += [(key, f"step {name!r}: {message}") for key, message in suspect_faults(options)]
    issues = STEPS[name].issues
    faults += [
        ("only", unknown_name(f"step {name!r}", "issue type", issue, issues))
        for issue in (options.get("only", ()) if issues else ())
        if issue not in issues
    ]
    return options, faults


def _bind_own(given: Mapping[str, Any], base: Path | None) -> tuple[dict[str, Any], list[Fault]]:
    """Load the function that `use` names, and check its options and those of the rule."""
    use, code = given.get("use"), given.get("code")
    if not isinstance(use, str):
        return {}, [("use", "step 'check' needs `use:`, as `- check: my_checks.py:too_polite`")]
    if base is None:  # a step that was stored: its options are complete, its code may be gone
        return dict(given), []
    if code is not None:
        return {}, [("code", "step 'check': `code` is filled in, a recipe does not give it")]
    try:
        own = load_check(use, base)
    except RecipeError as fault:
        return {}, [("use", str(fault))]
    rest = {key: value for key, value in given.items() if key != "use"}
    options, faults = bind(f"check {use!r}", options_of(own.function, act), rest)
    return {"use": own.name, "code": own.code, **options}, faults


def _bind_augment(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    rest = {k: v for k, v in given.items() if k != "with"}
    options, faults = bind("step 'augment'", options_of(augment_rows), rest)
    asked = given.get("with", ["label_text"])
    chosen: list[dict[str, Any]] = []
    for item in asked if isinstance(asked, list | tuple) else [asked]:
        name, own = next(iter(item.items())) if isinstance(item, Mapping) and item else (item, {})
        if name not in augmenters.AUGMENTERS:
            known = sorted(augmenters.AUGMENTERS)
            faults.append(("with", f"there is no augmenter {name!r}; there are {known}"))
            continue
        function = augmenters.AUGMENTERS[name].function
        values, wrong = bind(f"augmenter {name!r}", options_of(function), own or {})
        faults += [("with", message) for _, message in wrong]
        if "copies" in values and "copies" not in (own or {}):
            values["copies"] = options.get("copies", 1)
        chosen.append({"augmenter": name, **plain(values)})
    return {"with": chosen, **options}, faults


def describe_steps() -> list[dict[str, Any]]:
    """Describe every step and augmenter with its options, from the functions' own signatures."""
    steps = [
        {
            "step": name,
            "text": first_line(kind.check),
            "version": kind.version,
            "options": [o.describe() for o in kind.options().values()],
        }
        for name, kind in STEPS.items()
    ]
    augment = {
        "step": "augment",
        "text": first_line(augment_rows),
        "version": AUGMENT_VERSION,
        "options": [
            {
                "name": "with",
                "type": "list of augmenters, each a name or a name with its own options",
                "required": False,
                "default": ["label_text"],
                "text": "Augmenters to use, as `[label_text, {keyboard: {share: 0.1}}]`.",
            },
            *(o.describe() for o in options_of(augment_rows).values()),
        ],
        "with": [
            {
                "augmenter": name,
                "text": first_line(a.function),
                "version": a.version,
                "options": [o.describe() for o in options_of(a.function).values()],
            }
            for name, a in augmenters.AUGMENTERS.items()
        ],
    }
    return [*steps, augment]
