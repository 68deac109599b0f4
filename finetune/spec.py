"""How a model is trained, as one frozen value whose hash enters every fit's key.

The one idea: what a verdict is about can be written down. Batches per epoch are numbers in the
spec, set once per chain from the import version, so a version with fewer rows gets equal updates.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from .errors import FitError
from .keys import hash_parts

Tier = Literal["probe", "top-layers"]
Method = Literal["head", "lora"]

METHODS: dict[str, tuple[str, ...]] = {"probe": ("head",), "top-layers": ("lora",)}

DEFAULTS: dict[str, dict[str, Any]] = {
    # Tuned on banking77 training rows (15 a class, 10 % of the labels wrong): dropping the wrong
    # rows is worth 7.6 points, as for a full fine-tune of the top layers; a 1 % drop has 0.10 of
    # the unpaired variance; 0.013 CPU seconds a fit. A wider random start (0.3) pairs better
    # (0.06) and costs 2 points of accuracy, a narrower one (0.1) gains half a point (0.13).
    "probe": {"method": "head", "epochs": 10, "learning_rate": 0.2},
    "top-layers": {"method": "lora", "epochs": 2, "learning_rate": 1e-3},
}

BATCH_ROWS = {"probe": 64, "top-layers": 32}
"""Rows per batch that `default_spec` aims at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """A training recipe; `default_spec` fills in what was measured to work.

    tier, method: probe with head, or top-layers with lora.
    epochs: passes over the rows.
    learning_rate: of the first step; it falls linearly to 0.
    batches: batches per epoch; a row is in the one that its content and the seed say.
    momentum, start_scale: of the probe's descent and of its random start (standard deviation).
    weight_decay: of AdamW (top-layers).
    max_tokens: texts are cut here (top-layers; the encoder must be opened with the same).
    layers: adapters sit in the top this many layers; the ones below are frozen and cached.
    rank, alpha, targets, dropout: of LoRA.
    head_c: inverse strength of the penalty of the logistic regression that starts the head.
    threads: CPU threads a fit uses; more may change the last bits.
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

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise FitError("the training spec cannot be used: " + "; ".join(faults))

    def key(self) -> str:
        """Hash of all fields, 32 hexadecimal digits, the same in every process."""
        values = asdict(self)
        return hash_parts(*(f"{f.name}={values[f.name]!r}" for f in fields(self)))


def default_spec(tier: str, *, rows: int, **changes: Any) -> FitSpec:
    """Give a tier's spec for a chain whose import version has this many training rows.

    Args:
        tier: probe or top-layers.
        rows: Training rows of the import version; they set the batches per epoch for all versions.
        changes: Fields that differ from the defaults.

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
    return FitSpec(**values)


def _faults(spec: FitSpec) -> list[str]:
    faults = [*_count_faults(spec), *_number_faults(spec)]
    if spec.tier not in METHODS:
        faults.append(f"tier {spec.tier!r} is not one of {list(get_args(Tier))}")
    elif spec.method not in METHODS[spec.tier]:
        faults.append(f"method {spec.method!r} is not one of {list(METHODS[spec.tier])}")
    if not spec.targets:
        faults.append("targets is empty, expected names of linear layers such as query, value")
    return faults


def _count_faults(spec: FitSpec) -> list[str]:
    faults = []
    for name in ("epochs", "layers", "rank", "alpha", "batches", "threads", "max_tokens"):
        value = getattr(spec, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            faults.append(f"{name} is {value!r}, expected a whole number from 1")
    return faults


def _number_faults(spec: FitSpec) -> list[str]:
    above = {"learning_rate": spec.learning_rate, "head_c": spec.head_c}
    share = {"momentum": spec.momentum, "dropout": spec.dropout}
    least = {"weight_decay": spec.weight_decay, "start_scale": spec.start_scale}
    return [
        *(f"{n} is {v!r}, expected a number above 0" for n, v in above.items() if not v > 0),
        *(f"{n} is {v!r}, expected 0 up to, not 1" for n, v in share.items() if not 0 <= v < 1),
        *(f"{n} is {v!r}, expected 0 or more" for n, v in least.items() if not v >= 0),
    ]
