"""Base models and methods as candidates for one training set: what each is, costs and weighs.

The one idea: a candidate is a model, a tier and a method; whatever cannot be trained so is said at
once, with the reason, and takes no part.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import finetune
from curator.context import Context
from curator.impact.design import fit_spec
from curator.impact.sequence import LOOKS, MOST_SEEDS
from curator.recipe import MeasureSpec

SAMPLE = 16  # texts whose embedding is timed
MEGA = 1e6
WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to train on the rows.

    model: As it was named.
    context: Its features and caches.
    fit: Its training spec.
    """

    model: str
    tier: str
    method: str
    context: Context
    fit: finetune.FitSpec

    @property
    def name(self) -> str:
        """For people: the model, the tier, and the method where there is a choice."""
        return " ".join([self.model, self.tier, *([self.method] * (self.tier != "probe"))])


@dataclass(frozen=True, slots=True)
class Ruled:
    """A combination that cannot be trained, and why."""

    name: str
    reason: str


def candidates(
    models: Sequence[str],
    tiers: Sequence[str],
    methods: Sequence[str],
    *,
    spec: MeasureSpec,
    context: Context,
) -> tuple[list[Candidate], list[Ruled]]:
    """Give every combination that can be trained, in the order of the names, and the others.

    Args:
        models: Folders, package addresses, hf:owner/name, or tfidf.
        tiers: Of the training.
        methods: What is trained above the probe.
        spec: Gives the training options.
        context: Of the chain; every model gets one like it.

    Raises:
        MeasureError: A model is not there.
    """
    can: list[Candidate] = []
    cannot: list[Ruled] = []
    for model in models:
        own = Context(
            cache=context.cache, root=context.root, model_name=model, language=context.language,
            base=context.base, progress=context.progress, counters=context.counters,
        )  # fmt: skip
        for tier in tiers:
            for method in ["head"] if tier == "probe" else methods:
                made = _made(model, tier, method, own, spec)
                if isinstance(made, Candidate):
                    can.append(made)
                else:
                    cannot.append(made)
    return can, cannot


def _made(
    model: str, tier: str, method: str, context: Context, spec: MeasureSpec
) -> Candidate | Ruled:
    name = f"{model} {tier}" + (f" {method}" if tier != "probe" else "")
    if tier != "probe" and not context.is_encoder:
        return Ruled(name, f"{context.model.name} has no layers to train")
    try:
        fit = fit_spec(tier, replace(spec, method=method), context)
    except finetune.FitError as fault:
        return Ruled(name, str(fault))
    return Candidate(model, tier, method, context, fit)


def estimates(candidates: Sequence[Candidate], texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Say what each candidate will cost, from training two steps and embedding some texts.

    Args:
        candidates: The candidates.
        texts: All that a model will read: those it has not read yet are counted.
    """
    trials: dict[str, finetune.Trial] = {}
    for one in candidates:
        model = one.context.model
        new = finetune.count_missing(texts, model, cache=one.context.cache)
        once, fit = _embedding_s(model, texts) * new, 0.0
        if one.tier != "probe":
            if one.model not in trials:
                trials[one.model] = finetune.try_model(model, targets=one.fit.targets)
            cost = next(c for c in trials[one.model].tiers if c.tier == one.tier)
            fit = cost.row_s * _learnt(one.context.root) * one.fit.epochs
            once += cost.once_s * new
        yield {
            "candidate": one.name, "once_cpu_s": once, "fit_cpu_s": fit,
            "least_cpu_s": once + fit * LOOKS[0][0], "most_cpu_s": once + fit * MOST_SEEDS,
        }  # fmt: skip


def _learnt(root: pa.Table) -> int:
    return int(pc.sum(pc.equal(root["split"], "train")).as_py() or 0)


def _embedding_s(model: Any, texts: Sequence[str]) -> float:
    sample = sorted(texts)[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    model.transform(sample[:1])  # loads it
    start = time.process_time()
    model.transform(sample)
    return (time.process_time() - start) / max(1, len(sample))


def size(candidate: Candidate) -> dict[str, float | None]:
    """Give the numbers of a model (parameters) and the size of its files in MB."""
    model = candidate.context.model
    if not isinstance(model, finetune.Encoder):
        files = sorted((candidate.context.cache / "models").glob("tfidf-*.npz"))
        return {"parameters": None, "mb": _megabytes(files[-1:])}
    weights = sum(p.numel() for p in model.model.parameters())
    folder = Path(model.folder.path)
    return {
        "parameters": weights,
        "mb": _megabytes([p for pattern in WEIGHTS for p in folder.glob(pattern)]),
    }


def _megabytes(files: Sequence[Path]) -> float:
    return sum(path.stat().st_size for path in files) / MEGA
