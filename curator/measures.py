"""What a number in a text says: its pattern and its value in one spelling.

Money, doses, quantities, dates and times, in English and Chinese; `spans` joins these patterns
with those of references, negations and names. Texts are narrow: full-width digits are plain ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal


def words(told: str) -> list[str]:
    """Give the words of a table written as prose."""
    return told.split()


DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,6}(?![0-9])|[0-9]{1,40})(?:\.[0-9]{1,20})?"
FREE = r"(?<![A-Za-z0-9.])"
WORD_END = r"(?![A-Za-z])"
_EN_NUMBERS = {
    word: str(number)
    for number, word in [
        *enumerate(words("zero one two three four five six seven eight nine ten eleven twelve")),
        (15, "fifteen"), (20, "twenty"), (30, "thirty"), (40, "forty"), (50, "fifty"),
        (60, "sixty"), (90, "ninety"), (100, "hundred"), (1000, "thousand"), (10**6, "million"),
        (0.5, "half"),
    ]
}  # fmt: skip
_ZH_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0, "半": 0.5}
_ZH_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 10**8}
ZH_NUMBER = "[零〇一二三四五六七八九十百千万亿两半]{1,12}"

_MONEY = {
    "usd": "$ us$ usd dollar dollars buck bucks 美元 美金",
    "eur": "€ eur euro euros 欧元",
    "gbp": "£ gbp pound pounds quid 英镑",
    "cny": "¥ ￥ cny rmb yuan 元 块 块钱 圆 人民币 元钱",
    "jpy": "jpy yen 日元", "inr": "₹ inr rupee rupees", "krw": "₩ krw", "hkd": "hk$ hkd 港币 港元",
    "cent": "cent cents pence 分钱 角 毛钱", "wan": "万元 万块",
}  # fmt: skip
_DOSE = {
    "mg": "mg milligram milligrams 毫克", "mcg": "mcg µg ug microgram micrograms 微克",
    "g": "g gram grams 克", "ml": "ml cc milliliter milliliters 毫升", "iu": "iu units unit 单位",
    "tablet": "tablet tablets tab tabs pill pills capsule capsules 片 粒 颗 丸 胶囊",
    "dose": "dose doses drop drops puff puffs injection injections 滴 针 剂 支",
    "time": "time times x 次 遍",
}  # fmt: skip
_UNITS = {
    "%": "% percent 个百分点", "second": "second seconds sec secs s 秒 秒钟",
    "minute": "minute minutes min mins 分钟 分",
    "hour": "hour hours hr hrs h 小时 个小时 钟头", "day": "day days 天 日",
    "week": "week weeks wk wks 周 星期 个星期",
    "month": "month months mo 月 个月", "year": "year years yr yrs 年 岁",
    "kg": "kg kilo kilos kilogram kilograms 公斤 千克", "lb": "lb lbs", "oz": "oz ounce ounces",
    "jin": "斤", "km": "km kilometers kilometres 公里", "m": "m meter meters metre metres 米",
    "cm": "cm 厘米", "mm": "mm 毫米", "inch": "inch inches 英寸 寸", "ft": "ft feet foot",
    "mile": "mile miles", "l": "l liter liters litre litres 升", "gb": "gb g流量", "mb": "mb",
    "degree": "degree degrees ° °c °f 度",
    "piece": "个 件 台 双 套 盒 瓶 包 份 条 张 人 位 家 款 箱 袋 只 本",
}  # fmt: skip
HOW_OFTEN = (
    "once twice thrice daily weekly monthly hourly nightly yearly annually bid tid qid qd prn"
)


def _spelt(units: dict[str, str]) -> dict[str, str]:
    return {spelling: unit for unit, said in units.items() for spelling in said.split()}


_UNIT_OF = {
    spelling: (kind, unit)
    for kind, units in (("quantity", _UNITS), ("dose", _DOSE), ("amount", _MONEY))
    for spelling, unit in _spelt(units).items()
}


def _any_of(spellings: Iterable[str]) -> str:
    """Alternate spellings, the longest first; what ends in a Latin letter ends with the word."""
    told = sorted(spellings, key=lambda s: (-len(s), s))
    return "|".join(
        re.escape(s) + (WORD_END if s[-1].isascii() and s[-1].isalpha() else "") for s in told
    )


UNIT = f"(?i:{_any_of(_UNIT_OF)})"
ZH_UNIT = _any_of(s for s in _UNIT_OF if not s.isascii() and s[0] > "\u2fff")
SIGN = r"(?:US|HK|us|hk)?[$€£¥￥₹₩]"
CODE = "(?i:USD|EUR|GBP|CNY|RMB|JPY|INR|HKD|KRW)"
_PARTS = re.compile(
    rf"(?P<sign>{SIGN}|{CODE})? ?(?P<number>{DIGITS}|[A-Za-z]+|{ZH_NUMBER})(?P<scale>[kKmM])?"
    rf"[ -]?(?P<unit>{UNIT})?$"
)


def number_said(said: str) -> str:
    """Give a number in one spelling; what is none stays as it is.

    >>> number_said("1,250.50"), number_said("twelve"), number_said("二十五")
    ('1250.5', '12', '25')
    """
    if said[0].isascii() and said[0].isdigit():
        number = Decimal(said.replace(",", ""))
        return f"{number:f}".rstrip("0").rstrip(".") if "." in said else said.replace(",", "")
    if said.lower() in _EN_NUMBERS:
        return _EN_NUMBERS[said.lower()]
    return f"{_chinese(said):g}" if said[0] in _ZH_DIGITS or said[0] in _ZH_POWERS else said


def _chinese(said: str) -> float:
    total = part = last = 0.0
    for char in said:
        if char in _ZH_DIGITS:
            last = _ZH_DIGITS[char]
        elif _ZH_POWERS[char] >= _ZH_POWERS["万"]:
            total, part, last = (total + part + last) * _ZH_POWERS[char], 0.0, 0.0
        else:
            part, last = part + (last or 1) * _ZH_POWERS[char], 0.0
    return total + part + last


def measured(said: str) -> tuple[str, str]:
    """Give the kind of a number with its unit, and both in one spelling."""
    parts = _PARTS.match(said)
    if parts is None:
        return "number", said.lower()
    number = number_said(parts["number"]) + (parts["scale"] or "").lower()
    unit = (parts["sign"] or parts["unit"] or "").lower()
    if not unit:
        return "number", number
    kind, name = _UNIT_OF[unit]
    return kind, f"{number} {name}"


def date_said(said: str) -> tuple[str, str]:
    """Give a date in one spelling: year, month and day as far as they are said."""
    word = said.lower().rstrip(".")
    months = [m for m in re.findall("[a-z]{3}", word) if m in _MONTHS]
    numbers = [str(int(n)) for n in re.findall("[0-9]+", word)]
    if not months:
        return "date", "-".join(numbers) if numbers else word
    year = [n for n in numbers if len(n) == 4]  # noqa: PLR2004 - a year has four digits
    day = [n for n in numbers if n not in year]
    return "date", "-".join([*year, str(_MONTHS.index(months[0]) + 1), *day])


def time_said(said: str) -> tuple[str, str]:
    """Give a time of day in one spelling."""
    numbers = [str(int(n)) for n in re.findall("[0-9]+", said)]
    half = "30" if "半" in said else ""
    day_half = re.sub("[^apm]", "", said.lower())
    shown = [*numbers, *([half] if half else [])] + ["0"] * (len(numbers) == 1 and not half)
    return "time", ":".join(shown) + day_half


_LONG_NUMBER = 7


def counted(said: str) -> tuple[str, str]:
    """Give a number without a unit: seven digits and more are a reference."""
    if said.isdigit() and len(said) >= _LONG_NUMBER:
        return "id", said
    return "number", number_said(said)


# Dates and times

_MONTHS = words("jan feb mar apr may jun jul aug sep oct nov dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = "[0-9]{1,2}(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:mon|tues?|wednes|thurs?|fri|satur|sun)day"
DATE = (
    r"(?<![0-9])(?:[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}(?![0-9])"
    r"|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4}(?![0-9])"
    r"|[0-9]{4}年(?:[0-9]{1,2}月(?:[0-9]{1,2}[日号])?)?|[0-9]{1,2}月[0-9]{1,2}[日号]?"
    r"|[0-9]{1,2}[日号](?![A-Za-z0-9]))"
    rf"|(?i:{FREE}{_DAY}(?: of)? {_MONTH}{WORD_END}(?:,? [0-9]{{4}}(?![0-9]))?"
    rf"|(?<![A-Za-z]){_MONTH} {_DAY}(?![0-9A-Za-z])(?:,? [0-9]{{4}}(?![0-9]))?"
    rf"|(?<![A-Za-z])(?:{_WEEKDAY}s?|today|tomorrow|yesterday){WORD_END})"
    "|(?:周|星期|礼拜)[一二三四五六日天]|今天|明天|昨天|前天|后天|去年|今年|明年"
)
TIME = (
    r"(?<![0-9])[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[aApP]\.?[mM]\b)?(?![0-9])"
    rf"|{FREE}[0-9]{{1,2}} ?[aApP]\.?[mM]{WORD_END}"
    "|(?<![0-9])[0-9]{1,2}点(?:[0-9]{1,2}分|半)?"
)
EN_COUNTS = "|".join(sorted(_EN_NUMBERS, key=len, reverse=True))
PLAIN_COUNTS = "|".join(w for w in sorted(_EN_NUMBERS, key=len, reverse=True) if w != "one")
