"""Names and addresses that a text announces: `my name is ...`, `Dear Ms ...`, `我叫...`.

The one idea: without a model a name is told by what stands before it, an address by the way
addresses are written. That finds what people write about themselves in messages and forms, and
misses a name that stands bare; a model finds more, where the user names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑罗梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢"
    "姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温庞殷洪"
)
_COMPOUND = "欧阳|上官|司马|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|夏侯|司徒"
_SURNAME = f"(?:{_COMPOUND}|[{_SURNAMES}])"
# What follows a name of two characters and is not its third: 我叫张伟今年, 联系人李雷电话.
_FOLLOWS = (
    "今我在的了是来你您他她住手电身，。、；！？,.;!?"
    "和与及了要想有从到给为于因已就也都请收地家先女小老"
)
_ZH_NAME = f"{_SURNAME}[一-鿿](?:(?![{_FOLLOWS}])[一-鿿])?"
_ZH_CUES = (
    "(?:我叫|我的名字是|我的名字叫|名字叫|本人姓名|姓名(?:是|为|叫)?|收件人(?:是)?|收货人(?:是)?|联系人(?:是)?|户主"
    "|持卡人(?:是)?|患者|客户姓名|签收人)[::  ]{0,2}"
)
_ZH_NAMED = re.compile(
    rf"{_ZH_CUES}(?P<name>{_ZH_NAME})"
    rf"|(?P<signed>(?!))|(?P<titled>{_SURNAME}(?:(?![{_FOLLOWS}])[一-鿿]){{0,2}}?)(?=先生|女士|小姐)"
)
_PART = r"(?:[A-Z]['’][A-Z][a-zà-ÿ]+|[A-Z][a-zà-ÿ]+(?:['’-][A-Z]?[a-zà-ÿ]+)*|[A-Z]\.)"
_FULL = rf"{_PART}(?: (?:van |de |der |von |bin |al-|el-|O['’])?{_PART}){{0,3}}"
_EN_NAMED = re.compile(
    r"(?<![A-Za-z])(?:(?i:my (?:full )?name is|my name['’]s|i am called|they call me"
    r"|signed by|patient name"
    r"|(?:full |customer |account )?name|attn|contact person|cardholder|beneficiary)"
    rf"(?: ?[:=-] ?|[ ]+)(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?(?P<name>{_FULL})"
    rf"|(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Doctor|Sir|Madam|Dear)\.? "
    rf"(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?(?P<titled>{_FULL})"
    rf"|(?i:i am|i['’]m|regards,?|sincerely,?)\s+(?P<signed>{_PART} {_PART}))"
)
_NO_NAMES = frozenset(
    ["Sir", "Madam", "Customer", "Team", "Support", "All", "Friend", "Friends", "User", "Client",
     "Sirs", "Colleague", "Colleagues", "Mr", "Mrs", "Ms", "Miss", "Dr", "Prof", "God", "Lord",
     "I", "My", "The", "This", "You", "We", "It", "He", "She", "And", "Or", "But", "Not", "On",
     "Pepper", "Google", "Bank", "Change", "Is", "Was", "Doctor"]
)  # fmt: skip

_NAMES_IN_ED = (
    "ahmed", "mohamed", "mohammed", "muhammed", "hamed", "saeed", "syed", "javed", "waheed",
    "majeed", "rasheed", "reed", "fred", "mildred", "eldred", "jared", "reid", "sneed",
)  # fmt: skip


def announced_names(text: str) -> Iterator[tuple[int, int]]:
    """Give the places of names that a text announces.

    >>> text = "Dear Ms Jane Doe, 我叫张伟今年"
    >>> [text[start:end] for start, end in announced_names(text)]
    ['Jane Doe', '张伟']
    """
    for pattern in (_EN_NAMED, _ZH_NAMED):
        for match in pattern.finditer(text):
            group = match.lastgroup or "name"
            start, end = match.span(group)
            start += _titles(text[start:end])
            if start < end and _may_be_name(text[start:end].split(maxsplit=1)[0]):
                yield start, end


def _may_be_name(word: str) -> bool:
    """Whether a capital word after a title is a name: `Dr. Prescribed it` opens a sentence."""
    verb = word.endswith("ed") and not word.lower().endswith(_NAMES_IN_ED)
    return word not in _NO_NAMES and not verb


def _titles(name: str) -> int:
    """Count the characters of titles that open a name: Dear Mr Smith."""
    opened = re.match(r"(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )+", name)
    return opened.end() if opened else 0


_EN_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq"
    r"|Terrace|Way|Highway|Hwy|Parkway|Pkwy|Crescent|Close|Gardens)"
)
_EN_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9$€£¥.,])[0-9]{{1,5}}[A-Za-z]?,? (?:(?:North|South|East|West|N|S|E|W)\.? )?"
    rf"(?:(?:[A-Z][a-zà-ÿ'’]+|[0-9]{{1,3}}(?:st|nd|rd|th)) ){{1,4}}{_EN_STREET}(?![A-Za-z])\.?"
    r"(?:,? (?:Apt|Apartment|Unit|Suite|Ste|Flat|#)\.? ?[0-9A-Z-]{1,6})?"
    r"(?:, [A-Z][a-zà-ÿ'’]+(?: [A-Z][a-zà-ÿ'’]+){0,2})?"
    r"(?:,? [A-Z]{2}(?![A-Za-z0-9]))?"
    r"(?:,? (?:[0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2})(?![0-9A-Za-z]))?"
)
_PO_BOX = re.compile(r"(?<![A-Za-z])P\.? ?O\.? Box [0-9]{1,6}", re.IGNORECASE)
_ZH_TAIL = r"(?:[一-鿿0-9A-Za-z-]{0,12}?(?:室|楼|单元|栋|幢|层|户|座|号)){0,4}"
_ZH_ADDRESS = re.compile(
    r"[一-鿿]{2,24}(?:路|街|大道|巷|弄|胡同|街道|村|小区|花园|苑)(?:[0-9A-Za-z]{1,6}|[一二三四五六七八九十百]{1,5})"
    rf"(?:号|弄|栋|幢|座){_ZH_TAIL}"
)
_ZH_BEFORE = re.compile(
    "住在|居住在|住址|住|地址|位于|寄到|寄往|送到|送往|发到|发往|搬到|来到|回到|在|到|往|寄|送|是|为|给"
)
_ZH_OPENING = re.compile(
    "北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东"
    "|海南|四川|贵州|云南|陕西|甘肃|青海|内蒙古|广西|西藏|宁夏|新疆"
)


def announced_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Give the places of postal addresses, from the street or the province on.

    >>> text = "at 12 High Street, Leeds, LS1 4AP now, 我住在杭州市文一路38号2单元"
    >>> [text[start:end] for start, end in announced_addresses(text)]
    ['12 High Street, Leeds, LS1 4AP', '杭州市文一路38号2单元']
    """
    for pattern in (_EN_ADDRESS, _PO_BOX):
        for match in pattern.finditer(text):
            yield match.span()
    for match in _ZH_ADDRESS.finditer(text):
        start = match.start()
        if opened := _ZH_OPENING.search(text, *match.span()):
            start = opened.start()
        else:
            before = [m.end() for m in _ZH_BEFORE.finditer(text, *match.span())]
            start = max([at for at in before if at < match.end() - 4], default=start)
        yield start, match.end()
