"""Small forms of the benchmarks of training: a made corpus and a tiny model, in seconds."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from finetune import open_encoder

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WORDS = [f"word{n}" for n in range(80)]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in ("finetune_costs", "finetune_trainer"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=6, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=128,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return open_encoder(folder)


def corpus(count, classes):
    draw = np.random.default_rng(0)
    labels = [f"c{at % classes:02d}" for at in range(count)]
    texts = [
        " ".join([WORDS[at % classes], *draw.choice(WORDS, 2 + at % 9)]) + f" {at}"
        for at in range(count)
    ]
    return np.array(texts, dtype=object), np.array(labels)


def test_our_loop_and_the_hf_trainer_come_to_the_same_weights(script, encoder, tmp_path, capsys):
    assert script("finetune_trainer").parity(*corpus(256, 5), encoder, tmp_path)

    said = capsys.readouterr().out
    moved = float(said.partition("largest LoRA weight")[2].splitlines()[0].split()[-1])
    # Both trained: equal weights of nothing learnt would prove nothing.
    assert moved > 1e-4


def test_a_run_costs_nearly_nothing_beside_its_steps(script, encoder, tmp_path):
    assert script("finetune_costs").fixed(*corpus(32, 4), encoder, tmp_path)


@pytest.mark.parametrize(("value", "holds"), [(2.5, True), (2.4, False), (float("nan"), False)])
def test_a_missed_bound_is_told_and_fails(script, capsys, value, holds):
    for name in ("finetune_costs", "finetune_trainer"):
        assert holds is script(name).bound("ratio", value, least=2.5)
        assert ("ok" if holds else "MISSED") in capsys.readouterr().out
