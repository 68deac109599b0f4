r"""What an augmenter must leave verbatim, found on the raw text before anything else looks at it.

The one idea: a text is cut into pieces that join to exactly the same text. Only pieces of kind
`latin` (words) are ever shown to an augmenter; amounts, addresses, dates, placeholders, white
space, Chinese and emoji are not, so there is nothing to restore or to re-space afterwards.

The order of the patterns matters, the earlier one wins at the same place: addresses before words
and references (else `链接https://...` is cut), dates before amounts before numbers (else
`2024-05-06` is three numbers). Character classes are ASCII: `\w` and `\b` do not end where Chinese
begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import RowRefusedError

_DIGIT = "[0-9０-９]"
_NUMBER = rf"{_DIGIT}(?:[0-9０-９.,]{{0,30}}{_DIGIT})?"
_NOT_AFTER_WORD = r"(?<![A-Za-z0-9])"
_NOT_BEFORE_LETTER = r"(?![A-Za-z])"
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\.?"
)
_DAY = r"[0-9]{1,2}(?:st|nd|rd|th)?"
_TOP_LEVEL = (
    "com|org|net|edu|gov|info|biz|app|dev|shop|io|ai|co|cn|hk|tw|jp|uk|de|fr|es|it|nl|eu|us|in|ru"
)
_CURRENCY = "USD|EUR|GBP|CNY|RMB|JPY|INR|CHF|AUD|CAD|HKD"
_MONEY_WORD = (
    rf"(?:(?:{_CURRENCY}|dollars?|euros?|pounds?|pence|cents?|yuan|bucks|quid|percent)"
    rf"{_NOT_BEFORE_LETTER}|[$€£¥￥₹%％‰]|万元|美元|欧元|日元|港币|元|块钱|块|圆|角|分钱)"
)
_UNIT = (
    r"(?:(?:kilometers?|kilometres?|kilograms?|millimeters?|centimeters?|milliliters?|liters?|litres?"
    r"|meters?|metres?|grams?|inches|inch|feet|foot|yards?|miles?|ounces?|lbs?|oz|kg|mg|mcg|km|cm|mm"
    r"|ml|gb|mb|kb|tb|kwh|mph|hz|khz|mhz|ghz|hours?|hrs?|minutes?|mins?|seconds?|secs?|days?|weeks?"
    r"|months?|years?|yrs?|times|degrees?|[gmlthvw])(?![A-Za-z0-9])"
    r"|[°℃℉]C?F?|小时|分钟|公斤|千克|毫升|厘米|毫米|平方米|公里|个月|星期|[天个件号斤克米升寸次周年月日岁台双套盒瓶包份条张人点折万亿])"
)

_PATTERNS: dict[str, str] = {
    "braces2": r"\$?\{\{[^{}\n]{1,80}\}\}",
    "braces": r"\$?\{[^{}\n]{0,80}\}",
    "angles": r"</?[A-Za-z_][^<>\n]{0,80}>",
    "brackets": r"\[(?:[A-Z][A-Z0-9 _.:-]{0,60}|[A-Za-z_][A-Za-z0-9_.:-]{0,60})\]",
    "percent_format": (
        r"%\([A-Za-z_][A-Za-z0-9_]{0,60}\)[#0-9.+ -]{0,6}[A-Za-z]|%[sdif](?![A-Za-z])"
    ),
    "url": (
        r"(?:[hH][tT][tT][pP][sS]?|[fF][tT][pP])://[!#-;=?-~À-ɏ]*[#$%&+\-/0-9=@A-Z_a-z~À-ɏ]"
        r"|(?<![A-Za-z0-9@.])[wW]{3}\.[!#-;=?-~À-ɏ]*[#$%&+\-/0-9=@A-Z_a-z~À-ɏ]"
    ),
    "email": (
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"
    ),
    "domain": (
        rf"(?<![A-Za-z0-9@.-])(?:[A-Za-z0-9-]{{1,63}}\.){{1,8}}(?:{_TOP_LEVEL})(?![A-Za-z0-9-])"
        r"(?:/[!#-;=?-~]*[#$%&+\-/0-9=@A-Z_a-z~])?"
    ),
    "date": (
        rf"(?<!{_DIGIT})(?:{_DIGIT}{{4}}([-/.]){_DIGIT}{{1,2}}\1{_DIGIT}{{1,2}}"
        rf"(?:T[0-9:.]{{4,15}}(?:Z|[+-][0-9:]{{4,6}})?)?"
        rf"|{_DIGIT}{{2,4}}年(?:{_DIGIT}{{1,2}}月(?:{_DIGIT}{{1,2}}[日号])?)?"
        rf"|{_DIGIT}{{1,2}}月{_DIGIT}{{1,2}}[日号]?"
        rf"|{_DIGIT}{{1,2}}([-/.]){_DIGIT}{{1,2}}\2{_DIGIT}{{2,4}})(?!{_DIGIT})"
        rf"|{_NOT_AFTER_WORD}{_DAY} (?:of )?{_MONTH}{_NOT_BEFORE_LETTER}(?:,? [0-9]{{4}}(?![0-9]))?"
        rf"|{_NOT_AFTER_WORD}{_MONTH} (?:{_DAY}(?:,? [0-9]{{4}})?|[0-9]{{4}})(?![A-Za-z0-9])"
    ),
    "time": (
        rf"(?<!{_DIGIT}){_DIGIT}{{1,2}}[:：]{_DIGIT}{{2}}(?:[:：]{_DIGIT}{{2}})?"
        r"(?: ?[aApP]\.?[mM](?:\.|(?![A-Za-z])))?(?![0-9])"
        rf"|{_NOT_AFTER_WORD}[0-9]{{1,2}} ?[aApP]\.?[mM](?:\.|(?![A-Za-z]))"
        rf"|{_DIGIT}{{1,2}}点(?:{_DIGIT}{{1,2}}分|半)?"
    ),
    "amount": (
        rf"(?:US|HK|AU|CA|NT)?[$€£¥￥₹] ?{_NUMBER}(?:[kKmM]{_NOT_BEFORE_LETTER})?"
        rf"|{_NOT_AFTER_WORD}(?:{_CURRENCY}) ?{_NUMBER}"
        rf"|{_NOT_AFTER_WORD}{_NUMBER} ?{_MONEY_WORD}"
    ),
    "quantity": rf"{_NOT_AFTER_WORD}{_NUMBER}[ -]?{_UNIT}",
    "reference": (
        r"(?<![A-Za-z0-9])[#@](?:[A-Za-z0-9_]+)(?:[-/_][A-Za-z0-9]+)*"
        r"|(?<![A-Za-z0-9])(?=[A-Za-z0-9/_-]{0,64}[0-9])"
        r"(?=[0-9/_-]{0,64}[A-Za-z]|[0-9]+[-/_][0-9A-Za-z])[A-Za-z0-9]+(?:[-/_][A-Za-z0-9]+)*"
    ),
    "number": _NUMBER,
}
_ANY_CASE = ("domain", "date", "amount", "quantity")


def _numbered(pattern: str, taken: int) -> str:
    """Shift the back references of a pattern by the groups that stand before it."""
    return re.sub(r"\\([12])(?![0-9])", lambda m: rf"\{int(m[1]) + taken}", pattern)


def _join_patterns() -> re.Pattern[str]:
    parts: list[str] = []
    groups = 0
    for kind, pattern in _PATTERNS.items():
        shifted = _numbered(pattern, groups + 1)
        parts.append(f"(?P<{kind}>(?{'i' if kind in _ANY_CASE else ''}:{shifted}))")
        groups += 1 + re.compile(pattern).groups
    return re.compile("|".join(parts))


SPAN_KINDS = tuple(_PATTERNS)
_SPAN = _join_patterns()
# Every pattern needs one of these; trying them all at every letter costs four times as much.
_SIGN = re.compile(r"[0-9０-９@#{<\[%]|://|\.[A-Za-z]|[wW]{3}\.")

_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ\u0300-\u036f"
_GAP = re.compile(
    rf"(?P<latin>[{_LATIN}]+(?:['’][{_LATIN}]+)*)"
    r"|(?P<han>[㐀-䶿一-鿿豈-﫿\U00020000-\U0003134f]+)"
    # Flags are pairs; skin tones, variation selectors and joiners belong to what they follow.
    r"|(?P<emoji>[\U0001f1e6-\U0001f1ff]{2}"
    r"|[\U0001f300-\U0001faff☀-➿](?:[\U0001f3fb-\U0001f3ff\ufe0f]"
    r"|\u200d[\U0001f300-\U0001faff☀-➿])*)"
    r"|(?P<space>\s+)"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A protected stretch of a text, in Unicode code points, end exclusive."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text.

    text: as it stands there.
    kind: latin, han, emoji, space, other, or the kind of a protected span.
    """

    text: str
    kind: str


def protected_spans(text: str) -> list[Span]:
    """Find what must stay verbatim: addresses, amounts, dates, times, references, placeholders.

    Returns:
        Spans in order, not overlapping; their kinds are among SPAN_KINDS.

    >>> [text for text in (span_text("refund $12.50 by 2024-05-06, see {{card}}"))]
    ['$12.50', '2024-05-06', '{{card}}']
    """
    if not _SIGN.search(text):
        return []
    return [Span(m.start(), m.end(), m.lastgroup or "") for m in _SPAN.finditer(text)]


def span_text(text: str) -> list[str]:
    """Give the protected stretches themselves, in order."""
    return [text[span.start : span.end] for span in protected_spans(text)]


def pieces(text: str) -> list[Piece]:
    """Cut a text into pieces; joined, they are the text again, exactly.

    >>> [piece.text for piece in pieces("付了$5 for it")]
    ['付了', '$5', ' ', 'for', ' ', 'it']
    """
    found: list[Piece] = []
    at = 0
    for span in protected_spans(text):
        found += _gap_pieces(text[at : span.start])
        found.append(Piece(text[span.start : span.end], span.kind))
        at = span.end
    return found + _gap_pieces(text[at:])


def _gap_pieces(text: str) -> list[Piece]:
    found: list[Piece] = []
    at = 0
    for match in _GAP.finditer(text):
        if match.start() > at:
            found.append(Piece(text[at : match.start()], "other"))
        found.append(Piece(match.group(), match.lastgroup or ""))
        at = match.end()
    return [*found, Piece(text[at:], "other")] if at < len(text) else found


def change_words(text: str, change: Callable[[Sequence[str]], Sequence[str]]) -> str:
    """Replace the Latin words of a text, all else staying as it is.

    Args:
        text: Any text.
        change: Takes the words in order, gives as many words back.

    Returns:
        The text with the new words in the places of the old.

    Raises:
        RowRefusedError: The text has no Latin word outside protected spans, or `change` gave back
            another number of words.
    """
    cut = pieces(text)
    words = [piece.text for piece in cut if piece.kind == "latin"]
    if not words:
        raise RowRefusedError("no Latin words")
    changed = change(words)
    if len(changed) != len(words):
        raise RowRefusedError(f"{len(words)} words went in, {len(changed)} came back")
    after = iter(changed)
    return "".join(next(after) if piece.kind == "latin" else piece.text for piece in cut)
