"""Protected spans: the few characters of a text that change what it says, and whether two differ.

The one idea: a span carries its *value* in one spelling (`$12.50` and `12.5 dollars` are one
amount, `6 May 2024` and `2024-05-06` one date), so two texts are compared by what they say and not
by how they write it. Two near-equal texts of different values are two facts, not one repeated.

Kinds: placeholder, url, email, date, time, amount (money), dose (mass, volume, tablets, how often),
quantity (any other number with a unit), id (a reference of letters and digits, or seven digits and
more), number, negation (with the word it negates), name (a named entity).

Names are told without a model: capitals inside a sentence, initialisms, mixed case; in Chinese a
list of places, banks and payment services, titles after a surname, and what ends like an
institution. A name that opens a sentence is missed unless the caller passes it in `names`
(`names_in` learns them from a corpus). In doubt two texts differ: a kept duplicate costs a little,
a dropped fact is lost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from curator.measures import (
    CODE,
    DATE,
    DIGITS,
    EN_COUNTS,
    FREE,
    HOW_OFTEN,
    PLAIN_COUNTS,
    SIGN,
    TIME,
    UNIT,
    WORD_END,
    ZH_NUMBER,
    ZH_UNIT,
    counted,
    date_said,
    measured,
    number_said,
    time_said,
    words,
)

KINDS = (
    "placeholder", "url", "email", "date", "time", "amount", "dose", "quantity", "id", "number",
    "negation", "name",
)  # fmt: skip
"""In the order in which a difference is reported."""

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0xFFE5: 0xA5}
# Wide commas and question marks alone are punctuation; looking for the others is ten times faster.
_IS_WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ＠．＋－（）：／＿＝＃％＄￥｛｝［］＜＞　]")


@dataclass(frozen=True, slots=True)
class Span:
    """A protected stretch of a text.

    start, end: Unicode code points, end exclusive.
    kind: One of KINDS.
    value: What it says, in one spelling; never shown to anyone.
    """

    start: int
    end: int
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a text is protected, made once and compared often.

    spans: In order, not overlapping.
    words: The text in lower case, for looking a name up in it.
    """

    spans: tuple[Span, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The first protected thing in which two texts differ.

    kind: One of KINDS.
    one, other: Where it stands in each text; None where that text has nothing of its own there.
    """

    kind: str
    one: tuple[int, int] | None
    other: tuple[int, int] | None

    def __str__(self) -> str:
        """Say kind and positions, never the values: `amount at 12..18, in the other at 12..17`."""
        sides = ("at {}..{}", self.one), ("in the other at {}..{}", self.other)
        return f"{self.kind} " + ", ".join(said.format(*at) for said, at in sides if at)


def narrow(text: str) -> str:
    """Give the text with full-width letters, digits and signs as plain ones; same length.

    >>> narrow("１２３４＠ａ")
    '1234@a'
    """
    return text if text.isascii() or not _IS_WIDE.search(text) else text.translate(_WIDE)


def texts_differ(
    one: str, other: str, *, names: AbstractSet[str] = frozenset()
) -> Difference | None:
    """Tell the first protected thing in which two texts differ, or None where they say the same.

    Args:
        one: Any text.
        other: Any text.
        names: Words in lower case that are names wherever they stand.

    >>> print(texts_differ("I was charged $12.50 twice", "I was charged 12.50 dollars twice"))
    None
    >>> print(texts_differ("take 5 mg daily", "take 50 mg daily"))
    dose at 5..9, in the other at 5..10
    """
    return difference(facts_of(one, names=names), facts_of(other, names=names))


def facts_of(text: str, *, names: AbstractSet[str] = frozenset()) -> Facts:
    """Find what of a text is protected; compare two results with `difference`."""
    return Facts(tuple(protected(text, names=names)), narrow(text).casefold())


def difference(one: Facts, other: Facts) -> Difference | None:
    """Compare two texts by their protected values, each counted.

    A name counts as missing only where the other text does not have its letters at all, so
    `Visa` and `visa` are one.
    """
    left, right = Counter(map(_key, one.spans)), Counter(map(_key, other.spans))
    here = [span for span in one.spans if _key(span) in left - right]
    there = [span for span in other.spans if _key(span) in right - left]
    here = [span for span in here if span.kind != "name" or not _named(other.words, span.value)]
    there = [span for span in there if span.kind != "name" or not _named(one.words, span.value)]
    if _negated_alike(one, other, here, there):
        here, there = ([s for s in side if s.kind != "negation"] for side in (here, there))
    for kind in KINDS:
        first = next((span for span in here if span.kind == kind), None)
        second = next((span for span in there if span.kind == kind), None)
        if first or second:
            return Difference(kind, _place(first), _place(second))
    return None


def _negated_alike(one: Facts, other: Facts, here: list[Span], there: list[Span]) -> bool:
    """Whether as much is negated in both, and what is negated in the one is not said in the other.

    `not gotten` for `not got` is another wording; `not charged but ordered` against `charged but
    not ordered` is another fact: both words stand in both texts.
    """
    count = [sum(span.kind == "negation" for span in side.spans) for side in (one, other)]
    swapped = [
        any(s.kind == "negation" and _has(words, s.value.removeprefix("not ")) for s in side)
        for side, words in ((here, other.words), (there, one.words))
    ]
    return count[0] == count[1] and not all(swapped)


def _key(span: Span) -> tuple[str, str]:
    return span.kind, span.value


def _place(span: Span | None) -> tuple[int, int] | None:
    return None if span is None else (span.start, span.end)


def _named(words: str, name: str) -> bool:
    """Whether a name stands in a text, be it in the plural: ATM, ATMs."""
    return any(_has(words, form) for form in (name, name.removesuffix("s"), name + "s"))


def _has(words: str, name: str) -> bool:
    """Whether a name stands in a text as words of its own; Chinese has no word ends."""
    at = words.find(name)
    while at >= 0:
        around = words[max(at - 1, 0) : at] + words[at + len(name) : at + len(name) + 1]
        if not name.isascii() or not any(c.isascii() and c.isalnum() for c in around):
            return True
        at = words.find(name, at + 1)
    return False


def protected(text: str, *, names: AbstractSet[str] = frozenset()) -> list[Span]:
    """Find the protected spans of a text.

    Args:
        text: Any text.
        names: Words in lower case that are names wherever they stand.

    Returns:
        Spans in order, not overlapping.

    >>> [(s.kind, s.value) for s in protected("没收到2024年5月6日的￥１２．５０")]
    [('negation', 'not 收'), ('date', '2024-5-6'), ('amount', '12.5 cny')]
    """
    plain = narrow(text)
    found = []
    for match in _SPAN.finditer(plain):
        kind = match.lastgroup or ""
        if kind == "skip":
            continue
        kind, value = _VALUES[kind](match.group())
        found.append(Span(match.start(), match.end(), kind, value))
    return _with_names(plain, found, names)


# Negations

_PASSED_OVER = (
    "(?:(?:really|even|yet|very|so|been|have|to|be|a|an|the|any|my|your|his|her|our|their|this|that"
    "|是|有|能|会|要|再|可以)(?![A-Za-z]) ?)?"
)
_EN_NOT = (
    r"(?<![A-Za-z])(?i:not(?! only)|never|no(?!\.? ?[0-9])|none|nobody|nothing|neither|nor|nowhere"
    r"|without|cannot|unable|[a-z]{2,7}n['’]t"
    r"|(?:ca|do|wo|does|did|is|was|are|were|have|has|had|would|could|should|must)nt)(?![A-Za-z])"
)
_ZH_NOT = "没有|沒有|没|沒|不|未|无法|无|無|勿|别|非|甭"
_NOT_NOT = (
    "差不多|对不起|不好意思|不过|不仅|不但|不管|不论|不断|不错|不客气|不同|不少|不久|不然|了不起|非常"
    "|除非|无论|无所谓|别人|别的|别处|特别|分别|区别|级别|性别|类别|识别|告别|个别|差别|未来|没事"
    "|(?P<twice>[一-鿿])[不没](?P=twice)|有没有|能不能|是不是"
)
_NOT = re.compile(
    rf"(?:{_EN_NOT}|{_ZH_NOT})\s?{_PASSED_OVER}(?P<next>[a-z]+|[一-鿿])?", re.IGNORECASE
)


def _negation(said: str) -> tuple[str, str]:
    match = _NOT.match(said)
    return "negation", f"not {(match['next'] or '').lower() if match else ''}".rstrip()


# Names

_PLACES = words(
    "北京 上海 天津 重庆 河北 山西 辽宁 吉林 黑龙江 江苏 浙江 安徽 福建 江西 山东 河南 湖北 "
    "湖南 广东 海南 四川 贵州 云南 陕西 甘肃 青海 台湾 内蒙古 广西 西藏 宁夏 新疆 香港 澳门 "
    "广州 深圳 杭州 南京 苏州 武汉 成都 西安 青岛 大连 宁波 厦门 郑州 长沙 沈阳 哈尔滨 济南 "
    "合肥 福州 昆明 无锡 东莞 佛山 中国 美国 英国 法国 德国 日本 韩国 俄罗斯 印度 加拿大 "
    "澳大利亚 新加坡 泰国 马来西亚 越南 意大利 西班牙 巴西"
)
_BRANDS = words(
    "工行 农行 中行 建行 交行 招行 邮政 顺丰 圆通 中通 申通 韵达 京东 天猫 淘宝 拼多多 微信 "
    "支付宝 银联 花呗 借呗 云闪付 华为 小米 苹果 三星 联通 移动 电信 阿莫西林 布洛芬 头孢 "
    "阿司匹林"
)
_TITLED = "[一-鿿](?:先生|女士|小姐|医生|大夫|老师|经理|主任|教授|律师)"
_INSTITUTIONS = "[一-鿿]{2}(?:银行|公司|医院|大学|集团|法院|药业|证券|保险|省|县)"
_NAMED = (
    r"(?<=[a-z,;:)0-9] )[A-Z][A-Za-z]+(?:['’-][A-Za-z]+)*|(?<![A-Za-z0-9])[A-Z]{2,8}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])[A-Za-z]?[a-z]+[A-Z][A-Za-z]*"
)
_NO_NAMES = frozenset(words("i i'm i've i'd i'll ok am pm id no the and or not"))
_CAPITALS = 0.6  # a larger share of capitalised words is a style (a headline, shouting), not names
_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")


def _name(said: str) -> tuple[str, str]:
    return "name", said.casefold()


def _with_names(text: str, found: list[Span], names: AbstractSet[str]) -> list[Span]:
    written = _WORD.findall(text)
    shouted = sum(word[0].isupper() for word in written) > _CAPITALS * len(written) > 0
    kept = [s for s in found if s.kind != "name" or not (s.value.isascii() and shouted)]
    kept = [s for s in kept if s.value not in _NO_NAMES]
    if not names:
        return kept
    taken = {at for span in kept for at in range(span.start, span.end)}
    more = [m for m in _WORD.finditer(text) if m.group().casefold() in names]
    kept += [
        Span(m.start(), m.end(), "name", m.group().casefold())
        for m in more
        if taken.isdisjoint(range(m.start(), m.end()))
    ]
    return sorted(kept, key=lambda span: span.start)


def names_in(texts: Iterable[str], *, min_count: int = 3, min_share: float = 0.9) -> frozenset[str]:
    """Learn which words of a corpus are names: those written with a capital inside sentences.

    Args:
        texts: Texts in any order; the result does not depend on it.
        min_count: A word needs so many capitals inside a sentence.
        min_share: Share of its places inside sentences at which it has a capital, 0..1.

    Returns:
        Words in lower case; empty for scripts without capitals.
    """
    inside = re.compile(r"(?<=[a-z,;)] )[A-Za-z]+(?:['’-][A-Za-z]+)*")
    capital: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for text in texts:
        for word in inside.findall(narrow(text)):
            places[word.casefold()] += 1
            capital[word.casefold()] += word[0].isupper() and not word.isupper()
    told = {w for w, n in capital.items() if n >= min_count and n >= min_share * places[w]}
    return frozenset(told - _NO_NAMES)


# All kinds, the earlier wins at the same place

_PLACEHOLDER = (
    r"\$?\{\{[^{}\n]{1,80}\}\}|\$?\{[^{}\n]{0,80}\}|</?[A-Za-z_][^<>\n]{0,80}>"
    r"|\[[A-Z][A-Z0-9_ :.-]{0,60}\]|%\([A-Za-z_][A-Za-z0-9_]{0,60}\)[sdif]"
)
_MEASURED = (
    rf"(?:{SIGN} ?|(?<![A-Za-z]){CODE} ?){DIGITS}(?:[kKmM]{WORD_END})?"
    rf"|{FREE}{DIGITS}(?:[kK](?= ?{UNIT}))?[ -]?{UNIT}"
    rf"|(?<![A-Za-z])(?i:{EN_COUNTS})[ -]{UNIT}"
    rf"|{ZH_NUMBER}(?:{ZH_UNIT})"
)
_REFERENCE = (
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9/_-]{0,64}[0-9])(?=[0-9/_-]{0,64}[A-Za-z]|[0-9]+[-/_][0-9])"
    r"[A-Za-z0-9]{1,64}(?:[-/_][A-Za-z0-9]{1,64}){0,12}"
)


def _reference(said: str) -> tuple[str, str]:
    return "id", re.sub("[^0-9a-z]", "", said.lower())


_TIMES = {"once": "1 time", "twice": "2 time", "thrice": "3 time"}


def _often(said: str) -> tuple[str, str]:
    return "dose", _TIMES.get(said.lower(), said.lower())


def _kept(kind: str) -> Callable[[str], tuple[str, str]]:
    return lambda said: (kind, said.lower())


_PATTERNS: dict[str, tuple[str, Callable[[str], tuple[str, str]]]] = {
    "placeholder": (
        _PLACEHOLDER,
        _kept("placeholder"),
    ),
    "url": (
        r"(?i:(?:https?|ftp)://|(?<![a-z0-9@.])www\.)[!#-;=?-~]{0,2000}[#$%&+\-/0-9=@A-Z_a-z~]",
        _kept("url"),
    ),
    "email": (
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}",
        _kept("email"),
    ),
    "date": (DATE, date_said),
    "time": (TIME, time_said),
    "measured": (
        _MEASURED,
        measured,
    ),
    "often": (
        rf"(?<![A-Za-z])(?i:{'|'.join(HOW_OFTEN.split())}){WORD_END}",
        _often,
    ),
    "id": (
        _REFERENCE,
        _reference,
    ),
    "number": (DIGITS, counted),
    "word_number": (
        rf"(?<![A-Za-z])(?i:{PLAIN_COUNTS}){WORD_END}",
        lambda said: ("number", number_said(said)),
    ),
    "skip": (_NOT_NOT, _kept("skip")),
    "negation": (
        rf"(?:{_EN_NOT}|{_ZH_NOT})(?:\s?{_PASSED_OVER}(?:[A-Za-z]+|[一-鿿]))?",
        _negation,
    ),
    "name": ("|".join([*_PLACES, *_BRANDS, _TITLED, _INSTITUTIONS, _NAMED]), _name),
}


def _joined() -> re.Pattern[str]:
    parts: list[str] = []
    groups = 0
    for kind, (pattern, _) in _PATTERNS.items():
        parts.append(f"(?P<{kind}>{_numbered(pattern, groups + 1)})")
        groups += 1 + re.compile(pattern).groups
    return re.compile("|".join(parts))


def _numbered(pattern: str, taken: int) -> str:
    """Shift the back references of a pattern by the groups that stand before it."""
    return re.sub(r"\\([12])(?![0-9])", lambda found: rf"\{int(found[1]) + taken}", pattern)


_VALUES = {kind: value for kind, (_, value) in _PATTERNS.items()}
_SPAN = _joined()
