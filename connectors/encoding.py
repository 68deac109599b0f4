r"""Bytes to lines of text: which encoding, and what to do with bytes that are none.

The one idea: a broken byte must spoil its own record only. So text is decoded with an error handler
that turns each undecodable byte into a lone surrogate, which no valid text can hold; the readers
find it in the record it belongs to. Encodings told apart: a BOM, UTF-16 by its zero bytes, UTF-8,
and GB18030 (what Chinese spreadsheets export); any other one has to be named.
"""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from .address import Place, open_bytes
from .errors import SourceError

_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16: its mark begins with UTF-16's
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"\x84\x31\x95\x33": "gb18030",
}
_JUDGED_LINES = 2000
_LINE_BYTES = 1 << 20
# The commonest characters of Chinese; a Korean or Japanese file read as GB18030 has few of them.
_COMMON = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过"
    "发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前"
    "开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最"
    "重并物手应吗什呢吧请货单买卖价钱快退"
)


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in bad), error.end


codecs.register_error("connectors.mark", _mark)


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding and how sure it is.

    name: as Python's codecs know it.
    doubt: a sentence for the user where it was guessed on thin evidence, else None.
    """

    name: str
    doubt: str | None = None


def detect_encoding(place: Place) -> Encoding:
    """Tell a text file's encoding from its bytes.

    Broken lines do not change the answer: UTF-8 stands while at least half of the lines that are
    not plain ASCII are valid UTF-8, or while the others do not read as Chinese in GB18030.

    Raises:
        SourceError: The file cannot be opened or is empty.
    """
    with open_bytes(place) as stream:
        head = stream.read(4096)
    if not head.strip():
        raise SourceError(f"{place.address}: the file is empty; expected records")
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return Encoding(name)
    if wide := _utf16_without_mark(head):
        return Encoding(wide, f"the encoding looks like {wide} (zero bytes, no byte order mark)")
    with open_bytes(place) as stream:
        good, broken = _judge_lines(stream)
    if good >= len(broken):
        return Encoding("utf-8", _some_broken(len(broken), good) if broken else None)
    if _reads_as_chinese(broken):
        few = len(broken) < 3  # noqa: PLR2004 - a header and two rows say more than chance
        return Encoding("gb18030", "GB18030 is guessed from few lines" if few else None)
    return Encoding("utf-8", _some_broken(len(broken), good))


def _some_broken(broken: int, good: int) -> str:
    return (
        f"{broken} of the first {broken + good} lines with letters beyond ASCII are not UTF-8; "
        f"if the file has another encoding, name it with encoding: (for example cp1252)"
    )


def _utf16_without_mark(head: bytes) -> str | None:
    half = max(len(head) // 2, 1)
    even, odd = head[0::2].count(0) / half, head[1::2].count(0) / half
    high, low = 0.3, 0.05
    if odd > high and even < low:
        return "utf-16-le"
    return "utf-16-be" if even > high and odd < low else None


def _judge_lines(stream: BinaryIO) -> tuple[int, list[bytes]]:
    good, broken = 0, list[bytes]()
    while (line := stream.readline(_LINE_BYTES)) and good + len(broken) < _JUDGED_LINES:
        if line.isascii() or len(line) == _LINE_BYTES:  # a cut line could end within a character
            continue
        try:
            line.decode("utf-8")
            good += 1
        except UnicodeDecodeError:
            broken.append(line)
    return good, broken


def _reads_as_chinese(lines: list[bytes]) -> bool:
    texts = []
    for line in lines:
        try:
            texts.append(line.decode("gb18030"))
        except UnicodeDecodeError:
            continue
    chars = [char for text in texts for char in text if not char.isascii()]
    kana = sum("\u3040" <= char <= "\u30ff" for char in chars)  # EUC-JP reads as these
    if not chars or len(texts) < 0.7 * len(lines) or kana > 0.1 * len(chars):
        return False
    # Western text read as GB18030 gives rare characters outside the old national standard.
    plain = sum(bool(char.encode("gb2312", "ignore")) for char in chars)
    common = sum(char in _COMMON for char in chars)
    # Measured share of common ones: CIC .57 (20 sentences: at least .42), Korean EUC-KR .03.
    enough_to_count = 20
    return plain >= 0.8 * len(chars) and (
        len(chars) < enough_to_count or common >= 0.15 * len(chars)
    )


@contextmanager
def open_text(place: Place, encoding: str, *, newline: str) -> Iterator[io.TextIOWrapper]:
    r"""Open a place as text in which broken bytes are lone surrogates U+DC00 + byte.

    Args:
        place: What to open.
        encoding: Name of the encoding; a byte order mark is taken off.
        newline: As for `open`: "" keeps every kind of line end, "\n" splits at line feeds only.

    Raises:
        SourceError: The encoding is unknown, or the zip around the file is damaged.
    """
    try:
        name = codecs.lookup(encoding).name
        with open_bytes(place) as raw:
            stream = io.TextIOWrapper(
                raw,
                encoding="utf-8-sig" if name == "utf-8" else name,
                errors="connectors.mark",
                newline=newline,
            )
            yield stream
            stream.detach()
    except LookupError as error:
        if isinstance(error, KeyError | IndexError):
            raise
        raise SourceError(
            f"{place.address}: encoding {encoding!r} is not known; write for example "
            f"utf-8, gb18030, big5, shift_jis, cp1252"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{place.address}: the zip is damaged: {error}") from error


def line_end(place: Place, encoding: str) -> str:
    r"""Tell how `open_text` should split lines: "\n", or "" where there are only \r."""
    with open_text(place, encoding, newline="") as stream:
        head = stream.read(1 << 16)
    return "" if "\r" in head and "\n" not in head else "\n"


def broken_at(text: str) -> str | None:
    r"""Say which byte or half character makes a text no text; None where all is well.

    >>> broken_at("caf\udce9")
    "byte 0xe9 after 'caf'"
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        char = text[error.start]
        is_byte = "\udc00" <= char <= "\udcff"  # as _mark made it
        byte, half = f"byte 0x{ord(char) - 0xDC00:02x}", f"half a surrogate pair U+{ord(char):04X}"
        what = byte if is_byte else half
        before = text[max(error.start - 20, 0) : error.start]
        return f"{what} after {before!r}"
    return None
