"""The pages of tasks whose answer is more than one label: sets, spans, rewrites, preferences.

The one idea: every page asks for one decision by a key from 1 to 6, so hands learn it once; what
goes beyond a decision (labels, marked words, a rewritten answer) stands where its key opens it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from curator.annotating_pages import (
    WORDS,
    LabelText,
    Page,
    card,
    label_picker,
    near_of,
    reason_of,
    signed,
    words_for,
)

SET_DECISIONS = ("keep", "suggested", "other", "ambiguous", "drop", "none")
SPAN_DECISIONS = ("marked", "ambiguous", "drop")
ANSWER_DECISIONS = ("keep", "rewrite", "ambiguous", "drop")
PAIR_DECISIONS = ("a_much", "a", "same", "b", "b_much", "bad")
_KEYS = {
    "keep": "1", "suggested": "2", "other": "3", "ambiguous": "4", "drop": "5", "none": "6",
    "marked": "1", "rewrite": "3",
    "a_much": "1", "a": "2", "same": "3", "b": "4", "b_much": "5", "bad": "6",
}  # fmt: skip
_RATING_KEYS = "qwert"

MORE_WORDS = {
    "en": {
        "given": "1  Given labels", "suggested": "2  Suggested labels",
        "keep": "Keep the given labels", "suggested_key": "Use the suggested labels",
        "other": "Other labels", "none_key": "No label holds",
        "empty": "(no label)", "marked": "The marks are right now",
        "keep_answer": "The answer may stay", "rewrite": "Rewrite the answer",
        "answer": "Answer", "rating": "How good is it? 1 poor (Q) to 5 very good (T)",
        "dialogue": "Dialogue", "prompt": "Prompt",
        "a_much": "A is much better", "a": "A is better", "same": "Neither is better",
        "b": "B is better", "b_much": "B is much better", "bad": "Both are bad: drop the row",
        "marks": "Mark each span: its label's key, then the words",
    },
    "zh": {
        "given": "1  原标签", "suggested": "2  建议标签",
        "keep": "保留原标签", "suggested_key": "采用建议标签",
        "other": "其他标签", "none_key": "没有标签适用",
        "empty": "（无标签）", "marked": "标注现已正确",
        "keep_answer": "回答可以保留", "rewrite": "改写回答",
        "answer": "回答", "rating": "质量如何？1 差（Q）至 5 很好（T）",
        "dialogue": "对话", "prompt": "提示",
        "a_much": "A 好得多", "a": "A 较好", "same": "不分高下",
        "b": "B 较好", "b_much": "B 好得多", "bad": "两者都差：删除此行",
        "marks": "标注每个片段：先按标签键，再选词",
    },
}  # fmt: skip


def _words(language: str | None) -> dict[str, str]:
    plain = words_for(language)
    code = next(code for code, words in WORDS.items() if words is plain)
    return {**plain, **MORE_WORDS[code]}


def _decisions(decisions: Sequence[str], names: Mapping[str, str], *, shown: str = "true") -> str:
    choices = "".join(
        f'<Choice alias={quoteattr(key)} value={quoteattr(names[key])} hotkey="{_KEYS[key]}"/>'
        for key in decisions
    )
    return (
        '<Choices name="decision" toName="text" choice="single" required="true"'
        f' showInline="{shown}">{choices}</Choices>'
    )


def keys_in(config: str, decisions: Sequence[str]) -> set[str]:
    """Name what answers need of a configuration: decisions, labels and controls, as it has them."""
    found = {f"label {key!r}" for _, key in re.findall(r"alias=([\"'])(.*?)\1", config)}
    found |= {f"label {key!r}" for _, key in re.findall(r"<Label value=([\"'])(.*?)\1", config)}
    found -= {f"label {key!r}" for key in decisions}
    found |= {f"decision {key!r}" for key in decisions if f'alias="{key}"' in config}
    controls = re.findall(r"<(?:Choices|Labels|TextArea) name=\"(\w+)\"", config)
    return found | {f"control {name!r}" for name in controls}


def set_config(labels: Sequence[LabelText], language: str | None) -> str:
    """Write the page that asks which labels hold."""
    say = _words(language)
    names = {
        "keep": say["keep"], "suggested": say["suggested_key"], "other": say["other"],
        "ambiguous": say["ambiguous"], "drop": say["drop"], "none": say["none_key"],
    }  # fmt: skip
    picker = label_picker(labels, language, choice="multiple", opened_by=say["other"])
    return signed(
        '<View className="row-text"><Text name="text" value="$text"/></View>'
        '<View className="cards">'
        + card("given", say["given"], ("given",))
        + card("suggested", say["suggested"], ("suggested",))
        + card("why", say["why"], ("reason",))
        + "</View>"
        + _decisions(SET_DECISIONS, names)
        + picker
        + f'<Collapse open="false"><Panel value={quoteattr(say["near"])}>'
        '<Table name="near" value="$near"/></Panel></Collapse>'
    )


def set_data(
    page: Page, row: Mapping[str, Any], labels: Mapping[str, LabelText], language: str | None
) -> dict[str, Any]:
    """Give what a task about a set of labels carries."""
    del row
    say = _words(language)
    sets = {page.given, *(key for key, _, _ in page.neighbours)}
    sets |= {key for key in (page.suggested, page.conflict) if key is not None}
    named = {key: LabelText(key, _named(key, labels, say)) for key in sets}
    return {
        "row_id": page.row_id,
        "text": page.text,
        "given": named[page.given].name,
        "suggested": named[page.suggested].name if page.suggested is not None else say["none"],
        "reason": reason_of(page, named, language),
        "near": near_of(page, named),
        "priority": page.priority,
    }


def _named(value: str, labels: Mapping[str, LabelText], say: Mapping[str, str]) -> str:
    keys = json.loads(value)
    return ", ".join(labels[k].name if k in labels else k for k in keys) or say["empty"]


def span_config(labels: Sequence[LabelText], language: str | None) -> str:
    """Write the page on which spans are marked."""
    say = _words(language)
    names = {"marked": say["marked"], "ambiguous": say["ambiguous"], "drop": say["drop"]}
    every = "".join(f"<Label value={quoteattr(label.key)}/>" for label in labels)
    about = "".join(
        f'<Header value={quoteattr(f"{label.key}: {label.about}")} size="6"/>'
        for label in labels
        if label.about
    )
    return signed(
        f'<Header value={quoteattr(say["marks"])} size="5"/>'
        f'<Labels name="label" toName="text" showInline="true">{every}</Labels>{about}'
        '<View className="row-text"><Text name="text" value="$text"/></View>'
        + _decisions(SPAN_DECISIONS, names)
    )


def span_data(
    page: Page, row: Mapping[str, Any], labels: Mapping[str, LabelText], language: str | None
) -> dict[str, Any]:
    """Give what a task about spans carries; the spans are its prediction."""
    del row, labels, language
    return {"row_id": page.row_id, "text": page.text, "priority": page.priority}


def answer_config(labels: Sequence[LabelText], language: str | None) -> str:
    """Write the page that asks how good an answer is, and lets it be rewritten."""
    del labels
    say = _words(language)
    names = {
        "keep": say["keep_answer"], "rewrite": say["rewrite"], "ambiguous": say["ambiguous"],
        "drop": say["drop"],
    }  # fmt: skip
    ratings = "".join(
        f'<Choice alias="{number}" value="{number}" hotkey="{key}"/>'
        for number, key in enumerate(_RATING_KEYS, start=1)
    )
    return signed(
        f'<Header value={quoteattr(say["dialogue"])} size="5"/>'
        '<View className="row-text"><Text name="text" value="$text"/></View>'
        '<View className="cards">'
        + card("suggested", say["answer"], ("response",))
        + card("why", say["why"], ("reason",))
        + "</View>"
        + _decisions(ANSWER_DECISIONS, names)
        + f'<Header value={quoteattr(say["rating"])} size="5"/>'
        '<Choices name="rating" toName="text" choice="single" required="true" showInline="true">'
        f"{ratings}</Choices>"
        '<View visibleWhen="choice-selected" whenTagName="decision"'
        f" whenChoiceValue={quoteattr(say['rewrite'])}>"
        '<TextArea name="rewrite" toName="text" value="$response" rows="8" editable="true"'
        ' maxSubmissions="1"/></View>'
    )


def pair_config(labels: Sequence[LabelText], language: str | None) -> str:
    """Write the page that asks which of two answers is the better one."""
    del labels
    say = _words(language)
    return signed(
        f'<Header value={quoteattr(say["prompt"])} size="5"/>'
        '<View className="row-text"><Text name="text" value="$text"/></View>'
        '<View className="cards">'
        + card("a", "A", ("a",))
        + card("b", "B", ("b",))
        + "</View>"
        + _decisions(PAIR_DECISIONS, say)
    )


def dialogue(messages: Sequence[Mapping[str, Any]]) -> str:
    """Write messages as plain text; the only one needs no role."""
    if len(messages) == 1:
        return str(messages[0]["content"]) or " "
    return "\n".join(f"[{m['role']}] {m['content']}" for m in messages) or " "
