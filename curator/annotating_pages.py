"""What an annotator sees of a row, and what an annotator's answer means: one label a row.

The one idea: a page asks one question with five keys, and stores keys of labels and decisions,
never their names, so pages in two languages give the same answers and a name may be changed.
Nothing is pre-selected: it anchors people, and the key of a ticked choice unticks it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import quoteattr, unescape

Decision = Literal["keep", "suggested", "other", "ambiguous", "drop"]
DECISIONS: tuple[Decision, ...] = ("keep", "suggested", "other", "ambiguous", "drop")

WORDS = {
    "en": {
        "given": "1  Given label", "suggested": "2  Suggested label", "why": "Why this row",
        "keep": "Keep the given label", "use": "Use the suggested label",
        "other": "Another label", "ambiguous": "Ambiguous", "drop": "Drop the row",
        "find": "Find a label: Shift+F, type, Enter", "near": "Nearest rows",
        "none": "(none: decide for yourself)", "blind": "drawn for a blind review",
        "tally": "labels of its nearest rows: {counts}",
        "conflict": "a row with an equal text has the label {label}",
        "examples": "e.g. {text}", "contrast": "unlike {name}: {text}",
    },
    "zh": {
        "given": "1  原标签", "suggested": "2  建议标签", "why": "为何复核",
        "keep": "保留原标签", "use": "采用建议标签", "other": "其他标签",
        "ambiguous": "有歧义", "drop": "删除此行",
        "find": "查找标签：Shift+F，输入，回车", "near": "最相近的行",
        "none": "（无：请自行判断）", "blind": "盲审抽样",
        "tally": "最相近行的标签：{counts}", "conflict": "另一行文本相同，标签为 {label}",
        "examples": "例：{text}", "contrast": "有别于 {name}：{text}",
    },
}  # fmt: skip
"""The words of a page, by language; a language that is not there reads English."""

_STYLE = (
    ".row-text{font-size:1.25em;line-height:1.5;padding:.6em 0}"
    ".cards{display:flex;gap:1em}"
    ".card{flex:1;min-width:0;overflow-wrap:anywhere;border:1px solid #bbb;border-radius:6px;"
    "padding:.4em .8em}"
    # The box to type in stands above the labels and comes after them: from it the tab key leads out
    # of all inputs, in which the keys of the page are dead.
    ".pick{display:flex;flex-direction:column-reverse}"
    ".card.given{border-left:6px solid #c0392b}.card.suggested{border-left:6px solid #1e8449}"
)
_SIGNED = "curator-"
_MARK = "0" * 16


@dataclass(frozen=True, slots=True)
class LabelText:
    """What annotators read of a label: its key, name, and a few lines about it."""

    key: str
    name: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown of one row.

    suggested: None where no suggestion is to be seen, as in a blind control.
    neighbours: (label key, similarity 0..1, text), the nearest first.
    priority: What the row is worth; the higher, the earlier it comes.
    conflict: Key of the label that a row with an equal text has; None where there is none.
    why: What a check said of the row, where the page of its task says so.
    is_swapped: The wrong answer of a known one is shown as given.
    """

    row_id: str
    text: str
    given: str
    suggested: str | None
    neighbours: tuple[tuple[str, float, str], ...]
    priority: float
    conflict: str | None = None
    why: str = ""
    is_swapped: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an annotator said of a row.

    decision: What was chosen.
    label: The label the row is to have, or what the form of its task says in the place of one; None
        for ambiguous and drop.
    rating: Of the answer, 1 to 5, where the page asks for one.
    """

    decision: str
    label: str | None
    rating: int | None = None


def words_for(language: str | None) -> Mapping[str, str]:
    """Give the words of a page in a language, such as zh-Hans."""
    return WORDS.get((language or "").split("-")[0], WORDS["en"])


def config(labels: Sequence[LabelText], language: str | None) -> str:
    """Write the labelling configuration: the row, three cards, five keys, all labels behind key 3.

    Args:
        labels: All labels a row may get, in the order shown.
        language: Language of the words around them.
    """
    say = words_for(language)
    names = [say["keep"], say["use"], say["other"], say["ambiguous"], say["drop"]]
    choices = "".join(
        f'<Choice alias={quoteattr(key)} value={quoteattr(name)} hotkey="{number}"/>'
        for number, (key, name) in enumerate(zip(DECISIONS, names, strict=True), start=1)
    )
    body = (
        '<View className="row-text"><Text name="text" value="$text"/></View>'
        '<View className="cards">'
        + card("given", say["given"], ("given", "given_about"))
        + card("suggested", say["suggested"], ("suggested", "suggested_about"))
        + card("why", say["why"], ("reason",))
        + '</View><Choices name="decision" toName="text" choice="single" required="true"'
        f' showInline="true">{choices}</Choices>'
        + label_picker(labels, language, choice="single", opened_by=say["other"])
        + f'<Collapse open="false"><Panel value={quoteattr(say["near"])}>'
        '<Table name="near" value="$near"/></Panel></Collapse>'
    )
    return signed(body)


def signed(body: str) -> str:
    """Give a whole configuration, which tells whether a hand has changed it since."""
    written = f'<View className="{_SIGNED}{_MARK}"><Style>{_STYLE}</Style>{body}</View>'
    return written.replace(_MARK, _signature(written), 1)


def label_picker(
    labels: Sequence[LabelText],
    language: str | None,
    *,
    choice: Literal["single", "multiple"],
    opened_by: str,
) -> str:
    """Give all labels behind the key for another one, with a box that finds some by letters."""
    say = words_for(language)
    several = {label.name for label in labels if sum(o.name == label.name for o in labels) > 1}
    every = "".join(_choice(label, unique=label.name not in several) for label in labels)
    return (
        '<View visibleWhen="choice-selected" whenTagName="decision"'
        f" whenChoiceValue={quoteattr(opened_by)}>"
        f'<View className="pick"><Choices name="label" toName="text" choice="{choice}"'
        f' required="true">{every}</Choices>'
        '<Filter name="find" toName="label" hotkey="shift+f" minlength="0"'
        f" placeholder={quoteattr(say['find'])}/></View></View>"
    )


def card(kind: str, head: str, texts: Sequence[str]) -> str:
    """Give a box that shows texts of a task under a head."""
    body = "".join(f'<Text name="{name}" value="${name}"/>' for name in texts)
    return f'<View className="card {kind}"><Header value={quoteattr(head)} size="5"/>{body}</View>'


def _choice(label: LabelText, *, unique: bool) -> str:
    name = label.name if unique else f"{label.name} ({label.key})"
    hint = f" hint={quoteattr(label.about)}" if label.about else ""
    return f"<Choice alias={quoteattr(label.key)} value={quoteattr(name)}{hint}/>"


def _signature(written: str) -> str:
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def is_untouched(found: str) -> bool:
    """Tell whether a configuration is still as some release of this module wrote it."""
    signed = re.search(rf"{_SIGNED}([0-9a-f]{{16}})", found)
    if signed is None:
        return False
    return signed[1] == _signature(found.replace(signed[1], _MARK, 1))


def missing_of(
    found: str, labels: Sequence[LabelText], decisions: Sequence[str] = DECISIONS
) -> list[str]:
    """Name what a configuration that was changed by hand no longer has, of what answers need."""
    needed = {f"decision {key!r}": f"alias={quoteattr(key)}" for key in decisions}
    needed |= {f"label {one.key!r}": f"alias={quoteattr(one.key)}" for one in labels}
    needed |= {f"control {name!r}": f'name="{name}"' for name in ("decision", "label")}
    return [what for what, written in needed.items() if written not in found]


def labels_in(found: str) -> frozenset[str]:
    """Name the labels that a configuration offers, by key."""
    offered = re.search(r'<Choices name="label"[^>]*>(.*?)</Choices>', found, re.DOTALL)
    keys = re.findall(r"alias=([\"'])(.*?)\1", offered[1] if offered else "")
    keys += re.findall(r"<Label value=([\"'])(.*?)\1", found)
    return frozenset(unescape(key, {"&quot;": '"'}) for _, key in keys)


def task_data(page: Page, labels: Mapping[str, LabelText], language: str | None) -> dict[str, Any]:
    """Give the data of a task: text alone, as the server's lists show markup as it stands."""
    say = words_for(language)
    given, suggested = labels.get(page.given), labels.get(page.suggested or "")
    return {
        "row_id": page.row_id,
        "text": page.text,
        "given": given.name if given else page.given,
        "given_about": (given.about if given else "") or " ",
        "suggested": (suggested.name if suggested else page.suggested) or say["none"],
        "suggested_about": (suggested.about if suggested else "") or " ",
        "reason": reason_of(page, labels, language),
        "near": near_of(page, labels),
        "priority": page.priority,
    }


def reason_of(page: Page, labels: Mapping[str, LabelText], language: str | None) -> str:
    """Say why the row is asked, in words that hold for every kind of task.

    No P(wrong): it would tell a known answer from a suspect, and it anchors.
    """
    say = words_for(language)
    if page.suggested is None:
        return say["blind"]
    names = [labels[key].name if key in labels else key for key, _, _ in page.neighbours]
    counts = ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())
    told = [say["tally"].format(counts=counts)] if counts else []
    if page.conflict is not None:
        other = labels[page.conflict].name if page.conflict in labels else page.conflict
        told.append(say["conflict"].format(label=other))
    return "; ".join(told) or " "


def near_of(page: Page, labels: Mapping[str, LabelText]) -> dict[str, str]:
    """Give the nearest rows as a table shows them: it sorts its keys as text. None where blind."""
    shown = page.neighbours if page.suggested is not None else ()
    return {
        f"{number}. {labels[key].name if key in labels else key} ({likeness:.2f})": text
        for number, (key, likeness, text) in enumerate(shown, start=1)
    } or {"-": "-"}


def read_answer(
    result: Sequence[Mapping[str, Any]],
    *,
    given: str,
    suggested: str | None,
    labels: frozenset[str],
) -> Answer | str:
    """Say what an annotation means.

    Args:
        result: As the server keeps it.
        given: Key of the label that was shown as given.
        suggested: Key of the label that was shown as suggested; None where none was.
        labels: Keys of all labels that the configuration held.

    Returns:
        The answer, or in words what is wrong with it: the server checks nothing.
    """
    decisions, chosen = chosen_in(result, "decision"), chosen_in(result, "label")
    if len(decisions) != 1 or decisions[0] not in DECISIONS:
        return f"expected one decision of {list(DECISIONS)}, found {decisions}"
    decision = next(d for d in DECISIONS if d == decisions[0])
    if decision == "suggested" and suggested is None:
        return "takes a suggestion where none was shown"
    if decision != "other":
        return Answer(decision, {"keep": given, "suggested": suggested}.get(decision))
    if len(chosen) != 1 or chosen[0] not in labels:
        return f"expected one label of the configuration, found {chosen}"
    return Answer(decision, chosen[0])


def chosen_in(result: Sequence[Mapping[str, Any]], control: str) -> list[str]:
    """Give what was chosen in one control of an annotation."""
    return [
        str(choice)
        for part in result
        if part.get("from_name") == control
        for choice in (part.get("value") or {}).get("choices") or ()
    ]
