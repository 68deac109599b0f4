"""Charts as inline SVG, drawn by altair and vl-convert without a network or a browser.

The one idea: a chart shows what the table beside it says, and nothing rests on colour alone. Each
row carries its verdict as a word and as a mark of its own shape. Colours are CSS variables of the
page, so dark mode and print reach into the drawing. A phone gets a drawing of its own, with names
above the intervals: a wide one scaled down to a phone's width could not be read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from .impact import MEASURED, VERDICT_WORDS
from .traced import shortened, visible

_SHAPES = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "equivalent": "square",
    "undecided": "circle",
}
_WIDE_PLOT_PX, _NARROW_PLOT_PX = 540, 330
_WIDE_ROW_PX, _NARROW_ROW_PX = 32, 64
_NAME_CHARS = 34  # longest name of a row; the table beside the chart has it in full


def effects(impacts: Sequence[Mapping[str, Any]], *, narrow: bool, svg_id: str) -> Markup:
    """Draw one row per impact: its effect, its interval, its margin and its verdict.

    Args:
        impacts: Impacts of the JSON twin, in the order to be drawn; effects are fractions.
        narrow: Draw for a phone, names above the intervals.
        svg_id: Prefix of the ids in the drawing, unique in the page.

    Returns:
        An `<svg>` element with title and description, scaling with its container; empty where no
        impact has an interval.
    """
    rows = [_row(number, impact) for number, impact in enumerate(impacts)]
    if not any(row["effect"] is not None for row in rows):
        return Markup("")
    metrics = sorted({str(i["metric"]) for i in impacts if i["verdict"] in MEASURED})
    axis = f"change of {metrics[0] if len(metrics) == 1 else 'the score'}, in percentage points"
    buffer = io.StringIO()
    _effects_chart(rows, axis=axis, narrow=narrow).save(buffer, format="svg")
    return _inline(
        buffer.getvalue(),
        svg_id=svg_id,
        css_class="chart narrow" if narrow else "chart wide",
        title="What each change brought, with its interval",
        description="The same numbers stand in the table below. "
        + " ".join(f"{row['name']}: {row['word']}." for row in rows),
    )


def _row(number: int, impact: Mapping[str, Any]) -> dict[str, Any]:
    measured = impact["verdict"] in MEASURED

    def percent(key: str) -> float | None:
        return 100 * impact[key] if measured else None

    return {
        "key": f"{number:05d}",
        "name": visible(shortened(f"{impact['step']} · {impact['tier']}", _NAME_CHARS)),
        "word": VERDICT_WORDS[impact["verdict"]],
        "verdict": impact["verdict"],
        "effect": percent("effect"),
        "low": percent("low"),
        "high": percent("high"),
        "margin": percent("margin"),
        "minus_margin": -percent_ if (percent_ := percent("margin")) is not None else None,
    }


def _effects_chart(rows: Sequence[Mapping[str, Any]], *, axis: str, narrow: bool) -> Any:
    import altair as alt

    row_px = _NARROW_ROW_PX if narrow else _WIDE_ROW_PX
    plot_px = _NARROW_PLOT_PX if narrow else _WIDE_PLOT_PX
    # A reader's font may be wider than the one vl-convert measured with.
    sides = 8 if narrow else 40
    padding = {"left": sides, "right": sides, "top": 4, "bottom": 4}
    middle = 17 if narrow else 0  # the interval sits below its name
    all_rows = alt.InlineData(values=[dict(row) for row in rows])
    measured = alt.InlineData(values=[dict(r) for r in rows if r["effect"] is not None])
    names = "".join(f"datum.value=='{r['key']}'?{_js(r['name'])}:" for r in rows) + "''"
    y_axis = (
        None
        if narrow
        else alt.Axis(title=None, labelExpr=names, labelLimit=260, labelPadding=8, ticks=False)
    )
    # padding 0: one band per row, so that the margins of neighbours meet
    y = alt.Y(
        "key:N",
        sort=None,
        axis=y_axis,
        scale=alt.Scale(padding=0, domain=[row["key"] for row in rows]),
    )
    x_axis = alt.Axis(
        title=axis,
        grid=False,
        tickCount=5,
        labelExpr="datum.value==0?'0':format(datum.value,'+~g')",
    )
    x = alt.X("minus_margin:Q", axis=x_axis, scale=alt.Scale(nice=True, zero=True))
    verdicts = list(_SHAPES)
    colours = alt.Scale(domain=verdicts, range=[f"var(--{v})" for v in verdicts])
    colour = alt.Color("verdict:N", legend=None, scale=colours)
    shapes = alt.Scale(domain=verdicts, range=[_SHAPES[v] for v in verdicts])

    # y2 is not needed: a rect on a band scale fills its band
    band = alt.Chart(measured).mark_rect(fill="var(--margin)").encode(y=y, x=x, x2="margin:Q")
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(stroke="var(--ink)")
    interval = (
        alt.Chart(measured)
        .mark_rule(strokeWidth=3, yOffset=middle)
        .encode(y=y, x="low:Q", x2="high:Q", color=colour)
    )
    point = (
        alt.Chart(measured)
        .mark_point(size=110, filled=True, opacity=1, yOffset=middle)
        .encode(
            y=y, x="effect:Q", color=colour, shape=alt.Shape("verdict:N", legend=None, scale=shapes)
        )
    )
    text = alt.Chart(all_rows).encode(y=y)
    layers = [band, zero.encode(x="zero:Q"), interval, point]
    if narrow:
        layers.append(
            text.mark_text(align="left", dy=-20, fontWeight="bold").encode(
                x=alt.value(4), text="name:N"
            )
        )
        layers.append(text.mark_text(align="left", dy=-3).encode(x=alt.value(4), text="word:N"))
    else:
        layers.append(text.mark_text(align="left").encode(x=alt.value(plot_px + 12), text="word:N"))
    return _styled(
        alt.layer(*layers).properties(width=plot_px, height=row_px * len(rows), padding=padding)
    )


def _styled(chart: Any) -> Any:
    return (
        chart.configure(aria=False, background="transparent", font="sans-serif")
        .configure_axis(
            labelColor="var(--ink)",
            titleColor="var(--ink)",
            domainColor="var(--line)",
            tickColor="var(--line)",
            labelFontSize=13,
            titleFontSize=13,
            titleFontWeight="normal",
            titlePadding=8,
        )
        .configure_text(color="var(--ink)", fontSize=13)
        .configure_view(stroke="var(--line)")
    )


def _js(value: str) -> str:
    """Quote a text for a Vega expression."""
    import json

    return json.dumps(value)


def _inline(svg: str, *, svg_id: str, css_class: str, title: str, description: str) -> Markup:
    """Give the drawing a head of our own: it scales, it has a name, its ids cannot clash."""
    head, _, body = svg.partition(">")
    view_box = head.split('viewBox="')[1].split('"')[0]
    width = view_box.split()[2]
    return Markup(
        '<svg class="{}" viewBox="{}" style="max-width:{}px" role="img" '
        'aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>'
    ).format(
        css_class, view_box, width, svg_id, svg_id, svg_id, title, svg_id, escape(description)
    ) + Markup(body)  # noqa: S704 - vl-convert escapes every text; a test feeds it hostile names
