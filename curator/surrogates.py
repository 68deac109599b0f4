"""Surrogates: for each personal value another one of its kind, the same wherever it stands.

The one idea: a keyed hash (HMAC-SHA256) of the value, written in the shape of its kind. Who has the
key can make the same surrogate again, so tables can be joined; without the key nothing leads back.
Surrogates belong to nobody: cards and ids fail their checksum, phones are in no numbering plan,
e-mail is at example.org. So they are not found again, and hiding twice is hiding once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

from curator.identifiers import dialled

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_HAN = "安宁平和文武光明春秋山川江海林森石玉金银天地云雨雪风星月日辰东西南北中正方圆长青红白黄"
_SYLLABLE = f"[{_CONSONANTS}][{_VOWELS}]"
_CAPITAL = f"[{_CONSONANTS.upper()}][{_VOWELS}]"
_OWN = re.compile(
    r"u[0-9a-f]{16}@example\.org|secret_[0-9a-f]{16}|[a-z][a-z0-9_]*-[0-9a-f]{16}(?![0-9a-f])"
    rf"|{_CAPITAL}(?:{_SYLLABLE}){{2}} {_CAPITAL}(?:{_SYLLABLE}){{4}}"
    rf"|[0-9]{{1,3}} {_CAPITAL}(?:{_SYLLABLE}){{6}} Street|某[{_HAN}]{{5}}(?:路[0-9]{{1,3}}号)?"
    r"|Z0[0-9]{4,10}|(?:24[0-9]|25[0-5])(?:\.[0-9]{1,3}){3}|100::[0-9a-f:]+"
)


_CN_MOBILE = re.compile("1[3-9][0-9]{9}")
_CODE = re.compile(
    r"(?:\+|00)(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3})"
)


def own_surrogates(text: str) -> list[tuple[int, int]]:
    """Give the places of what looks like a surrogate made here."""
    return [match.span() for match in _OWN.finditer(text)]


def key_fingerprint(key: bytes) -> str:
    """Name a key without telling it: 12 hexadecimal digits."""
    return hmac.new(key, b"curator surrogate key", hashlib.sha256).hexdigest()[:12]


def surrogate(kind: str, said: str, key: bytes) -> str:
    """Give the surrogate of a value.

    Args:
        kind: A kind of `identifiers.KINDS`, or the name of a user's own.
        said: The value as it stands in the text, narrow.
        key: Secret of the dataset.

    >>> surrogate("email", "Bob@Site.example", b"k" * 16) == surrogate(
    ...     "email", "bob@site.example", b"k" * 16)
    True
    """
    stream = _Stream(kind, _canonical(kind, said), key)
    made = _SHAPES.get(kind)
    return made(said, stream) if made else f"{kind}-{stream.hexadecimal(16)}"


def _canonical(kind: str, said: str) -> str:
    """Give one spelling of a value: case, spaces and separators do not make another one."""
    if kind == "phone":
        digits = re.sub("[^0-9]", "", said)
        return re.sub("^(?:00)?86(?=1[3-9])", "", digits)
    if kind in ("card", "cn_id", "iban", "passport"):
        return re.sub("[^0-9A-Z]", "", said.upper())
    return said if kind == "secret" else " ".join(said.casefold().split())


class _Stream:
    """Numbers without end drawn from a keyed hash of one value."""

    def __init__(self, kind: str, value: str, key: bytes) -> None:
        self._seed = f"{kind}\0{value}".encode()
        self._key = key
        self._block = 0
        self._bytes: list[int] = []

    def below(self, n: int) -> int:
        """Draw a number under n; n is far below 2**32, so the bias is nothing."""
        while len(self._bytes) < 4:  # noqa: PLR2004 - four bytes a number
            message = self._seed + self._block.to_bytes(4, "big")
            self._bytes += hmac.new(self._key, message, hashlib.sha256).digest()
            self._block += 1
        taken, self._bytes = self._bytes[:4], self._bytes[4:]
        return int.from_bytes(taken, "big") % n

    def one_of(self, signs: str) -> str:
        return signs[self.below(len(signs))]

    def hexadecimal(self, n: int) -> str:
        return "".join(self.one_of("0123456789abcdef") for _ in range(n))

    def digits(self, n: int) -> str:
        return "".join(self.one_of("0123456789") for _ in range(n))

    def word(self, syllables: int) -> str:
        drawn = (self.one_of(_CONSONANTS) + self.one_of(_VOWELS) for _ in range(syllables))
        return "".join(drawn).capitalize()


def _in_shape(said: str, digits: str) -> str:
    """Put other digits in the places of a value's own; separators stay, letters become X."""
    given = iter(digits)
    return "".join(
        next(given) if sign.isdigit() else "X" if sign.isalpha() else sign for sign in said
    )


def _redrawn(said: str, stream: _Stream, head: str) -> str:
    return _in_shape(said, head + stream.digits(sum(map(str.isdigit, said)) - len(head)))


def _email(said: str, stream: _Stream) -> str:
    del said
    return f"u{stream.hexadecimal(16)}@example.org"


_PLANS = (None, "CN", "US", "GB")


def _phone(said: str, stream: _Stream) -> str:
    # No plan has numbers that begin like these; where one fits another country's, draw again.
    value = _canonical("phone", said)
    if _CN_MOBILE.fullmatch(value):
        number = _undialled(lambda: "100" + stream.digits(8), "+86")
        code = re.sub("[^0-9]", "", said)[: -len(value)]
        return _in_shape(said, code + number)
    lead = _CODE.match(said)
    head = re.sub("[^0-9]", "", lead[0]) if lead else ""
    left = len(re.sub("[^0-9]", "", said)) - len(head) - 2
    number = _undialled(lambda: "00" + stream.digits(left), f"+{head.removeprefix('00')}")
    return _in_shape(said, head + number)


def _undialled(draw: Callable[[], str], code: str) -> str:
    """Draw numbers until one is in no plan, neither with the country's code nor without."""
    while True:
        number = draw()
        if not dialled(code + number, None) and not any(dialled(number, r) for r in _PLANS[1:]):
            return number


def _card(said: str, stream: _Stream) -> str:
    return _redrawn(said, stream, "00")


def _iban(said: str, stream: _Stream) -> str:
    return said[:2].upper() + "00" + _redrawn(said[4:], stream, "")


def _resident_id(said: str, stream: _Stream) -> str:
    return _redrawn(said, stream, "99")


def _passport(said: str, stream: _Stream) -> str:
    return "Z0" + stream.digits(max(len(said) - 2, 4))


def _ip(said: str, stream: _Stream) -> str:
    if ":" in said:
        return "100::" + ":".join(f"{stream.below(60_000) + 4096:x}" for _ in range(4))
    # 240.0.0.0/4 is reserved and routed nowhere.
    return ".".join(map(str, (240 + stream.below(16), *(stream.below(256) for _ in range(3)))))


def _secret(said: str, stream: _Stream) -> str:
    del said
    return f"secret_{stream.hexadecimal(16)}"


def _name(said: str, stream: _Stream) -> str:
    if said.isascii() or said[0] < "\u2e80":
        return f"{stream.word(3)} {stream.word(5)}"
    return "某" + "".join(stream.one_of(_HAN) for _ in range(5))


def _address(said: str, stream: _Stream) -> str:
    number = stream.below(999) + 1
    if said.isascii() or said[0] < "\u2e80":
        return f"{number} {stream.word(7)} Street"
    return f"某{''.join(stream.one_of(_HAN) for _ in range(5))}路{number}号"


_SHAPES = {
    "email": _email, "phone": _phone, "card": _card, "iban": _iban, "cn_id": _resident_id,
    "passport": _passport, "ip": _ip, "secret": _secret, "name": _name, "address": _address,
}  # fmt: skip
