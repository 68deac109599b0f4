"""A gate's answer as the files that other programs show: Markdown for a pull request, JUnit for CI.

The one idea: both say what the sentence says, and no more; a class that could not be judged is
`skipped`, never passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from curator.impact.claim import points
from curator.impact.gate import ClassGate, Gate

_TITLES = {"not_worse": "not worse", "worse": "worse", "not_shown": "could not tell"}
_WORDS = {
    "kept": "kept",
    "lost": "**lost**",
    "not_shown": "not shown",
    "not_protected": "not protected",
}


def markdown(gate: Gate) -> str:
    """Give the answer as a section of Markdown, tables included."""
    return "\n".join(_lines(gate)) + "\n"


def _lines(gate: Gate) -> Iterator[str]:
    m = gate.measurement
    yield f"## Curator gate: {_TITLES[gate.outcome]}"
    yield ""
    yield _plain(gate.sentence)
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| before | `{m.before[:12]}`{_score(m.before_score)} |"
    yield f"| after | `{m.after[:12]}`{_score(m.after_score)} |"
    if gate.effect is not None and gate.low is not None and gate.high is not None:
        yield f"| change of {_plain(m.metric)} | {_signed(gate.effect)} points |"
        yield f"| bounds | {_signed(gate.low)} to {_signed(gate.high)} points |"
    yield f"| margin | {points(gate.margin)} points |"
    yield f"| test rows | {m.test_rows:,} |"
    yield f"| paired seeds | {len(m.seeds)} |"
    yield f"| tier | {m.tier}, {_plain(m.model)} |"
    if gate.classes:
        yield ""
        yield "| class | test rows | change | may lose | is |"
        yield "|---|---:|---:|---:|---|"
        for one in gate.classes:
            yield (
                f"| {_plain(one.name)} | {one.rows:,} | {_span(one)} | "
                f"{points(one.limit)} | {_WORDS[one.outcome]} |"
            )


def _plain(text: str) -> str:
    """Keep the text of a user from becoming markup or another cell."""
    for sign in "\\`*_<>[]|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _score(score: float | None) -> str:
    return "" if score is None else f", {points(score)}"


def _signed(share: float) -> str:
    return points(share, sign=True)


def _span(one: ClassGate) -> str:
    if one.effect is None:
        return "no test row"
    if one.low is None or one.high is None:
        return _signed(one.effect)
    return f"{_signed(one.effect)} ({_signed(one.low)} to {_signed(one.high)})"


def junit(gate: Gate) -> str:
    """Give the answer as a JUnit file: a failure is shown, what could not be told is skipped."""
    m = gate.measurement
    suite = ET.Element("testsuite", name=f"curator gate {m.before[:12]} {m.after[:12]}")
    whole = ET.SubElement(suite, "testcase", classname="curator.gate", name=f"{m.metric}")
    counts = {"failure": 0, "skipped": 0}
    if gate.whole != "not_worse":
        kind = "failure" if gate.whole == "worse" else "skipped"
        counts[kind] += 1
        ET.SubElement(whole, kind, message=_valid(gate.sentence))
    for one in gate.classes:
        case = ET.SubElement(
            suite, "testcase", classname="curator.gate.classes", name=_valid(one.name)
        )
        if one.outcome != "kept":
            kind = "failure" if one.outcome == "lost" else "skipped"
            counts[kind] += 1
            ET.SubElement(case, kind, message=_valid(_class_message(one)))
    suite.set("tests", str(1 + len(gate.classes)))
    suite.set("failures", str(counts["failure"]))
    suite.set("skipped", str(counts["skipped"]))
    suite.set("errors", "0")
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, "unicode") + "\n"


def _class_message(one: ClassGate) -> str:
    return (
        f"{one.outcome.replace('_', ' ')}: {_span(one)}, on {one.rows:,} test rows, "
        f"may lose {points(one.limit)} (points)"
    )


def _valid(text: str) -> str:
    """Leave out what XML 1.0 cannot hold (control characters, lone surrogates)."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff"
                                                        and c not in "\ufffe\uffff"))  # fmt: skip
