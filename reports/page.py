"""Finished facts to one HTML file and its JSON twin.

The one idea: the page is a function of the twin and of nothing else. `twin` checks the facts and
adds what is derived from them (the headline, how many items the page leaves out), and the templates
see the twin through `traced.Fact`, so that every value on the page carries its path in the JSON.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from .charts import effects
from .facts import WHOLE_CHAIN, ReportError, RunFacts
from .impact import VERDICT_MEANING, VERDICT_WORDS, faults
from .quality import ACTION_WORDS, LEVEL_WORDS, TIER_WORDS, fitness
from .traced import FILTERS, Fact

MAX_BYTES = 2_000_000
CAPS = {
    "reasons": 20,
    "examples_open": 2,
    "examples": 5,
    "classes_open": 20,
    "classes": 400,
    "sources": 50,
    "actions": 8,
    "slices": 12,
    "recipe_chars": 20_000,
    "text_chars": 280,
    "label_chars": 80,
}
"""How much of a list the page shows; beside each stands how many more there are and the command."""


def twin(facts: RunFacts) -> dict[str, Any]:
    """Give the facts as plain JSON values, with what is derived from them under `derived`.

    Args:
        facts: A run's facts.

    Returns:
        Dicts, lists, texts, numbers, booleans and None; fractions stay fractions.

    Raises:
        ReportError: A number is not finite, an impact claims more than its interval carries, counts
            contradict each other, or examples are given although the recipe keeps them out.
    """
    found = list(_contradictions(facts))
    if found:
        raise ReportError("report facts contradict themselves:\n  " + "\n  ".join(found))
    values: dict[str, Any] = _plain(dataclasses.asdict(facts), "facts")
    derived: dict[str, Any] = _plain(_derived(facts), "derived")
    return {**values, "derived": derived}


def render(facts: RunFacts) -> str:
    """Give the whole page as one HTML text that needs no network and no JavaScript.

    Raises:
        ReportError: As for `twin`, or the page would be larger than MAX_BYTES.
    """
    return _page(twin(facts))


def write(facts: RunFacts, path: Path) -> tuple[Path, Path]:
    """Write the page to `path` and its JSON twin beside it, each whole or not at all.

    Args:
        facts: A run's facts.
        path: File to write, ending in .html; what stood there is replaced.

    Returns:
        The paths of the page and of the twin.

    Raises:
        ReportError: As for `render`, or the files cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ReportError(
            f"{path}: a report ends in .html; its JSON twin takes the name with .json"
        )
    values = twin(facts)
    page = _page(values)
    data = json.dumps(values, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    beside = path.with_suffix(".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(beside, data)
        _replace(path, page)
    except OSError as error:
        raise ReportError(
            f"{path}: cannot write the report ({error.strerror or error}); "
            "free space or choose another place, then ask for the report again"
        ) from error
    return path, beside


def _contradictions(facts: RunFacts) -> list[str]:
    found = [fault for impact in facts.impacts for fault in faults(impact)]
    if not facts.impacts and not facts.not_measured:
        found.append("impacts: empty, so `not_measured` must say why")
    for issue in facts.issues:
        if facts.examples_shown == "none" and issue.examples:
            found.append(
                f"issue {issue.issue_type!r}: examples given, but examples_shown is 'none'"
            )
        if not 0 <= issue.open <= issue.count - issue.test_count:
            found.append(
                f"issue {issue.issue_type!r}: open {issue.open} is not between 0 and "
                f"count {issue.count} less test_count {issue.test_count}"
            )
    return found


def _derived(facts: RunFacts) -> dict[str, Any]:
    corpus = facts.corpus
    headline = fitness(facts)
    records = sum(source.records for source in corpus.sources)
    quarantined = sum(source.quarantined for source in corpus.sources)
    return {
        "headline": dataclasses.asdict(headline),
        "reasons_more": _rest(len(headline.reasons), "reasons"),
        "classes": len(corpus.classes),
        "classes_behind": len(corpus.classes[CAPS["classes_open"] : CAPS["classes"]]),
        "classes_more": _rest(len(corpus.classes), "classes"),
        "sources_more": _rest(len(corpus.sources), "sources"),
        "records": records,
        "quarantined": quarantined,
        "quarantined_share": quarantined / records if records else 0.0,
        "recipe_more_chars": _rest(len(facts.recipe_text), "recipe_chars"),
        "issues": [
            {
                "more": max(issue.count - min(len(issue.examples), CAPS["examples"]), 0),
                "actions_more": _rest(len(issue.actions), "actions"),
            }
            for issue in facts.issues
        ],
        "changes": [{"actions_more": _rest(len(c.actions), "actions")} for c in facts.changes],
        "verdicts": _verdict_counts(facts),
        "impacts": [
            {
                "slices_more": _rest(len(i.slices), "slices"),
                "touched_more": _rest(len(i.touched), "slices"),
            }
            for i in facts.impacts
        ],
    }


def _verdict_counts(facts: RunFacts) -> list[dict[str, Any]]:
    given = [impact.verdict for impact in facts.impacts]
    return [{"verdict": v, "count": given.count(v)} for v in VERDICT_WORDS if v in given]


def _rest(count: int, cap: str) -> int:
    return max(count - CAPS[cap], 0)


def _plain(value: Any, path: str) -> Any:
    """Give the value in JSON's types; refuse numbers JSON does not have."""
    if isinstance(value, dict):
        return {key: _plain(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, f"{path}.{i}") for i, item in enumerate(value)]
    if isinstance(value, str):
        # A lone surrogate is no Unicode text and cannot be written as UTF-8.
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        raise ReportError(
            f"{path}: {value} is not a number a report can show; give None and say why"
        )
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ReportError(f"{path}: expected text, a number or None, found {type(value).__name__}")


def _page(values: dict[str, Any]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    charts = [
        effects(values["impacts"], narrow=narrow, svg_id=svg_id)
        for narrow, svg_id in ((False, "effects-wide"), (True, "effects-narrow"))
    ]
    page = environment.get_template("report.html").render(
        run=Fact(values),
        charts=charts,
        caps=CAPS,
        words=VERDICT_WORDS,
        meanings=VERDICT_MEANING,
        action_words=ACTION_WORDS,
        level_words=LEVEL_WORDS,
        tier_words=TIER_WORDS,
        whole_chain=WHOLE_CHAIN,
    )
    size = len(page.encode())
    if size > MAX_BYTES:
        raise ReportError(
            f"the report would take {size:,} bytes, over the limit of {MAX_BYTES:,}; "
            f"it has {len(values['changes'])} steps, {len(values['impacts'])} impacts and "
            f"{len(values['issues'])} kinds of issues: report fewer steps at a time"
        )
    return page


def _replace(path: Path, content: str) -> None:
    """Put the content in place in one move; a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp makes files only their owner can read
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
