"""What does one verdict cost against five plus five runs of the HF Trainer? Three ratios.

banking77, 1,000 training rows with 10 % wrong labels, which the change removes; 1,000 test rows;
LoRA (r 8, query and value), 2 epochs, batches of 32. The rival: AutoModelForSequenceClassification
with LoRA on all layers under the HF Trainer's defaults, five seeds before and five after; one run
is measured and counted ten times. Ours, cold (embeddings and activations counted): the same
spec on all layers, as many seeds as the shipped looks ask; and the top two layers.

engine: a run of the rival against one of ours, same spec. design: ten runs against those the looks
ask for. tier: our verdict on all layers against ours on the top layers. A saving by the cheaper
tier is worth what the agreement of their verdicts says (agreement_bank.py), so it stands apart.

    python benchmarks/verdict_cost.py [--data DIR]

About five CPU minutes, one thread. Exit code 1 if the ratio of all together is under its bound.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bank import Corpus, Walk, arguments, banking, line, moved_labels, open_minilm, walk

from curator.impact.groups import item_groups
from curator.impact.planning import default_margin
from finetune import Training, default_spec, fit_scores
from finetune.embed import Encoder

ROWS, TEST_ROWS = 1_000, 1_000
NAIVE_RUNS = 10
TOGETHER = 15.0
BATCH, EPOCHS, RATE = 32, 2, 1e-3


def main() -> int:
    args = arguments(__doc__.splitlines()[0]).parse_args()
    encoder = open_minilm()
    pool = banking(args.data, encoder, args.cache) if encoder else None
    if encoder is None or pool is None:
        return 0
    rng = np.random.default_rng(91)
    order = rng.permutation(len(pool.texts))
    base, test = order[:ROWS], order[ROWS : ROWS + TEST_ROWS]
    wrong = base[: ROWS // 10]
    labels = moved_labels(pool.truth, wrong, len(pool.classes), rng)
    sides = [training(pool, rows, labels) for rows in (base, base[len(wrong) :])]
    cost, accuracy = hf_run(encoder, sides[0], pool, test, seed=0)
    rival = NAIVE_RUNS * cost
    print(f"rival: {cost:.1f} CPU s a run, accuracy {accuracy:.3f}; ten {rival:.0f}", flush=True)
    ours = {
        tier: verdict_of(tier, encoder, pool, sides, test) for tier in ("top-layers", "all-layers")
    }
    return 0 if ratios(rival, ours) else 1


def training(pool: Corpus, rows: np.ndarray, labels: np.ndarray) -> Training:
    names = tuple(pool.classes[k] for k in labels[rows])
    return Training(tuple(pool.texts[rows]), names, np.ones(len(rows)))


def hf_run(
    encoder: Encoder, train: Training, pool: Corpus, test: np.ndarray, *, seed: int
) -> tuple[float, float]:
    """Train and predict once as the libraries' own examples do; CPU seconds and accuracy."""
    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    torch.set_num_threads(1)
    path = str(encoder.folder.path)
    number = {name: k for k, name in enumerate(pool.classes)}
    begun = time.process_time()
    tokenizer = AutoTokenizer.from_pretrained(path)

    def rows(texts: Any, classes: Any) -> list[dict[str, Any]]:
        ids = tokenizer(list(texts), truncation=True, max_length=128)
        return [
            {"input_ids": i, "attention_mask": m, "labels": int(k)}
            for i, m, k in zip(ids["input_ids"], ids["attention_mask"], classes, strict=True)
        ]

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=len(number))
    config = LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=16,
                        target_modules=["query", "value"])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH, learning_rate=RATE, seed=seed, use_cpu=True,
            report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = Trainer(
            model=get_peft_model(model, config), args=settings,
            train_dataset=rows(train.texts, [number[x] for x in train.labels]),
            data_collator=DataCollatorWithPadding(tokenizer),
        )  # fmt: skip
        trainer.train()
        found = trainer.predict(rows(pool.texts[test], pool.truth[test])).predictions
    spent = time.process_time() - begun
    return spent, float((found.argmax(axis=1) == pool.truth[test]).mean())


def verdict_of(
    tier: str, encoder: Encoder, pool: Corpus, sides: list[Training], test: np.ndarray
) -> tuple[Walk, float, float, int]:
    """Reach a verdict from nothing; give it, all CPU seconds, those of a fit, and the fits."""
    spec = default_spec(tier, rows=ROWS)
    names = [pool.classes[k] for k in pool.truth[test]]
    groups = item_groups(names, pool.vectors[test], seed=0).groups
    costs: list[float] = []
    scores: list[float] = []
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:

        def right(train: Training, count: int) -> np.ndarray:
            results = fit_scores(
                train, list(pool.texts[test]), classes=pool.classes, spec=spec, seeds=range(count),
                model=encoder, projection=None, cache=Path(folder),
            )  # fmt: skip
            costs.extend(r.cpu_s for r in results if not r.cached)
            found = np.array([r.probabilities.argmax(1) == pool.truth[test] for r in results])
            scores.append(float(found.mean()))
            return found.astype(np.float64)

        def differences(count: int) -> np.ndarray:
            return right(sides[1], count) - right(sides[0], count)

        found = walk(differences, groups, margin=default_margin(len(test)))
    spent = time.process_time() - begun
    print(
        f"ours, {tier} ({spec.precision}): {found.word} {100 * found.estimate.effect:+.2f} "
        f"[{100 * found.low:+.2f}, {100 * found.high:+.2f}] after {len(costs)} fits, "
        f"{np.mean(costs):.1f} CPU s each; accuracy {scores[-1]:.3f} and {scores[-2]:.3f}; "
        f"{spent:.0f} CPU s in all",
        flush=True,
    )
    return found, spent, float(np.mean(costs)), len(costs)


def ratios(rival: float, ours: dict[str, tuple[Walk, float, float, int]]) -> bool:
    _, every, fit, fits = ours["all-layers"]
    _, top, _, _ = ours["top-layers"]
    line("engine: a run, same spec", f"{rival / NAIVE_RUNS / fit:.1f} x", "shown only", met=None)
    line("design: runs", f"{NAIVE_RUNS / fits:.1f} x ({fits} of {NAIVE_RUNS})", "shown only",
         met=None)  # fmt: skip
    line("engine and design, all layers", f"{rival / every:.1f} x", "shown only", met=None)
    line("tier: all layers to top layers", f"{every / top:.1f} x", "shown only", met=None)
    whole = rival / top
    return line("together", f"{whole:.1f} x", f">= {TOGETHER:.0f} x", met=whole >= TOGETHER)


if __name__ == "__main__":
    sys.exit(main())
