"""Values that know their place in the JSON twin, so a page cannot show one without its source.

The one idea: templates never see bare data. They see `Fact` values; a `Fact` renders itself with
the path it came from: `<data data-fact="issues.0.count" value="12">12</data>` for a number,
`<span data-fact="name">...</span>` for a text. A test can therefore walk the page, look every
value up in the twin, and fail on any digit that stands outside such an element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from .facts import ReportError

ELLIPSIS = "…"

# C0 controls and DEL have no place in HTML; shown as control pictures they stay visible.
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {0x7F: 0x2421}


@dataclass(frozen=True, slots=True, eq=False)
class Fact:
    """A value of the twin and its path; items and attributes are facts again."""

    twin_value: Any
    twin_path: str = ""

    def __getitem__(self, key: str | int) -> Fact:
        return Fact(self.twin_value[key], f"{self.twin_path}.{key}" if self.twin_path else str(key))

    def __iter__(self) -> Iterator[Fact]:
        return (self[i] for i in range(len(self.twin_value)))

    def __len__(self) -> int:
        return len(self.twin_value)

    def __bool__(self) -> bool:
        return bool(self.twin_value)

    def __eq__(self, other: object) -> bool:
        return bool(self.twin_value == (other.twin_value if isinstance(other, Fact) else other))

    def __hash__(self) -> int:
        return hash(self.twin_path)

    def __html__(self) -> str:
        if isinstance(self.twin_value, bool):
            return _data(self, "yes" if self.twin_value else "no")
        if isinstance(self.twin_value, int):
            return _data(self, f"{self.twin_value:,}")
        if isinstance(self.twin_value, float):
            return _data(self, f"{self.twin_value:,.3g}")
        return text(self)


def _data(fact: Fact, shown: str) -> Markup:
    value = (
        str(fact.twin_value).lower() if isinstance(fact.twin_value, bool) else repr(fact.twin_value)
    )
    return Markup('<data data-fact="{}" value="{}">{}</data>').format(fact.twin_path, value, shown)


def visible(value: str) -> str:
    """Give the text with control characters made visible, as the page shows it."""
    return value.translate(_CONTROLS)


def shortened(value: str, limit: int) -> str:
    """Give at most `limit` characters of the text, the last an ellipsis where some are missing."""
    return value if len(value) <= limit else value[: limit - 1].rstrip() + ELLIPSIS


def text(fact: Fact, limit: int = 1_000, tag: str = "span", lang: str | None = None) -> Markup:
    """Render a text in an element that isolates its writing direction.

    Args:
        fact: A text of the twin.
        limit: Longest text shown, in characters; longer ones end in an ellipsis.
        tag: Element: span for our own words, bdi for a user's, code for commands and ids.
        lang: Language of the text where it differs from the page's.
    """
    if not isinstance(fact.twin_value, str):
        raise ReportError(
            f"{fact.twin_path}: the page shows a text here, found {fact.twin_value!r}"
        )
    shown = visible(shortened(fact.twin_value, limit))
    language = Markup(' lang="{}"').format(lang) if lang else ""
    return Markup('<{}{} data-fact="{}">{}</{}>').format(tag, language, fact.twin_path, shown, tag)


def code(fact: Fact, limit: int = 400) -> Markup:
    """Render a command or an id."""
    return text(fact, limit, tag="code")


def plain(fact: Fact, limit: int = 200) -> Markup:
    """Give the bare escaped value, for attributes and the document's title."""
    return escape(visible(shortened(str(fact.twin_value), limit)))


def share(fact: Fact) -> Markup:
    """Render a share in percent; only all reads as 100 %, only none as 0."""
    value = 100 * float(fact.twin_value)
    shown = f"{value:.1f} %"
    if 0 < value < 0.05:  # noqa: PLR2004 - rounds to 0.0
        shown = "under 0.1 %"
    elif 99.95 <= value < 100:  # noqa: PLR2004 - rounds to 100.0
        shown = "over 99.9 %"
    return _data(fact, shown)


def level(fact: Fact) -> Markup:
    """Render a confidence level or a power in percent, without needless decimals."""
    return _data(fact, f"{100 * float(fact.twin_value):.4g} %")


def points(fact: Fact) -> Markup:
    """Render a signed difference of two scores in percentage points."""
    return _data(fact, _decimals(100 * float(fact.twin_value), sign="+"))


def size(fact: Fact) -> Markup:
    """Render an unsigned size, such as a margin, in percentage points."""
    return _data(fact, _decimals(100 * float(fact.twin_value), sign=""))


def _decimals(value: float, *, sign: str) -> str:
    # An interval that ends at 0.04 points must not read as touching zero.
    places = next((p for p in (1, 2, 3) if value == 0 or float(f"{value:.{p}f}") != 0), 4)
    return f"{value:{sign}.{places}f}".replace("-", "−")


def seconds(fact: Fact) -> Markup:
    """Render CPU seconds."""
    value = float(fact.twin_value)
    return _data(fact, f"{value:.1f}" if value < 10 else f"{value:,.0f}")  # noqa: PLR2004


def counted(fact: Fact, one: str, many: str | None = None) -> Markup:
    """Render a count with its noun, such as `1 row` and `2 rows`."""
    noun = one if fact.twin_value == 1 else many or one + "s"
    return _data(fact, f"{fact.twin_value:,}") + " " + noun


def top(facts: Fact, limit: int) -> list[Fact]:
    """Give the first `limit` items; the page says beside them how many more there are."""
    return [facts[i] for i in range(min(limit, len(facts)))]


FILTERS = {
    "text": text,
    "code": code,
    "plain": plain,
    "share": share,
    "level": level,
    "points": points,
    "size": size,
    "seconds": seconds,
    "counted": counted,
    "top": top,
}
"""The filters of the templates, by name."""
