"""A recipe: sources, steps and a measurement, read from YAML with every fault reported at once.

Comments, paths and the `measure:` and `report:` parts enter no version id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from curator.declared import RULES, Declared
from curator.errors import RecipeError
from curator.masking import EXAMPLES, Examples
from curator.options import unknown_name
from curator.recipe_model import (
    MODEL_OPTIONS,
    TRAINING,
    option_faults,
    training_fault,
    with_options,
)
from curator.registry import OWN, STEPS, bind_step, tasks_of_step
from curator.schema import SPLITS
from curator.shaping import ROLES, asked_columns
from curator.tasks import task_named
from curator.yaml_nodes import Here, parse

TIERS = ("probe", "top-layers", "all-layers")
METHODS = (
    "lora", "rslora", "dora", "ia3", "full", "head", "prefix", "prompt", "p-tuning", "qlora",
)  # fmt: skip
LATER: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Where rows come from and which of its columns mean what.

    address: An address such as file:train.csv, or a frame from Python.
    columns: What for (`shaping.ROLES` of the task, split, group) -> column of the source.
    id: Key columns; empty means the id comes from the input text.
    split: Split of all its rows; None: from a column, or training.
    name: Sources of one name share their id space, however they are split into files.
    separator: What parts the labels of a text cell, for the task multilabel.
    """

    address: Any
    columns: Mapping[str, str]
    id: tuple[str, ...] = ()
    split: str | None = None
    name: str = "main"
    reading: Mapping[str, str] = field(default_factory=dict)
    line: int = 0
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """How to make a test split where the sources bring none: share of the rows, and a seed."""

    test: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class LabelsSpec:
    """What is known about the labels: keys alone, or a file with definitions."""

    keys: tuple[str, ...] = ()
    address: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    reading: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of a recipe: its kind, its complete options, and the line it stands in."""

    kind: str
    options: Mapping[str, Any]
    line: int = 0


_MACRO = (
    "no verdict rests on it yet: at item level 10 to 12 % of do-nothing changes were called, and "
    "no bank of them has passed since; take accuracy (`curator scores` shows macro-F1 with its "
    "interval)"
)
NO_VERDICT = {
    "macro_f1": _MACRO,
    "macro-f1": _MACRO,
    "micro_f1": "it is accuracy where a row has one label; take accuracy",
    "span_f1": "it is of spans, and these rows have labels; take accuracy",
}
"""Metrics that people ask for and that carry no verdict, with the reason."""


@dataclass(frozen=True, slots=True)
class MeasureSpec:
    """How changes are measured.

    model: Encoder folder, package address, hf:owner/name, "tfidf", or None for the language's own;
        options of the model follow its address, see `recipe_model`.
    tiers: Cheapest first; the last carries the verdict, the others are screens.
    method: What is trained in the tiers above the probe.
    margin: Smallest change of the metric worth acting on, a fraction; None: from the test set.
    alpha: What the test rows may be asked, declared before the first look: the fields of
        `declared.Declared`; None declares nothing.
    """

    model: str | None = None
    tiers: tuple[str, ...] = ("probe", "top-layers")
    method: str = "lora"
    metric: str = "accuracy"
    margin: float | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    alpha: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe, checked; base is the folder its paths are relative to."""

    name: str
    task: str
    sources: tuple[SourceSpec, ...]
    steps: tuple[StepSpec, ...] = ()
    language: str | None = None
    labels: LabelsSpec | None = None
    split: SplitSpec = SplitSpec()
    measure: MeasureSpec | None = MeasureSpec()
    report: str | None = None
    max_bad_share: float = 0.01
    examples: Examples = "masked"
    egress: tuple[str, ...] = ()
    base: Path = Path()
    text: str = ""


def load(path: Path) -> Recipe:
    """Read a recipe file.

    Args:
        path: A YAML file; its folder is what the recipe's paths are relative to.

    Returns:
        The recipe, checked; nothing has been read from its sources yet.

    Raises:
        RecipeError: The file is missing, is not YAML, or has faults; all of them, with lines.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as fault:
        raise RecipeError(
            f"{path}: there is no such recipe; `curator init FILE` writes one"
        ) from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise RecipeError(f"{path}: cannot be read as UTF-8 text: {fault}") from fault
    return loads(text, path.name, base=path.resolve().parent)


def loads(text: str, name: str, *, base: Path) -> Recipe:
    """Read a recipe from its text.

    Args:
        text: YAML.
        name: What messages call it.
        base: Folder its paths are relative to.

    Raises:
        RecipeError: It is not YAML, or has faults; all of them, with lines.
    """
    return _Reader(name, base).recipe(parse(text, name), base, text)


def from_mapping(values: Mapping[str, Any], *, base: Path | None = None) -> Recipe:
    """Make a recipe from Python values; a source's `from` may be a frame.

    Args:
        values: What the YAML would say, as dicts, lists and scalars; `from:` takes an address,
            a pandas or polars DataFrame, a pyarrow Table, a datasets.Dataset or a list of dicts.
        base: Folder its paths are relative to; the working folder by default.

    Returns:
        The recipe, checked.

    Raises:
        RecipeError: Faults, all of them.
    """
    base = base or Path.cwd()
    return _Reader("recipe", base).recipe(_as_here(values), base, "")


def _as_here(value: Any) -> Here:
    if isinstance(value, Mapping):
        return Here({str(k): _as_here(v) for k, v in value.items()}, 0)
    if isinstance(value, list | tuple):
        return Here([_as_here(v) for v in value], 0)
    return Here(value, 0, str(value) if isinstance(value, str | int | float) else "")


class _Reader:
    """Reads nodes and collects every fault before it gives up."""

    def __init__(self, name: str, base: Path) -> None:
        self.name = name
        self.base = base
        self.task_name = "classification"
        self.faults: list[tuple[int, str]] = []

    def fault(self, line: int, message: str) -> None:
        self.faults.append((line, message))

    def recipe(self, root: Here, base: Path, text: str) -> Recipe:
        known = (
            "name",
            "task",
            "language",
            "sources",
            "labels",
            "split",
            "steps",
            "measure",
            "report",
            "max_bad_share",
            "examples",
            "egress",
        )
        top = self.mapping(root, "the recipe", known)
        recipe = Recipe(
            name=self.string(top.get("name"), "name", base.name or "recipe"),
            task=self.task(top.get("task")),
            sources=self.sources(top.get("sources"), root.line),
            steps=self.steps(top.get("steps")),
            language=self.string(top.get("language"), "language", "") or None,
            labels=self.labels(top.get("labels")),
            split=self.split(top.get("split")),
            measure=self.measure(top.get("measure")),
            report=self.report(top.get("report")),
            max_bad_share=self.share(top.get("max_bad_share"), "max_bad_share", 0.01),
            examples=self.choice(top.get("examples"), "examples", EXAMPLES, "masked"),
            egress=self.hosts(top.get("egress")),
            base=base,
            text=text,
        )
        if self.faults:
            lines = [f"{self.name}:{n}: {m}" if n else m for n, m in sorted(self.faults)]
            count = f"{len(lines)} faults" if len(lines) > 1 else "1 fault"
            raise RecipeError(f"{count} in the recipe\n" + "\n".join(lines))
        return recipe

    def mapping(self, here: Here | None, owner: str, known: Sequence[str]) -> dict[str, Here]:
        if here is None or here.value is None:
            return {}
        if not isinstance(here.value, dict):
            self.fault(here.line, f"{owner}: expected a mapping with keys from {list(known)}")
            return {}
        for key, item in here.value.items():
            if key in LATER and owner == "the recipe":
                self.fault(item.line, f"key {key!r} is not there yet: {LATER[key]}")
            elif key not in known:
                self.fault(item.line, unknown_name(owner, "key", key, known))
        return {k: v for k, v in here.value.items() if k in known}

    def string(self, here: Here | None, owner: str, default: str) -> str:
        if here is None or here.value is None:
            return default
        if isinstance(here.value, dict | list):
            self.fault(here.line, f"{owner}: expected text")
            return default
        return here.spelt

    def strings(self, here: Here | None, owner: str) -> tuple[str, ...]:
        if here is None or here.value is None:
            return ()
        items = here.value if isinstance(here.value, list) else [here]
        return tuple(self.string(item, owner, "") for item in items)

    def hosts(self, here: Here | None) -> tuple[str, ...]:
        """Read the hosts that rows may be sent to: names alone, without scheme, port or path."""
        found = self.strings(here, "egress")
        for host in found:
            if not host or set("/:@ ") & set(host):
                line = here.line if here else 0
                self.fault(line, f"egress: found {host!r}, expected a host such as studio.example")
        return found

    def share(self, here: Here | None, owner: str, default: float) -> float:
        if here is None or here.value is None:
            return default
        value = here.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.fault(here.line, f"{owner}: found {here.spelt!r}, expected a number in 0..1")
            return default
        return float(value)

    def choice(self, here: Here | None, owner: str, allowed: Sequence[str], default: str) -> Any:
        value = self.string(here, owner, default)
        if value not in allowed:
            line = here.line if here else 0
            self.fault(line, unknown_name(owner, "value", value, allowed))
            return default
        return value

    def metric(self, here: Here | None) -> str:
        """Read the metric that carries verdicts; one whose error rates are not known is refused."""
        if here is not None and here.value in NO_VERDICT:
            self.fault(here.line, f"measure.metric {here.value}: {NO_VERDICT[here.value]}")
            return "accuracy"
        found: str = self.choice(here, "metric", ("accuracy",), "accuracy")
        return found

    def task(self, here: Here | None) -> str:
        name = self.string(here, "task", "classification")
        try:
            self.task_name = task_named(name).name
        except RecipeError as fault:
            self.fault(here.line if here else 0, str(fault))
        return self.task_name

    def sources(self, here: Here | None, line: int) -> tuple[SourceSpec, ...]:
        if here is None or not isinstance(here.value, list) or not here.value:
            self.fault(
                here.line if here else line,
                "sources: expected a list such as `- from: file:train.csv`",
            )
            return ()
        return tuple(self.source(item) for item in here.value)

    def source(self, here: Here) -> SourceSpec:
        reading = ("format", "encoding", "delimiter", "sheet")
        known = ("from", "columns", "id", "split", "name", "separator", *reading)
        keys = self.mapping(here, "a source", known)
        if "from" not in keys:
            self.fault(here.line, "a source needs `from:`, the address of its rows")
        roles = (*ROLES[self.task_name], "split", "group")
        columns = self.mapping(keys.get("columns"), "columns", roles)
        names = {k: self.string(v, f"columns.{k}", k) for k, v in columns.items()}
        split = keys.get("split")
        return SourceSpec(
            address=self.address(keys.get("from")),
            columns=asked_columns(self.task_name, names),
            id=self.strings(keys.get("id"), "id"),
            split=self.choice(split, "split", SPLITS, "train") if split else None,
            name=self.string(keys.get("name"), "name", "main"),
            reading={k: self.string(keys[k], k, "") for k in reading if k in keys},
            line=here.line,
            separator=self.string(keys.get("separator"), "separator", "") or None,
        )

    def address(self, here: Here | None) -> Any:
        if here is None:
            return ""
        return here.plain() if isinstance(here.value, list | dict) else here.value

    def steps(self, here: Here | None) -> tuple[StepSpec, ...]:
        if here is None or here.value is None:
            return ()
        if not isinstance(here.value, list):
            self.fault(here.line, "steps: expected a list such as `- clean: {fix: [html]}`")
            return ()
        return tuple(step for item in here.value if (step := self.step(item)) is not None)

    def step(self, here: Here) -> StepSpec | None:
        known = [*STEPS, "augment"]
        if isinstance(here.value, dict) and len(here.value) == 1:
            kind, body = next(iter(here.value.items()))
        elif isinstance(here.value, str):
            kind, body = here.value, Here({}, here.line)
        else:
            self.fault(here.line, "a step is one name with its options, as `- leaks: {near: 0.8}`")
            return None
        if kind not in known:
            self.fault(here.line, unknown_name("the recipe", "step", kind, known))
            return None
        if self.task_name not in (able := tasks_of_step(kind)):
            told = f"step {kind!r} does not know the task {self.task_name!r} yet"
            self.fault(here.line, f"{told}; it knows {', '.join(able)}")
            return None
        if kind == OWN and isinstance(body.value, str):  # `- check: my_checks.py:too_polite`
            body = Here({"use": body}, body.line)
        if not isinstance(body.value, dict | None):
            self.fault(body.line, f"step {kind!r}: expected a mapping of options")
            return None
        given = body.value or {}
        # Labels are text, as they are spelt: `no` and `57` too.
        values = {k: v.text() if kind == "map_labels" else v.plain() for k, v in given.items()}
        options, faults = bind_step(kind, values, base=self.base)
        for option, message in faults:
            self.fault(given[option].line if option in given else here.line, message)
        return StepSpec(kind, options, here.line)

    def report(self, here: Here | None) -> str | None:
        path = self.string(here, "report", "")
        if here and path and not path.endswith(".html"):
            self.fault(here.line, f"report: found {path!r}, expected a file name ending in .html")
        return path or None

    def labels(self, here: Here | None) -> LabelsSpec | None:
        if here is None or here.value is None:
            return None
        if isinstance(here.value, list):
            return LabelsSpec(keys=self.strings(here, "labels"))
        if isinstance(here.value, str):
            return LabelsSpec(address=here.value)
        reading = ("format", "encoding", "delimiter", "sheet")
        keys = self.mapping(here, "labels", ("from", "columns", *reading))
        columns = self.mapping(
            keys.get("columns"), "columns", ("key", "name", "definition", "aliases", "parent")
        )
        return LabelsSpec(
            address=self.string(keys.get("from"), "labels.from", ""),
            columns={k: self.string(v, f"columns.{k}", k) for k, v in columns.items()},
            reading={k: self.string(keys[k], k, "") for k in reading if k in keys},
        )

    def split(self, here: Here | None) -> SplitSpec:
        keys = self.mapping(here, "split", ("test", "seed"))
        seed = keys.get("seed")
        if seed is not None and not isinstance(seed.value, int):
            self.fault(seed.line, f"split.seed: found {seed.spelt!r}, expected a whole number")
            seed = None
        share = self.share(keys.get("test"), "split.test", 0.2)
        return SplitSpec(share, seed.value if seed else 0)

    def model(self, here: Here | None) -> str | None:
        if here is None or not isinstance(here.value, dict):
            return self.string(here, "model", "") or None
        keys = self.mapping(here, "model", ("from", *MODEL_OPTIONS))
        options = {name: keys[name].plain() for name in MODEL_OPTIONS if name in keys}
        if faults := option_faults(options, named="from" in keys):
            self.fault(here.line, "; ".join(faults))
        return with_options(self.string(keys.get("from"), "model.from", ""), options)

    def measure(self, here: Here | None) -> MeasureSpec | None:
        if here is not None and here.value is False:
            return None
        known = ("model", "tiers", "method", "metric", "margin", "alpha", *TRAINING)
        keys = self.mapping(here, "measure", known)
        tiers = self.strings(keys.get("tiers"), "tiers") or ("probe", "top-layers")
        for tier in tiers:
            if tier not in TIERS:
                line = keys["tiers"].line
                self.fault(line, unknown_name("measure", "tier", tier, TIERS))
        margin = keys.get("margin")
        method = self.choice(keys.get("method"), "method", METHODS, "lora")
        training = {name: keys[name].plain() for name in TRAINING if name in keys}
        kept = tuple(t for t in TIERS if t in tiers)
        if here is not None and (fault := training_fault(kept, method, training)):
            self.fault(here.line, f"measure: {fault}")
        return MeasureSpec(
            model=self.model(keys.get("model")),
            tiers=kept,
            method=method,
            training=training,
            metric=self.metric(keys.get("metric")),
            margin=self.share(margin, "margin", 0.01) if margin else None,
            alpha=self.alpha(keys.get("alpha")),
        )

    def alpha(self, here: Here | None) -> dict[str, Any] | None:
        """Read what the test rows may be asked, as the fields of a declaration."""
        if here is None or here.value is None:
            return None
        keys = self.mapping(here, "measure.alpha", ("rule", "total", "comparisons"))
        rule = self.choice(keys.get("rule"), "measure.alpha rule", RULES, "split")
        total = self.share(keys.get("total"), "measure.alpha total", 0.05)
        number = keys.get("comparisons")
        if number is not None and not (type(number.value) is int and number.value > 0):
            told = f"found {number.spelt!r}, expected a whole number above 0"
            self.fault(number.line, f"measure.alpha comparisons: {told}")
            return None
        found = Declared(rule, total, number.value if number else None)
        if fault := found.fault():
            self.fault(here.line, f"measure.alpha: {fault}")
        return asdict(found)
