"""`curator models compare`: base models and methods on one's own rows, under the same verdicts."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from curator.cli import app

TOPICS = [f"topic{n}" for n in range(20)]
FILLERS = [f"word{n}" for n in range(60)]


def rows(count, split, seed):
    draw = np.random.default_rng(seed)
    for at in range(count):
        words = [TOPICS[at % 20], *draw.choice(FILLERS, 6, replace=False)]
        yield {"text": " ".join(draw.permutation(words)), "label": f"c{at % 20}", "split": split}


def encoder(folder):
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *TOPICS, *FILLERS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), do_basic_tokenize=False).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)


def causal(folder):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[UNK]", "[END]", *TOPICS, *FILLERS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", eos_token="[END]"
    ).save_pretrained(folder)
    config = GPT2Config(
        vocab_size=len(vocabulary), n_embd=16, n_layer=2, n_head=2, n_positions=32,
        bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2Model(config).save_pretrained(folder)


RECIPE = """\
name: topics
task: classification
language: en
sources:
  - from: file:rows.csv
    columns: {text: text, label: label, split: split}
measure: {model: tfidf, tiers: [probe], epochs: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A recipe that was run, an encoder, a copy of it, and a causal model."""
    here = tmp_path_factory.mktemp("compare")
    with (here / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label", "split"])
        writer.writeheader()
        writer.writerows([*rows(160, "train", 0), *rows(320, "test", 1)])
    (here / "recipe.yaml").write_text(RECIPE)
    encoder(here / "small")
    shutil.copytree(here / "small", here / "copy")
    causal(here / "talks")
    patch = pytest.MonkeyPatch()
    patch.chdir(here)
    patch.setenv("CURATOR_STATE", str(here / "state"))
    assert 0 == CliRunner().invoke(app, ["--quiet", "run", "recipe.yaml", "--no-measure"]).exit_code
    yield here
    patch.undo()


def compared(*words, what="main", fails=False):
    done = CliRunner().invoke(app, ["models", "compare", what, *words, "--json"])
    assert done.exit_code == int(fails), done.output
    return str(done.exception) if fails else json.loads(done.stdout)


@pytest.mark.usefixtures("folder")
def test_a_recipe_is_run_and_tfidf_is_told_from_a_random_encoder():
    found = compared("--models", "tfidf,./small", what="recipe.yaml")

    reference, other = found["candidates"]
    judged = found["comparisons"][0]
    assert ("tfidf probe", "./small probe") == (found["reference"], judged["candidate"])
    assert judged["effect"] == pytest.approx(other["score"] - reference["score"])
    assert "worse" == judged["verdict"]
    assert judged["low"] < judged["effect"] < judged["high"] < 0
    assert "worse than the reference" in judged["sentence"].lower()


@pytest.mark.usefixtures("folder")
def test_a_model_and_its_copy_are_equivalent_and_nothing_is_trained_for_it_twice():
    found = compared("--models", "./small,./copy")

    assert ("equivalent", 0.0) == (found["comparisons"][0]["verdict"],
                                   found["comparisons"][0]["effect"])  # fmt: skip
    assert found["work"]["fits"] <= 3


@pytest.mark.usefixtures("folder")
def test_methods_and_a_causal_model_stand_beside_the_encoder_with_cost_and_size():
    found = compared(
        "--models", "./small,./talks,tfidf", "--methods", "head,lora", "--tiers", "top-layers"
    )

    names = [one["candidate"] for one in found["candidates"]]
    assert [f"./{m} top-layers {way}" for m in ("small", "talks") for way in ("head", "lora")] == (
        names
    )
    assert ["tfidf top-layers head", "tfidf top-layers lora"] == [
        one["candidate"] for one in found["left_out"]
    ]
    assert "no layers to train" in found["left_out"][0]["reason"]
    small, talks = found["candidates"][1], found["candidates"][3]
    # 82 words, 32 places of 16 numbers, and per layer 3 x 16 x 16 + ... ; both far under a million.
    assert 0 < talks["parameters"] < 1e5
    assert small["mb"] == pytest.approx(Path("small/model.safetensors").stat().st_size / 1e6)
    assert small["cpu_s_per_fit"] > 0
    assert small["cpu_s_per_1000_rows"] == pytest.approx(small["cpu_s_per_fit"] / 160 * 1000)
    assert {3} == {one["claims"] for one in found["comparisons"]}
    assert all(cost["least_cpu_s"] <= cost["most_cpu_s"] for cost in found["estimates"])


@pytest.mark.usefixtures("folder")
def test_each_look_is_charged_once_and_asking_again_costs_nothing():
    first = compared("--models", "tfidf,./talks")
    again = compared("--models", "tfidf,./talks")

    assert first["test_uses"]["alpha"] > 0
    assert first["test_uses"] == again["test_uses"]
    assert 0 == again["work"]["fits"]
    assert first["comparisons"] == again["comparisons"]


@pytest.mark.usefixtures("folder")
def test_the_cost_and_the_smallest_effect_are_said_before_the_charge_and_a_table_after():
    done = CliRunner().invoke(app, ["models", "compare", "main", "--models", "tfidf,./small"])

    order = [done.stderr.index(word) for word in ("cost    ", "no effect under", "ledger  ")]
    assert sorted(order) == order
    assert "CPU s a fit" in done.stdout
    assert "reference" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--models", "tfidf"], "1 candidate can be trained, and a comparison takes two"),
        (["--models", "tfidf,./small", "--tiers", "prob"], "Did you mean 'probe'"),
        (["--models", "tfidf,./nowhere"], "there is no folder './nowhere'"),
        (["--models", "./small,tfidf", "--tiers", "top-layers", "--methods", "loar"],
         "method 'loar' is not one of"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_compared_is_refused_with_the_reason(words, told):
    assert told in " ".join(compared(*words, fails=True).split())


def test_rows_without_a_bank_get_no_verdict_on_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"text": f"text {at}", "labels": ["a"] * (at % 2)}) for at in range(20)]
    Path("rows.jsonl").write_text("\n".join(lines))
    Path("recipe.yaml").write_text(
        "name: m\ntask: multilabel\nsources:\n  - from: file:rows.jsonl\nmeasure: {model: tfidf}\n"
    )

    told = compared("--models", "tfidf,./small", what="recipe.yaml", fails=True)

    assert "no A/A bank for task multilabel yet" in told
