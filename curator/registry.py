"""What steps exist: one literal table, each step a check and the rule that acts on it.

A step's options are the keyword-only parameters of its functions; what else a check wants
(pairs, probabilities) it names as positional parameters, and `context` provides them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

import augmenters
from curator.checks.duplicates import duplicates
from curator.checks.label_errors import label_errors
from curator.checks.leaks import leaks
from curator.checks.text import clean, fix_texts
from curator.decide import Action, Rule
from curator.label_maps import map_faults, map_labels, mapped, relabel_mapped, split_notes
from curator.options import Option, bind, first_line, options_of, plain
from curator.suspects import drop_suspects, suspect_faults, suspect_notes
from curator.tasks import TASKS

Fault = tuple[str | None, str]


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
    tasks: Names of the tasks whose rows it knows.
    """

    check: Callable[..., pa.Table]
    rule: Callable[..., Rule]
    version: int
    serving: Callable[..., pa.Array] | None = None
    serving_labels: Callable[..., pa.Array] | None = None
    notes: Callable[[pa.Table], tuple[str, ...]] | None = None
    forecast: Callable[[pa.Table, pa.Table, pa.Table], tuple[str, ...]] | None = None
    is_check: bool = True
    tasks: tuple[str, ...] = tuple(TASKS)

    def options(self) -> dict[str, Option]:
        """Give the options of check and rule by name."""
        return options_of(self.check, self.rule)

    def needs(self) -> tuple[str, ...]:
        """Name what the check wants besides the rows."""
        parameters = list(inspect.signature(self.check).parameters.values())[1:]
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


STEPS: dict[str, StepKind] = {
    "clean": StepKind(clean, tidy, version=1, serving=fix_texts),
    "duplicates": StepKind(duplicates, drop_duplicates, version=1),
    "leaks": StepKind(leaks, drop_leaks, version=1),
    "label_errors": StepKind(
        label_errors, drop_suspects, version=2, forecast=suspect_notes, tasks=("classification",)
    ),
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

LATER_ACTIONS = {
    "annotate": "the annotation round trip comes in a later release",
}


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


def bind_step(name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Check the options of a step as a recipe gives them.

    Returns:
        Complete typed options and the faults found: (option, message).
    """
    if name == "augment":
        return _bind_augment(given)
    options, faults = bind(f"step {name!r}", STEPS[name].options(), given)
    if name == "map_labels" and not faults:
        faults += map_faults(options)
    if name == "label_errors":
        faults += [(key, f"step {name!r}: {message}") for key, message in suspect_faults(options)]
    if (later := options.get("action")) in LATER_ACTIONS:
        faults.append(
            (
                "action",
                f"step {name!r}: action {later} is not there yet: {LATER_ACTIONS[later]}; use drop",
            )
        )
    return options, faults


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
