"""How a model is trained, as one frozen value whose hash enters every fit's key.

The one idea: what a verdict is about can be written down. Batches per epoch are numbers in the
spec, set once per chain from the import version, so a version with fewer rows gets equal updates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from .device import choose_precision, this_machine
from .errors import FitError
from .keys import hash_parts

Tier = Literal["probe", "top-layers", "all-layers"]
Method = Literal[
    "head", "full", "lora", "rslora", "dora", "ia3", "prefix", "prompt", "p-tuning", "qlora"
]

LAYERWISE = ("lora", "rslora", "dora", "ia3", "full", "head")
VIRTUAL = ("prefix", "prompt", "p-tuning")
"""Methods that learn tokens in front of the text; the layers they need are all of them."""

METHODS: dict[str, tuple[str, ...]] = {
    "probe": ("head",),
    "top-layers": LAYERWISE,
    "all-layers": (*LAYERWISE, *VIRTUAL, "qlora"),
}

DEFAULTS: dict[str, dict[str, Any]] = {
    # Tuned on banking77 training rows (15 a class, 10 % of the labels wrong): dropping the wrong
    # rows is worth 7.6 points, as for a full fine-tune of the top layers; a 1 % drop has 0.10 of
    # the unpaired variance; 0.013 CPU seconds a fit. A wider random start (0.3) pairs better
    # (0.06) and costs 2 points of accuracy, a narrower one (0.1) gains half a point (0.13).
    "probe": {"method": "head", "epochs": 10, "learning_rate": 0.2},
    "top-layers": {"method": "lora", "epochs": 2},
    "all-layers": {"method": "lora", "epochs": 2, "precision": "auto"},
}

RATES = {
    "head": 1e-3, "full": 1e-4, "lora": 1e-3, "rslora": 5e-4, "dora": 1e-3, "ia3": 1e-2,
    "prefix": 1e-2, "prompt": 1e-2, "p-tuning": 1e-2, "qlora": 1e-3,
}  # fmt: skip
"""First learning rates that worked on banking77 and MiniLM in two epochs (p-tuning: as prompt)."""

STRENGTHS = {"smoothed": 0.1, "focal": 2.0, "gce": 0.7, "sce": 0.1}
"""Losses with a number of their own, and what their papers set it to (focal, gce) or ours."""

CHOICES = {
    "loss": ("cross-entropy", *STRENGTHS),
    "schedule": ("linear", "cosine", "constant"),
    "precision": ("float32", "bfloat16"),
    "class_weights": ("none", "balanced"),
    "head_start": ("probe", "zeros"),
    "task": ("classification", "multilabel", "tokens"),
}

BATCH_ROWS = {"probe": 64, "top-layers": 32, "all-layers": 32}
"""Rows per batch that `default_spec` aims at."""

FIRST_FIELDS = (
    "tier", "method", "epochs", "learning_rate", "batches", "momentum", "start_scale",
    "weight_decay", "max_tokens", "layers", "rank", "alpha", "targets", "dropout", "head_c",
    "threads",
)  # fmt: skip
"""Fields that every key holds; later ones enter it where they are not at their default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """A training recipe; `default_spec` fills in what was measured to work.

    tier, method: one of `METHODS`.
    epochs: passes over the rows.
    learning_rate: the highest; where it goes from there says `schedule`.
    batches: batches per epoch; a row is in the one that its content and the seed say.
    momentum, start_scale: of the probe's descent and of its random start (standard deviation).
    weight_decay: of AdamW.
    max_tokens: texts are cut here; the encoder must be opened with the same.
    layers: the top this many are trained in tier top-layers; those below are frozen and cached.
    rank, alpha, dropout: of LoRA and its kin.
    targets: names of the layers that get an adapter.
    head_c: inverse strength of the penalty of the logistic regression that starts the head.
    threads: CPU threads a fit uses; more may change the last bits.
    head_start: probe, the logistic regression on the frozen vectors; or zeros.
    loss, loss_strength: per row, see `losses`; the strength is None for cross-entropy.
    class_weights: none; or balanced, each row counts n / (classes x rows of its class).
    schedule, warmup: linear or cosine to 0, or constant, after a share of all steps that rise.
    clip: longest gradient, 0 for any.
    validation: share of the training groups that is held out, 0 for none; the seed deals them.
    patience: epochs without a better validation loss before a fit stops, 0 for never. The best
        epoch's model is kept where there is a validation share.
    precision: of the arithmetic in the layers; the trained numbers are float32 always.
    virtual_tokens: of prefix, prompt and p-tuning.
    task: classification (a label a row), multilabel (any number) or tokens (labelled spans).
    """

    tier: Tier
    method: Method
    epochs: int
    learning_rate: float
    batches: int
    momentum: float = 0.9
    start_scale: float = 0.15
    weight_decay: float = 0.0
    max_tokens: int = 128
    layers: int = 2
    rank: int = 8
    alpha: int = 16
    targets: tuple[str, ...] = ("query", "value")
    dropout: float = 0.0
    head_c: float = 10.0
    threads: int = 1
    head_start: str = "probe"
    loss: str = "cross-entropy"
    loss_strength: float | None = None
    class_weights: str = "none"
    schedule: str = "linear"
    warmup: float = 0.0
    clip: float = 0.0
    validation: float = 0.0
    patience: int = 0
    precision: str = "float32"
    virtual_tokens: int = 16
    task: str = "classification"

    def __post_init__(self) -> None:
        faults = [*_count_faults(self), *_number_faults(self), *_choice_faults(self)]
        if not faults:
            faults = [*_sense_faults(self)]
        if faults:
            raise FitError("the training spec cannot be used: " + "; ".join(faults))

    def key(self) -> str:
        """Hash of all fields, 32 hexadecimal digits, the same in every process."""
        values = asdict(self)
        later = [
            f.name
            for f in fields(self)
            if f.name not in FIRST_FIELDS and values[f.name] != f.default
        ]
        return hash_parts(*(f"{name}={values[name]!r}" for name in (*FIRST_FIELDS, *later)))


def default_spec(tier: str, *, rows: int, **changes: Any) -> FitSpec:
    """Give a tier's spec for a chain whose import version has this many training rows.

    Args:
        tier: probe, top-layers or all-layers.
        rows: Training rows of the import version; they set the batches per epoch for all versions.
        changes: Fields that differ from the defaults; precision may also be auto, which becomes
            bfloat16 on a GPU that has it.

    Raises:
        FitError: The tier is unknown, or a field is unknown or has a value that it cannot have.
    """
    if tier not in DEFAULTS:
        raise FitError(f"tier {tier!r} is not one of {list(DEFAULTS)}")
    known = [f.name for f in fields(FitSpec)]
    unknown = sorted(set(changes) - set(known))
    if unknown:
        raise FitError(f"the training spec has no field {unknown}; it takes {known}")
    batches = max(1, round(rows / BATCH_ROWS[tier]))
    values = {"tier": tier, "batches": batches, **DEFAULTS[tier], **changes}
    values.setdefault("learning_rate", RATES.get(values["method"], 1e-3))
    if values.get("precision") == "auto":
        values["precision"] = choose_precision("auto", this_machine())
    if values.get("loss") in STRENGTHS:
        values.setdefault("loss_strength", STRENGTHS[values["loss"]])
    return FitSpec(**values)


def _count_faults(spec: FitSpec) -> Iterator[str]:
    least = dict.fromkeys(
        ("epochs", "layers", "rank", "alpha", "batches", "threads", "max_tokens", "virtual_tokens"),
        1,
    )
    for name, lowest in {**least, "patience": 0}.items():
        value = getattr(spec, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            yield f"{name} is {value!r}, expected a whole number from {lowest}"


def _number_faults(spec: FitSpec) -> Iterator[str]:
    above = ("learning_rate", "head_c")
    share = ("momentum", "dropout", "warmup")
    least = ("weight_decay", "start_scale", "clip")
    for name in (*above, *share, *least, "validation"):
        value = getattr(spec, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{name} is {value!r}, expected a number"
        elif name in above and not value > 0:
            yield f"{name} is {value!r}, expected a number above 0"
        elif name in share and not 0 <= value < 1:
            yield f"{name} is {value!r}, expected 0 up to, not 1"
        elif name in least and not value >= 0:
            yield f"{name} is {value!r}, expected 0 or more"
        elif name == "validation" and not 0 <= value <= 0.5:  # noqa: PLR2004 - half, see below
            yield f"validation is {value!r}, expected a share up to 0.5"


def _choice_faults(spec: FitSpec) -> Iterator[str]:
    for name, known in CHOICES.items():
        if getattr(spec, name) not in known:
            yield f"{name} is {getattr(spec, name)!r}, expected one of {list(known)}"
    if spec.tier not in METHODS:
        yield f"tier {spec.tier!r} is not one of {list(METHODS)}"
    elif spec.method not in METHODS[spec.tier]:
        yield (
            f"method {spec.method!r} is not one of {list(METHODS[spec.tier])} of tier {spec.tier}"
        )
    if not spec.targets or isinstance(spec.targets, str):
        yield "targets is empty or text, expected names of linear layers such as query, value"


def _sense_faults(spec: FitSpec) -> Iterator[str]:
    if spec.patience and not spec.validation:
        yield "patience needs a validation share, such as validation: 0.1"
    if (spec.loss in STRENGTHS) != (spec.loss_strength is not None):
        yield f"loss {spec.loss} and loss_strength {spec.loss_strength!r} do not go together"
    elif spec.loss_strength is not None and not _strength_fits(spec.loss, spec.loss_strength):
        yield f"loss_strength of {spec.loss} is {spec.loss_strength!r}, expected {_STRENGTH_RANGE}"
    if spec.task != "classification":
        one_label = {"loss": "cross-entropy", "class_weights": "none"}
        for name, only in one_label.items():
            if (given := getattr(spec, name)) != only:
                yield f"{name} {given} is for one label a row; {spec.task} takes {only}"
    if spec.tier == "probe":
        dear = ("loss", "validation", "precision", "schedule", "warmup", "clip")
        default = {f.name: f.default for f in fields(FitSpec)}
        changed = [name for name in dear if getattr(spec, name) != default[name]]
        if changed:
            yield f"{', '.join(changed)} belong to the tiers top-layers and all-layers"


_STRENGTH_RANGE = "0..1 for smoothed (not 1), above 0 up to 1 for gce, else 0 or more"


def _strength_fits(loss: str, value: float) -> bool:
    if loss == "smoothed":
        return 0 <= value < 1
    return 0 < value <= 1 if loss == "gce" else value >= 0
