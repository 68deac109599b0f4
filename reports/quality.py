"""Is the data fit for use? A rule read off the facts, and plain words for each kind of doubt.

The one idea: the headline is a pure function with its thresholds in the open, so two people reading
the same facts come to the same answer, and a check that never ran counts as unknown, not as clean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .facts import WHOLE_CHAIN, Action, ImpactFacts, IssueFacts, RunFacts
from .impact import MEASURED

MAX_QUARANTINED_SHARE = 0.01  # the default above which a run itself stops
MANY_SUSPECT_LABELS = 0.05
SOME_SUSPECT_LABELS = 0.01  # one percent of wrong labels cost 0.6 points on banking77
SOME_DUPLICATES = 0.01
MIN_CLASS_ROWS = 20  # the floor that the label step keeps
BLUNT_TEST_EFFECT = 0.03  # what 500 test rows show at best, whatever the number of seeds
NAMED = 3  # names given in a sentence before the rest is counted

EXPECTED_CHECKS = {
    "leak": "training rows that repeat test rows",
    "exact_duplicate": "duplicates",
    "label": "wrong labels",
}
"""Issue types without which the data cannot be called fit, and what each looks for."""

ACTION_WORDS: dict[Action, str] = {
    "drop": "removed",
    "edit": "repaired",
    "relabel": "relabelled",
    "weight": "weighted less",
    "add": "added",
    "keep": "kept on purpose",
    "reject": "proposed and refused",
}
"""How an action is called on the page."""

LEVEL_WORDS = {"stop": "Stop", "limit": "Limit", "note": "Note", "good": "Good"}
"""How the level of a reason is called on the page."""

TIER_WORDS = {
    "probe": "a small model on fixed features of the texts: quick, but blind to changes whose "
    "value lies in understanding a text",
    "top-layers": "the upper layers of the language model learn too",
    "all-layers": "the whole language model learns",
}
"""What each tier means, the cheapest first, for the legend."""

_TIERS = tuple(TIER_WORDS)

_ISSUE_WORDS = {
    "unicode": ("Broken characters", "Text that was decoded wrongly on its way here."),
    "html": ("Web markup in the text", "Tags or codes such as &amp; that no reader ever saw."),
    "personal_secret": ("Secrets and keys", "Passwords, access keys and tokens in a text."),
    "personal_email": ("E-mail addresses", "Addresses of people or services in a text."),
    "personal_iban": ("IBANs", "Bank account numbers whose check digits are right."),
    "personal_cn_id": ("Resident ids", "Chinese resident ids whose date and check sign are right."),
    "personal_card": ("Card numbers", "Bank card numbers whose check digit is right."),
    "personal_phone": ("Phone numbers", "Numbers that a numbering plan knows."),
    "personal_ip": ("IP addresses", "Addresses of computers."),
    "personal_passport": ("Passport numbers", "Numbers that the text calls so."),
    "personal_address": ("Postal addresses", "Streets with a number, as addresses are written."),
    "personal_name": ("Names of people", "Names that the text announces, or that a model told."),
    "whitespace": ("Untidy spaces", "Doubled, trailing or invisible spaces and line breaks."),
    "empty": ("Empty texts", "Rows without any text: there is nothing to learn from them."),
    "too_short": ("Very short texts", "Rows with fewer characters than the recipe asks for."),
    "exact_duplicate": (
        "Repeated rows",
        "The same text more than once: it counts double in training and hides how little is new.",
    ),
    "near_duplicate": (
        "Nearly repeated rows",
        "Texts that differ from another row in a few characters only.",
    ),
    "label_conflict": (
        "Same text, different label",
        "Two rows say the same and are labelled differently: at least one label is doubtful.",
    ),
    "near_but_different": (
        "Near, but another fact",
        "Texts like another row but for an amount, a date, a negation or a name: both stay.",
    ),
    "leak": (
        "Training rows that repeat test rows",
        "A model that has seen the answers in training looks better than it is.",
    ),
    "label": (
        "Labels that look wrong",
        "A model that had not seen these rows was confident of another label.",
    ),
}


Level = Literal["stop", "limit", "note", "good"]
Section = Literal["found", "changed", "brought", "details"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of the headline.

    level: stop (not fit), limit (fit within this limit), note (worth knowing), good.
    text: a whole sentence.
    see: the section of the page that holds the rows and the commands behind it.
    """

    level: Level
    text: str
    see: Section


@dataclass(frozen=True, slots=True)
class Fitness:
    """The headline of a report.

    answer: fit, limits or not_yet.
    sentence: the answer in words.
    use: what the answer is about.
    reasons: why, the gravest first.
    """

    answer: Literal["fit", "limits", "not_yet"]
    sentence: str
    use: str
    reasons: tuple[Reason, ...]


def describe(issue_type: str) -> tuple[str, str]:
    """Give title and explanation of an issue type for a reader who does not code."""
    if issue_type in _ISSUE_WORDS:
        return _ISSUE_WORDS[issue_type]
    return issue_type.replace("_", " ").capitalize(), "Found by a check of this name."


def fitness(facts: RunFacts) -> Fitness:
    """Say whether the last version is fit for training and comparing models, and why.

    Not fit yet, when one of these holds:
        there are no test rows; a class of the test rows has no training rows; a training row that
        repeats a test row is still there; more than 1 % of the records could not be read; 5 % or
        more of the training rows still look wrongly labelled; all changes together made the model
        worse on the dearest tier that could be measured.
    Fit within limits, when one of these holds:
        leaks, duplicates or labels were not looked for; 1 % or more of the training rows look
        wrongly labelled, or of the test rows; 1 % or more of the training rows are repeats still;
        a class has no test rows, no rows at all, or fewer than 20 training rows; the smallest
        effect that the test rows can show is unknown, or above the margin (3 points where no margin
        is given); one step made it worse.
    Otherwise fit. Other unreadable records and warnings are notes; they never change the answer.

    Args:
        facts: A run's facts; shares and effects are fractions.

    Returns:
        The answer with every reason that applies, the gravest first.
    """
    reasons = [
        *_reading(facts),
        *_splitting(facts),
        *_classes(facts),
        *_issues(facts),
        *_sharpness(facts),
        *_changes(facts.impacts),
        *(Reason("note", warning, "details") for warning in facts.corpus.warnings),
    ]
    order = ("stop", "limit", "note", "good")
    reasons.sort(key=lambda reason: order.index(reason.level))
    stops = sum(reason.level == "stop" for reason in reasons)
    limits = sum(reason.level == "limit" for reason in reasons)
    use = f"Use here means: training models for {facts.task} and comparing them."
    if stops:
        sentence = f"Not yet: {_n(stops, 'reason')} to stop."
        return Fitness("not_yet", sentence, use, tuple(reasons))
    if limits:
        return Fitness("limits", f"Yes, within {_n(limits, 'limit')}.", use, tuple(reasons))
    return Fitness("fit", "Yes.", use, tuple(reasons))


def _reading(facts: RunFacts) -> Iterator[Reason]:
    records = sum(source.records for source in facts.corpus.sources)
    bad = sum(source.quarantined for source in facts.corpus.sources)
    if not bad:
        return
    text = f"{_n(bad, 'record')} of {records:,} could not be read and stand aside in quarantine."
    yield Reason("stop" if bad > MAX_QUARANTINED_SHARE * records else "note", text, "details")


def _splitting(facts: RunFacts) -> Iterator[Reason]:
    if not facts.lock.test_rows:
        yield Reason("stop", "There are no test rows, so no change can be measured.", "details")
    elif facts.lock.made_here:
        text = "No source was marked as test: Curator set test rows aside from the data given."
        yield Reason("note", text, "details")


def _classes(facts: RunFacts) -> Iterator[Reason]:
    classes = facts.corpus.classes
    untrained = [c.name for c in classes if c.test and not c.train]
    untested = [c.name for c in classes if c.train and not c.test]
    empty = [c.name for c in classes if not (c.train or c.validation or c.test)]
    thin = [c.name for c in classes if 0 < c.train < MIN_CLASS_ROWS]
    if untrained:
        yield Reason(
            "stop",
            f"{_has(untrained)} test rows but no training rows: {_some(untrained)}.",
            "details",
        )
    if untested and facts.lock.test_rows:
        text = f"{_has(untested)} no test rows, so what happens to them cannot be seen"
        yield Reason("limit", f"{text}: {_some(untested)}.", "details")
    if empty:
        yield Reason("limit", f"{_has(empty)} no rows at all: {_some(empty)}.", "details")
    if thin:
        text = f"{_has(thin)} fewer than {MIN_CLASS_ROWS} training rows"
        yield Reason("limit", f"{text}: {_some(thin)}.", "details")


def _issues(facts: RunFacts) -> Iterator[Reason]:
    by_type = {issue.issue_type: issue for issue in facts.issues}
    for issue_type, looked_for in EXPECTED_CHECKS.items():
        if issue_type not in by_type:
            yield Reason(
                "limit",
                f"Nobody looked for {looked_for}: no such check was in the recipe.",
                "found",
            )
    if leak := by_type.get("leak"):
        yield _leaks(leak)
    if label := by_type.get("label"):
        yield from _labels(label, facts)
    repeats = [by_type[t] for t in ("exact_duplicate", "near_duplicate") if t in by_type]
    if repeats:
        yield _repeats(repeats, facts.corpus.train)


def _leaks(leak: IssueFacts) -> Reason:
    if leak.open:
        verb = "repeats" if leak.open == 1 else "repeat"
        text = (
            f"{_n(leak.open, 'training row')} still {verb} test rows, which flatters every score."
        )
        return Reason("stop", text, "found")
    found = f" ({leak.count:,} found and taken out)" if leak.count else ""
    return Reason("good", f"No training row repeats a test row{found}.", "found")


def _labels(label: IssueFacts, facts: RunFacts) -> Iterator[Reason]:
    share = _share(label.open, facts.corpus.train)
    rows = f"{_n(label.open, 'training row')} ({100 * share:.1f} %)"
    have = "has a label that looks" if label.open == 1 else "have labels that look"
    text = f"{rows} still {have} wrong."
    if share >= MANY_SUSPECT_LABELS:
        yield Reason("stop", text, "found")
    elif share >= SOME_SUSPECT_LABELS:
        yield Reason("limit", text, "found")
    elif label.open:
        yield Reason("note", text, "found")
    else:
        found = f" ({label.count - label.test_count:,} found and dealt with)" if label.count else ""
        yield Reason("good", f"No label in training looks clearly wrong{found}.", "found")
    tested = _share(label.test_count, facts.corpus.test)
    if tested >= SOME_SUSPECT_LABELS:
        text = f"{_n(label.test_count, 'test row')} ({100 * tested:.1f} %) look wrongly labelled"
        yield Reason(
            "limit", f"{text}; they stay as they are, and every score carries that doubt.", "found"
        )


def _repeats(issues: Sequence[IssueFacts], train: int) -> Reason:
    still, found = sum(i.open for i in issues), sum(i.count for i in issues)
    if _share(still, train) >= SOME_DUPLICATES:
        text = f"{_n(still, 'row')} ({100 * _share(still, train):.1f} %) still repeat other rows."
        return Reason("limit", text, "found")
    if still:
        return Reason("note", f"{_n(still, 'row')} still repeat other rows.", "found")
    return Reason(
        "good", f"No row repeats another{f' ({found:,} found)' if found else ''}.", "found"
    )


def _sharpness(facts: RunFacts) -> Iterator[Reason]:
    lock = facts.lock
    if not lock.test_rows:
        return
    if lock.smallest_effect is None:
        yield Reason("limit", "How small an effect the test rows can show is not known.", "details")
        return
    wanted = BLUNT_TEST_EFFECT if lock.margin is None else lock.margin
    rows, effect = _n(lock.test_rows, "test row"), _points(lock.smallest_effect)
    text = f"The {rows} can show effects from {effect}"
    if lock.smallest_effect > wanted:
        text += f" on, not those of {_points(wanted)} that would be worth acting on."
        yield Reason("limit", text, "details")
    else:
        yield Reason("good", f"{text} on.", "details")


def _changes(impacts: Sequence[ImpactFacts]) -> Iterator[Reason]:
    for impact in impacts:
        if impact.verdict == "worse" and impact.step != WHOLE_CHAIN:
            text = f"The step {impact.step!r} made the model worse (tier {impact.tier})."
            yield Reason("limit", text, "brought")
    whole = [i for i in impacts if i.step == WHOLE_CHAIN and i.verdict in MEASURED]
    if not whole:
        return
    dearest = max(whole, key=lambda impact: _tier_rank(impact.tier))
    about = f"{dearest.metric}, tier {dearest.tier}"
    texts: dict[str, tuple[Level, str]] = {
        "worse": ("stop", "All changes together made the model worse"),
        "better": ("good", "All changes together made the model better"),
        "equivalent": ("note", "All changes together made no difference that matters"),
        "undecided": ("note", "Whether all changes together helped is undecided"),
    }
    level, text = texts[dearest.verdict]
    yield Reason(level, f"{text} ({about}).", "brought")


def _tier_rank(tier: str) -> int:
    return _TIERS.index(tier) if tier in _TIERS else len(_TIERS)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _points(effect: float) -> str:
    return f"{100 * effect:.1f} points"


def _has(names: Sequence[str]) -> str:
    return f"{len(names):,} class has" if len(names) == 1 else f"{len(names):,} classes have"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
