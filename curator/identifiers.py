r"""Personal data in a text: where it stands and of which kind it is, told by shape *and* proof.

The one idea: a shape alone proposes, something independent of it decides: a checksum (bank card,
IBAN, resident id), a numbering plan (phone), a parser (IP), or the words around it (passport,
order numbers that look like a card). Nothing here asks a model; names and addresses are told only
where the text itself announces them, and a model, where one is named, adds its own.

Texts are narrow (full-width signs as plain ones) and classes are ASCII: `\w` and `\b` do not end
where Chinese begins.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from curator.announced import announced_addresses, announced_names
from curator.spans import narrow

Kind = Literal[
    "secret", "email", "iban", "cn_id", "card", "ip", "phone", "passport", "address", "name"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Where two overlap, the earlier kind wins."""


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data of one kind at one place of a text, in code points, end exclusive."""

    start: int
    end: int
    kind: str


def personal_spans(
    text: str, *, kinds: Sequence[str] = KINDS, regions: Sequence[str] = ("CN", "US", "GB")
) -> list[Found]:
    """Find personal data in a text.

    Args:
        text: Any text.
        kinds: Which of KINDS to look for.
        regions: Countries whose phone numbers are told without a country code.

    Returns:
        In order, not overlapping.

    >>> personal_spans("mail bob@site.example, 卡号６２２２０２１００１１１６２４５５７９。")[0]
    Found(start=5, end=21, kind='email')
    """
    plain = narrow(text)
    found = [
        Found(start, end, kind)
        for kind in KINDS
        if kind in kinds and _SIGNS[kind].search(plain)
        for start, end in (_phones(plain, regions) if kind == "phone" else _FINDERS[kind](plain))
    ]
    return apart(found)


def apart(found: Sequence[Found]) -> list[Found]:
    """Keep of overlapping finds the earlier in the sequence; sorted by place."""
    kept: list[Found] = []
    taken: set[int] = set()
    for one in found:
        places = range(one.start, one.end)
        if taken.isdisjoint(places):
            taken.update(places)
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


# What stands before a number says what it is

_CUE_CHARS = 24
_REFERENCE = re.compile(
    r"(?:order|invoice|tracking|parcel|shipment|reference|ref|transaction|txn|ticket|case|serial|sku"
    r"|model|isbn|barcode|batch|article)(?:[ _]?(?:number|no|nr|id|code))?[^a-z0-9]{0,4}(?:is )?$"
    r"|(?:订单|单号|运单|快递|流水|编号|货号|型号|交易|案号|工单|批号|条码|发票)[号码为是:：#\s]{0,5}$"
)


def _before(text: str, start: int) -> str:
    return text[max(start - _CUE_CHARS, 0) : start].lower()


def _is_reference(text: str, start: int) -> bool:
    return _REFERENCE.search(_before(text, start)) is not None


# E-mail

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+/-])[A-Za-z0-9](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?"
    r"(?:@| ?(?:\[at\]|\(at\)|\{at\}) ?)"
    r"(?:[A-Za-z0-9-]{1,63}(?:\.| ?(?:\[dot\]|\(dot\)|\{dot\}) ?)){1,8}"
    r"[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_FILES = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|css|js|ts|py|html?)$", re.IGNORECASE)


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for match in _EMAIL.finditer(text):
        if not _FILES.search(match.group()):
            yield match.span()


# Bank card

_CARD = re.compile(
    r"(?<![0-9A-Za-z.+-])(?:[0-9]{4}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{1,3})?"
    r"|3[47][0-9]{2}([ -]?)[0-9]{6}\2[0-9]{5}|3[068][0-9]{2}([ -]?)[0-9]{6}\3[0-9]{4}"
    r"|62[0-9]{4}([ -])[0-9]{10,13})(?![0-9A-Za-z]|[.-][0-9])"
)
_ISSUERS = (
    (re.compile("4"), {13, 16, 19}),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile("3[47]"), {15}),
    (re.compile("62|81"), {16, 17, 18, 19}),
    (re.compile("60[01]|64[4-9]|65|508"), {16}),
    (re.compile("35(?:2[89]|[3-8])"), {16, 19}),
    (re.compile("36|38|39|30[0-5]"), {14}),
    (re.compile("220[0-4]"), {16}),
)


def luhn(digits: str) -> bool:
    """Whether digits carry a valid Luhn check digit (ISO/IEC 7812).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = sum(map(int, digits[-1::-2]))
    return (total + sum(sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])) % 10 == 0


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = re.sub("[^0-9]", "", match.group())
        issued = any(head.match(digits) and len(digits) in n for head, n in _ISSUERS)
        if (
            issued
            and len(set(digits)) > 1
            and luhn(digits)
            and not _is_reference(text, match.start())
        ):
            yield match.span()


# IBAN

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_COUNTRIES = (
    "15:NO 16:BE 18:DK,FO,FI,GL,NL,SD 19:MK,SI 20:AT,BA,EE,KZ,XK,LT,LU 21:HR,LV,LI,CH "
    "22:BG,CR,DE,GE,IE,ME,RS,GB,VA,BH 23:TL,GI,IQ,IL,AE,OM,SO "
    "24:AD,CZ,MD,PK,RO,SA,SK,ES,SE,TN,VG 25:LY,PT,ST 26:IS,TR 27:BI,FR,GR,IT,MC,MR,SM,DJ "
    "28:AL,AZ,BY,CY,DO,GT,HU,LB,NI,PL,SV 29:BR,EG,PS,QA,UA 30:JO,KW,MU 31:MT,SC 32:LC 33:RU"
)
_IBAN_LENGTHS = {
    code: int(length)
    for length, codes in (entry.split(":") for entry in _COUNTRIES.split())
    for code in codes.split(",")
}


def mod97(iban: str) -> bool:
    """Whether an IBAN without spaces, in capitals, carries a valid check (ISO 13616).

    >>> mod97("GB82WEST12345698765432")
    True
    """
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(text[match.start() : match.start() + 2].upper(), 0)
        signs = [at for at in range(*match.span()) if text[at].isalnum()]
        if not length or len(signs) < length:
            continue
        end = signs[length - 1] + 1
        inside = end < match.end() and text[end].isalnum()
        if not inside and mod97("".join(text[at] for at in signs[:length]).upper()):
            yield match.start(), end


# Chinese resident id

_CN_ID = re.compile(
    r"(?<![0-9A-Za-z])[1-9][0-9]{5}([ -]?)(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])"
    r"(?:0[1-9]|[12][0-9]|3[01])\1[0-9]{3}[0-9Xx](?![0-9A-Za-z])"
)
_PROVINCES = frozenset(
    [11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51,
     52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83]
)  # fmt: skip
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_LONG_MONTHS = frozenset([1, 3, 5, 7, 8, 10, 12])


def resident_id(digits: str) -> bool:
    """Whether 18 signs are a Chinese resident id: province, date and check sign (GB 11643).

    >>> resident_id("11010519491231002X")
    True
    """
    year, month, day = int(digits[6:10]), int(digits[10:12]), int(digits[12:14])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = 31 if month in _LONG_MONTHS else 30 if month != 2 else 28 + leap  # noqa: PLR2004 - February
    total = sum(w * int(d) for w, d in zip(_ID_WEIGHTS, digits[:17], strict=True))
    sound = "10X98765432"[total % 11] == digits[17].upper()
    return sound and day <= days and int(digits[:2]) in _PROVINCES


def _resident_ids(text: str) -> Iterator[tuple[int, int]]:
    for match in _CN_ID.finditer(text):
        if resident_id(re.sub("[ -]", "", match.group())):
            yield match.span()


# Phone

_WORLD = re.compile(r"(?<![0-9A-Za-z+])(?:\+|00)[1-9](?:[ ().-]{0,2}[0-9]){6,14}(?![0-9])")
_CN_MOBILE = re.compile(
    r"(?<![0-9A-Za-z.+-])1[3-9][0-9](?:([ -]?)[0-9]{4}\1[0-9]{4}|[ -]?[0-9]{3}[ -][0-9]{5})"
    r"(?![0-9A-Za-z]|[.-][0-9])"
)
_SHAPED = re.compile(
    r"(?<![0-9A-Za-z.,+$€£¥#/-])(?:\(0?[0-9]{2,5}\) ?|0?[0-9]{2,5}[ .-])[0-9]{3,4}"
    r"(?:[ .-]?[0-9]{3,5}){1,2}(?![0-9A-Za-z]|[.,/-][0-9])"
)
_LANDLINE = re.compile(r"(?<![0-9A-Za-z.+-])0[1-9][0-9]{1,2}-?[0-9]{7,8}(?![0-9A-Za-z]|[.-][0-9])")
_BARE = re.compile(r"(?<![0-9A-Za-z.,+$€£¥#/-])[0-9]{10,11}(?![0-9A-Za-z]|[.,/-][0-9])")
_CALLED = re.compile(
    r"(?:phone|mobile|cell|tel|telephone|call(?: me| us)?|whatsapp|text me|fax|number is|contact"
    r"|电话|手机|联系方式|致电|拨打|热线|微信|号码)[^0-9]{0,12}$"
)

_PLANS = {"GB": ("GB", "GG", "JE", "IM"), "US": ("US", "CA")}
"""Countries that share a code: their numbers look alike to who reads them."""
_FORMS = {
    "US": re.compile("1?[2-9][0-9]{2}[2-9][0-9]{6}"),
    "GB": re.compile("0[1-37][0-9]{8,9}"),
}
"""How numbers are formed, also those that plans reserve (555) or do not give out yet."""
_NEVER = re.compile("(?!)")


def _phones(text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    for match in _WORLD.finditer(text):
        number = re.sub("^00", "+", re.sub(r"[^0-9+]", "", match.group()))
        # Reserved and new numbers are in no plan yet; the sign of a country's code speaks for them.
        told = number.startswith("+") and match.group()[0] == "+" and _possible(number)
        if (told or dialled(number, None)) and not _is_reference(text, match.start()):
            yield match.span()
    if "CN" in regions:
        for match in _CN_MOBILE.finditer(text):
            if not _is_reference(text, match.start()) and not _among_figures(text, match):
                yield match.span()
    for pattern in (_SHAPED, _LANDLINE, _BARE):
        for match in pattern.finditer(text):
            called = _CALLED.search(_before(text, match.start())) is not None
            if (called or pattern is not _BARE) and _national(text, match, regions, called):
                yield match.span()


def _national(text: str, match: re.Match[str], regions: Sequence[str], called: bool) -> bool:  # noqa: FBT001 - private
    if _is_reference(text, match.start()) or _among_figures(text, match):
        return False
    number = re.sub("[^0-9]", "", match.group())
    spaced = not re.search(r"[().-]", match.group())
    if spaced and not called and not number.startswith("0"):
        return False  # figures in a row look like this too
    formed = called or not spaced
    return any(
        (formed and _FORMS.get(region, _NEVER).fullmatch(number))
        or any(dialled(number, plan) for plan in _PLANS.get(region, (region,)))
        for region in regions
    )


def _among_figures(text: str, match: re.Match[str]) -> bool:
    """Whether a number written in groups is a part of a longer row of groups."""
    if match.group().isdigit():
        return False
    before, after = text[max(match.start() - 2, 0) : match.start()], text[match.end() :][:2]
    return any(
        len(two) > 1 and two[at].isdigit() and two[1 - at] in " -"
        for two, at in ((before, 0), (after, 1))
    )


@lru_cache(maxsize=65_536)
def dialled(number: str, region: str | None) -> bool:
    """Whether the numbering plans of the world know a number."""
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, region)))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=65_536)
def _possible(number: str) -> bool:
    """Whether a number with a country's code has a length its country knows."""
    import phonenumbers

    try:
        read = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return False
    return (
        phonenumbers.is_possible_number(read)
        and str(read.national_number)[:3] != "100"
        and (not read.italian_leading_zero)
    )


# IP

_IP4 = re.compile(
    r"(?<![0-9A-Za-z.])(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}"
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?![0-9A-Za-z]|\.[0-9])"
)
_IP6 = re.compile(
    r"(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f:.]*[0-9])[0-9A-Fa-f:]{4,45}(?:\.[0-9.]{5,12})?(?![0-9A-Za-z:])"
)
_VERSION = re.compile(
    r"(?:version|release|firmware|build|driver|section|chapter|clause|\bv|版本|固件|章节|第)[^0-9a-z]{0,4}$"
)
_LEAST_GROUPS = 3


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for match in _IP4.finditer(text):
        if not _VERSION.search(_before(text, match.start())):
            yield match.span()
    for match in _IP6.finditer(text):
        said = match.group().rstrip(":") if not match.group().endswith("::") else match.group()
        groups = [group for group in re.split("[:.]", said) if group]
        if (
            said.count(":") > 1
            and (len(groups) >= _LEAST_GROUPS or said == "::1")
            and _is_ip6(said)
        ):
            yield match.start(), match.start() + len(said)


def _is_ip6(said: str) -> bool:
    try:
        ipaddress.IPv6Address(said)
    except ValueError:
        return False
    return True


# Passport

_PASSPORT = re.compile(
    r"(?:passport(?:[ _](?:number|no|nr|num|id))?|护照(?:号码|号|编号)?)[^A-Za-z0-9\n]{0,6}"
    r"(?:(?:is|are|was|number|no)[^A-Za-z0-9\n]{0,4}){0,2}"
    r"(?P<number>[A-Z]{0,2}[0-9]{6,9}|[A-Z][A-Z0-9][0-9]{7})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_MRZ = re.compile(
    r"P<[A-Z]{3}[A-Z<]{20,39}\s?(?P<number>[A-Z0-9<]{9}[0-9][A-Z]{3}[0-9]{7}[MFX<][0-9]{7})"
)


def _passports(text: str) -> Iterator[tuple[int, int]]:
    for match in _PASSPORT.finditer(text):
        yield match.span("number")
    for match in _MRZ.finditer(text):
        yield match.span()


# Secrets and keys

_KEYS = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}|LTAI[0-9A-Za-z]{12,26}|AKID[0-9A-Za-z]{32}|AIza[0-9A-Za-z_-]{35}"
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255}|glpat-[A-Za-z0-9_-]{20,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,250}|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}"
    r"|sk-(?:[a-z]{2,8}-){0,2}[A-Za-z0-9_-]{20,250}|hf_[A-Za-z0-9]{30,40}|npm_[A-Za-z0-9]{36}"
    r"|pypi-[A-Za-z0-9_-]{50,255}|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"
    r"|eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,1000}"
    r")(?![A-Za-z0-9_-])"
    r"|-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----(?s:.{0,8000}?)-----END [A-Z ]{0,24}PRIVATE KEY-----"
    r"|(?<=://)[^\s/:@]{1,64}:[^\s/@]{1,128}(?=@)"
)
_ASSIGNED = re.compile(
    r"(?:password|passwd|passphrase|pwd|secret|api[ _-]?key|access[ _-]?key|auth[ _-]?token|token"
    r"|密码|口令|密钥)"
    r"(?: ?(?:=|:|：|是|为)|[ ]is)[ \"'`“]{0,3}(?P<value>[!-~]{6,200})",
    re.IGNORECASE,
)
_LEAST_ENTROPY = (
    2.5  # bits per sign; English words of eight letters reach it, so digits are asked too
)
_LONG_SECRET = 20


def entropy(value: str) -> float:
    """Give the bits per sign of a value's own signs."""
    n = len(value)
    return -sum(c / n * math.log2(c / n) for c in Counter(value).values())


def _secrets(text: str) -> Iterator[tuple[int, int]]:
    for match in _KEYS.finditer(text):
        yield match.span()
    for match in _ASSIGNED.finditer(text):
        value = re.split("[,;]", match["value"])[0].rstrip(".:!?)]}'\"`")
        mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        if (
            mixed
            and entropy(value) >= _LEAST_ENTROPY
            and not value.startswith(("http", "{", "<", "["))
        ):
            yield match.start("value"), match.start("value") + len(value)


_FINDERS: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "secret": _secrets, "email": _emails, "iban": _ibans, "cn_id": _resident_ids, "card": _cards,
    "ip": _ips, "passport": _passports, "address": announced_addresses, "name": announced_names,
}  # fmt: skip
_DIGITS = re.compile("[0-9]{2}")
_SIGNS: dict[str, re.Pattern[str]] = {
    "secret": re.compile(
        r"(?i:AKIA|ASIA|LTAI|AKID|AIza|gh[a-z]_|github_|glpat|xox|_live_|_test_|sk-|hf_|npm_|pypi-"
        r"|SG\.|eyJ|PRIVATE KEY|://|pass|pwd|secret|key|token"
    r"|密码|口令|密钥)"
    ),
    "email": re.compile(r"@|[\[({]at[\])}]"),
    "iban": re.compile("[A-Za-z]{2}[0-9]{2}"), "cn_id": re.compile("[0-9]{6}"),
    "card": re.compile("[0-9]{4}"), "phone": re.compile("[0-9]{2}"),
    "ip": re.compile(r"[0-9]\.[0-9]|:[0-9A-Fa-f:]"),
    "passport": re.compile("(?i:passport)|护照|P<"),
    "address": re.compile("[0-9]|号"), "name": re.compile(""),
}  # fmt: skip
"""Every finder needs one of these; searching for them costs a tenth of the finder."""
