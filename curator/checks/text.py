"""Texts that are broken, marked up, badly spaced, empty or too short, and what they should say.

The one idea: a fix is a function from text to text, so the same three fixes make the findings of
training rows and, as a serving transform, repair what a model is asked. They run in the given
order; after each, the earlier ones run again until nothing changes (an entity may hide broken
encoding), so the last result is a fixed point: fixing twice is fixing once.

- `unicode`: broken encoding (mojibake), control characters. Curly quotes, full-width forms,
  ligatures and decomposed letters are legitimate and stay.
- `html`: entities, escaped once or more often; comments, scripts and known tags. Tags that end a
  line of sight (`<br>`, `<p>`, `<td>`) leave a space, the others nothing. `a < b`, `<3`, `{{card}}`
  and `<NAME>` stay; tag names that are also words (`<code>`, `<time>`, `<a>`) count only with an
  attribute or with their closing tag.
- `whitespace`: runs become one space, runs with a line break one newline (lines carry meaning,
  how many are empty does not); no-break and other wide spaces become plain ones, a single
  ideographic space stays; none at the ends. Invisible characters go, but joiners between letters
  or emoji stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, partial
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curator.errors import RecipeError
from curator.rewriting import rewritten, suggestion_of, texts_of
from curator.schema import findings
from curator.shingles import ENTITY, change_where, unescape
from curator.tasks import task_of

Fix = Literal["unicode", "html", "whitespace"]
ALL_FIXES: tuple[Fix, ...] = ("unicode", "html", "whitespace")

_SHOWN_CHARS = 24
_WINDOW = 32  # characters compared to find a first change among several


@dataclass(frozen=True, slots=True)
class DropText:
    """Which texts are of no use after the fixes.

    min_chars: fewest characters a text needs, white space not counted; 0 lets all pass.
    """

    min_chars: int = 2


def clean(
    rows: pa.Table, *, fix: Sequence[Fix] = ALL_FIXES, drop: DropText = DropText()
) -> pa.Table:
    """Find texts that need a fix and texts that are empty or too short after all fixes.

    Args:
        rows: Rows of any task; any split (test rows are fixed when served, never dropped).
        fix: Fixes to try, in this order: unicode, html, whitespace.
        drop: Which texts are of no use.

    Returns:
        Findings by row, then fix. Issue types unicode, html, whitespace: the suggestion is the
        text after this fix and those before it, so the last one of a row is its fixed text (a JSON
        object of the changed cells where spans or messages are concerned). Issue type span_edit:
        a text that stays as it is, as a fix would lose one of its spans.
        Issue types empty (score 1) and too_short (score: share of min_chars that is missing).

    Raises:
        RecipeError: A fix is unknown or named twice, or min_chars is negative.
    """
    _check_options(fix, drop)
    ids = rows["id"].to_pylist()
    if not task_of(rows).is_plain_text:
        parts = sorted(_in_parts(rows, fix, drop), key=lambda item: item[:2])
        return findings({"row_id": ids[at], "check": "clean", **said} for at, _, said in parts)
    texts = pl.Series("text", rows["text"], dtype=pl.String)
    found: list[tuple[int, int, dict[str, object]]] = []
    for stage, name in enumerate(fix):
        fixed = _close(texts, fix[: stage + 1])
        for at in (fixed != texts).arg_true().to_list():
            record = {
                "issue_type": name,
                "suggestion": fixed[at],
                "evidence": _difference(texts[at], fixed[at]),
            }
            found.append((at, stage, record))
        texts = fixed
    found += ((at, len(fix), record) for at, record in _useless(texts, drop))
    found.sort(key=lambda item: item[:2])
    return findings({"row_id": ids[at], "check": "clean", **record} for at, _, record in found)


def _in_parts(
    rows: pa.Table, fix: Sequence[Fix], drop: DropText
) -> Iterator[tuple[int, int, dict[str, object]]]:
    """Look at texts with spans, and at messages: what changes is told cell by cell."""
    now = rows
    for stage, name in enumerate(fix):
        made = rewritten(now, partial(fix_texts, fix=fix[: stage + 1]))
        old, owner = texts_of(now)
        new, _ = texts_of(made.rows)
        first: dict[int, int] = {}
        for place in np.flatnonzero(pc.not_equal(old, new).to_numpy(zero_copy_only=False)).tolist():
            first.setdefault(int(owner[place]), place)
        for at, place in first.items():
            evidence = _difference(old[place].as_py(), new[place].as_py())
            told = {"suggestion": suggestion_of(rows, made.rows, at), "evidence": evidence}
            yield at, stage, {"issue_type": name, **told}
        for at in np.flatnonzero(made.unedited).tolist():
            evidence = f"the fix {name} would change a text within a span; nothing was changed"
            yield at, stage, {"issue_type": "span_edit", "evidence": evidence}
        now = made.rows
    left = pl.Series("text", task_of(now).input_text(now), dtype=pl.String)
    yield from ((at, len(fix), record) for at, record in _useless(left, drop))


def fix_texts(texts: pa.Array | pa.ChunkedArray, *, fix: Sequence[Fix] = ALL_FIXES) -> pa.Array:
    """Fix texts as `clean` suggests it; fixing the result again changes nothing.

    Args:
        texts: n texts, none null.
        fix: Fixes to apply, in this order.

    Returns:
        String array, shape (n,), same order.

    Raises:
        RecipeError: A fix is unknown or named twice.
    """
    _check_options(fix, DropText())
    fixed = pl.Series("text", texts, dtype=pl.String)
    for stage in range(len(fix)):
        fixed = _close(fixed, fix[: stage + 1])
    return fixed.to_arrow().cast(pa.string())


def _check_options(fix: Sequence[str], drop: DropText) -> None:
    if unknown := [name for name in fix if name not in ALL_FIXES]:
        raise RecipeError(f"clean: fix {unknown[0]!r} is not one of {list(ALL_FIXES)}")
    if len(set(fix)) < len(fix):
        raise RecipeError(f"clean: fix {list(fix)} names one fix twice; name each once")
    if drop.min_chars < 0:
        raise RecipeError(
            f"clean: drop.min_chars is {drop.min_chars}; expected 0 or more characters"
        )


def _useless(texts: pl.Series, drop: DropText) -> Iterator[tuple[int, dict[str, object]]]:
    chars = texts.str.replace_all(r"\s+", "").str.len_chars()
    for at in (chars < max(drop.min_chars, 1)).arg_true().to_list():
        count = chars[at]
        if count:
            unit = "character" if count == 1 else "characters"
            evidence = f"{count} {unit}, expected at least {drop.min_chars}"
            score = 1 - count / drop.min_chars
            yield at, {"issue_type": "too_short", "score": score, "evidence": evidence}
        elif drop.min_chars:
            yield at, {"issue_type": "empty", "score": 1.0, "evidence": "no characters"}


def _difference(before: str, after: str) -> str:
    """Show the first place where two texts differ, invisible characters spelt out."""
    same = _common_chars(before, after)
    before, after = before[same:], after[same:]
    tail = _common_chars(before[::-1], after[::-1])
    old, new = before[: len(before) - tail], after[: len(after) - tail]
    more = ""
    if len(old) > _SHOWN_CHARS:
        window = SequenceMatcher(None, before[:_WINDOW], after[:_WINDOW], autojunk=False)
        _, _, old_end, _, new_end = window.get_opcodes()[0]
        old, new = before[:old_end], after[:new_end]
        more = ", and more" if before[old_end:] != after[new_end:] else ""
    return (f"{_shown(old)} became {_shown(new)}" if new else f"{_shown(old)} removed") + more


def _common_chars(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _shown(text: str) -> str:
    short = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
    return repr(short)


def _close(texts: pl.Series, fix: Sequence[Fix]) -> pl.Series:
    """Apply the last fix; where it changed a text, apply all of them until nothing changes."""
    fixed = _FIXES[fix[-1]](texts)
    changed = (fixed != texts).arg_true()
    while len(changed):
        before = fixed.gather(changed)
        after = before
        for name in fix:
            after = _FIXES[name](after)
        fixed = fixed.scatter(changed, after)
        changed = changed.gather((after != before).arg_true())
    return fixed


# unicode


def _unicode(texts: pl.Series) -> pl.Series:
    return change_where(texts, texts.str.contains(_suspicious()), _repair)


def _repair(texts: pl.Series) -> pl.Series:
    import ftfy

    config = ftfy.TextFixerConfig(
        unescape_html=False,
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        fix_line_breaks=False,
        normalization=None,
        explain=False,
    )
    return pl.Series([ftfy.fix_text(text, config) for text in texts], dtype=pl.String)


@cache
def _suspicious() -> str:
    """Give the pattern of texts worth ftfy's time: 2 % of ordinary rows instead of all.

    Broken encoding shows UTF-8 lead and continuation bytes as letters of a one-byte encoding, one
    after the other; for each encoding ftfy can undo, these letters are a pattern.
    """
    from ftfy.chardata import CHARMAP_ENCODINGS

    encodings = [name for name in CHARMAP_ENCODINGS if name != "ascii"]
    leads, follows = bytes(range(0xC2, 0xF5)), bytes(range(0x80, 0xC0))
    pairs = (f"[{_letters(leads, name)}][{_letters(follows, name)}]" for name in encodings)
    spaced = "[ÂÃÅÎÐÙâã] "  # a no-break space that became a plain one
    control = r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u206a-\u206f\ufeff\ufff9-\ufffd]"
    return "|".join([control, spaced, *dict.fromkeys(pairs)])


def _letters(codes: bytes, encoding: str) -> str:
    decoded = codes.decode(encoding, "ignore")
    return "".join(f"\\u{ord(letter):04x}" for letter in decoded)


# html

_BLOCK_TAGS = (
    "br hr p div table tr td th thead tbody tfoot ul ol li dl dt dd h1 h2 h3 h4 h5 h6 pre "
    "blockquote center html head body meta iframe img"
)
_INLINE_TAGS = "b i u em strong span font big small sub sup tt strike del ins nobr wbr"
_WORD_TAGS = (
    "a abbr address area article aside audio base button canvas caption cite code col data "
    "details dfn dialog embed figure figcaption footer form header input kbd label legend link "
    "main map mark menu meter nav noscript object option output param picture progress q samp "
    "section select source summary template textarea time title track var video"
)
_SPACED = frozenset(
    (_BLOCK_TAGS + " address article aside caption footer header option section").split()
)
_PLAIN = frozenset((_BLOCK_TAGS + " " + _INLINE_TAGS).split())
_NAMES = "|".join(sorted({*_PLAIN, *_WORD_TAGS.split()}, key=len, reverse=True))
_FLAGS = "checked|disabled|selected|hidden|nowrap|noshade|controls|required|readonly|multiple|open"
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s"'<>]+)"""
_ATTRIBUTES = rf"(?:\s+(?:[a-zA-Z_:][\w:.-]*\s*=\s*{_VALUE}|(?:{_FLAGS})\b))*"
_TAG = rf"(?i)<(/?)({_NAMES})({_ATTRIBUTES})\s*/?>"
_TAG_RE = re.compile(_TAG)
_DOCTYPE_RE = re.compile(r"(?i)<!doctype\s[^<>]*>")
_HIDDEN = {  # what ends it: the whole of it
    "-->": re.compile(r"(?s)<!--.*?-->"),
    "</script>": re.compile(r"(?is)<script\b[^<>]*>.*?</script>"),
    "</style>": re.compile(r"(?is)<style\b[^<>]*>.*?</style>"),
}


def _html(texts: pl.Series) -> pl.Series:
    return change_where(texts, texts.str.contains(rf"{ENTITY}|<[/!a-zA-Z]"), _plain_all)


def _plain_all(texts: pl.Series) -> pl.Series:
    return pl.Series([_without_markup(text) for text in texts], dtype=pl.String)


def _without_markup(text: str) -> str:
    """Give the text as a browser would show it, its lines joined by spaces."""
    plain = _DOCTYPE_RE.sub(" ", unescape(text))
    for end, hidden in _HIDDEN.items():
        # Behind the last end nothing can match: a thousand openings there would cost their square.
        last = plain.lower().rfind(end) + len(end) if end in plain.lower() else 0
        plain = hidden.sub(" ", plain[:last]) + plain[last:]
    tags = [(match[1], match[2].lower()) for match in _TAG_RE.finditer(plain)]
    paired = {name for slash, name in tags if slash} & {name for slash, name in tags if not slash}

    def shown(match: re.Match[str]) -> str:
        name = match[2].lower()
        if name not in _PLAIN and name not in paired and not match[3]:
            return match.group()
        return " " if name in _SPACED else ""

    return _TAG_RE.sub(shown, plain)


# white space

_INVISIBLE = r"[\u00ad\u180e\u200b\u2060\ufeff]"
_JOINERS = r"[\u200c\u200d]"
_STRAY_JOINERS_RE = re.compile(rf"(?<![^\x00-\x7f\s]){_JOINERS}+|{_JOINERS}+(?![^\x00-\x7f\s])")
_LINE_BREAKS = r"\s*[\n\r\x0b\x0c\x85\u2028\u2029]\s*"


def _whitespace(texts: pl.Series) -> pl.Series:
    texts = texts.str.replace_all(_INVISIBLE, "")
    texts = change_where(texts, texts.str.contains(_JOINERS), _without_stray_joiners)
    texts = texts.str.replace_all(_LINE_BREAKS, "\n")
    return texts.str.replace_all(r"[^\S\n]{2,}|[^\S \n\u3000]", " ").str.strip_chars()


def _without_stray_joiners(texts: pl.Series) -> pl.Series:
    return pl.Series([_STRAY_JOINERS_RE.sub("", text) for text in texts], dtype=pl.String)


_FIXES: dict[Fix, Callable[[pl.Series], pl.Series]] = {
    "unicode": _unicode,
    "html": _html,
    "whitespace": _whitespace,
}
