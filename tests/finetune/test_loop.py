import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from finetune import (
    FitError,
    Training,
    default_spec,
    embed,
    fit_key,
    fit_projection,
    fit_scores,
    fit_tfidf,
    open_encoder,
)

TEXTS = tuple(f"{a} {b} {c}" for a in ("card", "cash") for b in ("lost", "late", "fee") for c in
              ("pin", "my", "top up", "bank rate", "swap is not the"))  # fmt: skip
LABELS = tuple("card" if "card" in text else "cash" for text in TEXTS)
TEST = ["card stolen", "cash stolen how", "my card", "the bank cash transfer", "card stolen"]
CLASSES = ("cash", "card", "neither")


def training(rows=range(30), weights=None):
    rows = list(rows)
    return Training(
        tuple(TEXTS[i] for i in rows),
        tuple(LABELS[i] for i in rows),
        np.ones(len(rows)) if weights is None else weights,
    )


@pytest.fixture(params=["probe", "top-layers"])
def scores(request, tiny_bert, tmp_path):
    """Fit and score on the tiny BERT, with caches of its own."""
    encoder = open_encoder(tiny_bert)
    projection = fit_projection(embed(TEXTS, encoder, cache=tmp_path))

    def run(train, test=TEST, seeds=(0, 1), cache=tmp_path, **changes):
        return fit_scores(
            train,
            test,
            classes=CLASSES,
            spec=default_spec(request.param, rows=30, batches=3, **changes),
            seeds=seeds,
            model=encoder,
            projection=projection,
            cache=cache,
        )

    run.tier = request.param
    return run


def bits(results):
    return [result.probabilities.tobytes() for result in results]


def test_a_fit_is_never_done_twice_and_its_copy_is_the_same(scores):
    first, second = scores(training()), scores(training())

    assert [r.cached for r in first] == [False, False]
    assert [r.cached for r in second] == [True, True]
    assert bits(first) == bits(second)
    assert [r.key for r in first] == [r.key for r in second]
    assert first[0].key != first[1].key
    assert bits(first)[0] != bits(first)[1]


def test_the_same_seed_gives_the_same_bytes_without_any_cache(scores, tmp_path):
    assert bits(scores(training())) == bits(scores(training(), cache=tmp_path / "other"))


def test_a_reshuffle_of_the_training_rows_is_a_cache_hit_and_would_be_identical(scores, tmp_path):
    order = np.random.default_rng(0).permutation(30)
    first = scores(training())

    assert all(r.cached for r in scores(training(order)))
    assert bits(first) == bits(scores(training(order), cache=tmp_path / "other"))


def test_probabilities_stand_in_the_order_asked_for_and_an_absent_class_has_none(scores):
    found = scores(training())[0].probabilities

    assert found.shape == (5, 3)
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert found[:, 2].tolist() == [0.0] * 5
    assert found[0].tobytes() == found[4].tobytes()
    assert found[0, 1] > found[1, 1]


def test_new_test_texts_are_scored_by_the_stored_model_with_the_same_bits(scores, tmp_path):
    first = scores(training(), test=TEST[:2])
    more = scores(training(), test=TEST)
    fresh = scores(training(), test=TEST, cache=tmp_path / "other")

    assert all(r.cached for r in more)
    assert bits(more) == bits(fresh)
    assert first[0].probabilities.tobytes() == more[0].probabilities[:2].tobytes()
    assert all(r.cached for r in scores(training(), test=TEST[:2]))


def test_another_label_weight_spec_or_row_is_another_fit(scores):
    key = scores(training(), seeds=[0])[0].key
    heavier = np.ones(30)
    heavier[3] = 0.5
    others = [
        scores(training(weights=heavier), seeds=[0])[0],
        scores(training(range(29)), seeds=[0])[0],
        scores(training(), seeds=[0], epochs=1)[0],
    ]

    assert not any(r.cached for r in others)
    assert len({key, *(r.key for r in others)}) == 4


def test_dropping_a_row_moves_predictions_less_than_another_seed_does(scores):
    whole, dropped = scores(training()), scores(training(range(29)))
    seed = abs(whole[0].probabilities - whole[1].probabilities).mean()

    assert abs(whole[0].probabilities - dropped[0].probabilities).mean() < max(seed, 0.02)


def test_doubling_every_row_at_half_weight_is_nearly_the_same_training(scores):
    doubled = training([i for i in range(30) for _ in range(2)], np.full(60, 0.5))
    one, two = scores(training()), scores(doubled)

    assert abs(one[0].probabilities - two[0].probabilities).max() < 0.15


def test_after_training_the_encoder_is_as_it_was(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)
    before = encoder.transform(TEST).tobytes()
    modules = [name for name, _ in encoder.model.named_modules()]
    fit_scores(
        training(), TEST, classes=CLASSES, seeds=[0], model=encoder, projection=None,
        spec=default_spec("top-layers", rows=30, dropout=0.1, layers=4), cache=tmp_path,
    )  # fmt: skip

    assert before == encoder.transform(TEST).tobytes()
    assert modules == [name for name, _ in encoder.model.named_modules()]


def test_training_on_cached_activations_equals_training_through_the_whole_model(
    tiny_bert, tmp_path, monkeypatch
):
    import torch

    encoder = open_encoder(tiny_bert)
    spec = default_spec("top-layers", rows=30, batches=3)
    given = {"classes": CLASSES, "spec": spec, "seeds": [0], "model": encoder, "projection": None}
    found = fit_scores(training(), TEST, cache=tmp_path, **given)[0].probabilities
    with np.load(next((tmp_path / "fits").glob("*.npz"))) as stored:
        state = {n.removeprefix("state/"): stored[n] for n in stored.files if "state/" in n}

    model = encoder.model
    for name, up in ((n, v) for n, v in state.items() if "lora_B" in n):
        layer = model.get_submodule(
            name.removeprefix("base_model.model.").removesuffix(".lora_B.default.weight")
        )
        down = state[name.replace("lora_B", "lora_A")]
        merged = layer.weight + torch.from_numpy(up @ down) * (spec.alpha / spec.rank)
        monkeypatch.setattr(layer, "weight", torch.nn.Parameter(merged, requires_grad=False))
    head = state["head"]
    logits = encoder.transform(TEST) @ head[:-1] + head[-1]
    whole = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    assert sum("lora_B" in name for name in state) == 4
    assert found[:, [1, 0]] == pytest.approx(whole, abs=2e-3)


@pytest.mark.model
def test_minilms_top_layers_learn_what_a_question_is_about(minilm, tmp_path):
    kinds = {
        "card": ("where is my card", "the card never came", "my card was stolen", "order a card"),
        "rate": ("what is the exchange rate", "the rate was wrong", "bad rate", "rate for euros"),
    }
    rows = [(text, kind) for kind, texts in kinds.items() for text in texts]
    train = Training(*zip(*rows, strict=True), np.ones(8))
    given = {"classes": ("card", "rate"), "seeds": [0], "projection": None, "cache": tmp_path}
    test = ["has my card been sent?", "which rate do I get for dollars?"]
    found = fit_scores(
        train, test, model=open_encoder(minilm), spec=default_spec("top-layers", rows=8), **given
    )[0]

    assert [0, 1] == found.probabilities.argmax(axis=1).tolist()


KILLED = """
import sys
from pathlib import Path
import numpy as np
from finetune import Training, default_spec, embed, fit_projection, fit_scores, fit_tfidf
words = "card cash lost late fee pin my bank rate swap".split()
texts = tuple(f"{a} {b} {c}" for a in words for b in words for c in words)
train = Training(texts, tuple(t.split()[0] for t in texts), np.ones(len(texts)))
model, cache = fit_tfidf(texts, dimensions=16), Path(sys.argv[1])
projection = fit_projection(embed(texts, model, cache=cache))
results = fit_scores(train, texts[:50], classes=tuple(sorted(set(train.labels))),
    spec=default_spec("probe", rows=len(texts)), seeds=range(60), model=model,
    projection=projection, cache=cache,
    progress=lambda p: print(p.stage, p.done, p.cached, flush=True))
"""


def test_kill_9_between_fits_loses_at_most_the_one_in_flight(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        while not process.stdout.readline().startswith("fit 20 "):
            pass
        os.kill(process.pid, signal.SIGKILL)
        told = [20, *(int(line.split()[1]) for line in process.stdout if "fit" in line)][-1]
    again = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)

    done, cached = map(int, again.stdout.split()[-2:])
    assert done == 60
    assert told <= cached <= told + 1


@pytest.mark.data
def test_chinese_texts_are_scored_through_tfidf_and_top_layers_says_it_needs_an_encoder(
    chinese, tmp_path
):
    labels = tuple("question" if "?" in t or "？" in t or "吗" in t else "other" for t in chinese)
    model = fit_tfidf(chinese[:200])
    train = Training(tuple(chinese[:200]), labels[:200], np.ones(200))
    projection = fit_projection(embed(train.texts, model, cache=tmp_path))
    given = {"classes": ("other", "question"), "model": model, "cache": tmp_path, "seeds": [0]}
    found = fit_scores(
        train, chinese[200:], spec=default_spec("probe", rows=200), projection=projection, **given
    )[0].probabilities

    right = np.array(["other", "question"])[found.argmax(1)] == np.array(labels[200:])
    assert right.mean() > 0.75
    with pytest.raises(FitError, match="needs an encoder; character 1-3-gram TF-IDF"):
        fit_scores(train, [], spec=default_spec("top-layers", rows=200), projection=None, **given)


def test_what_cannot_be_trained_is_an_error_that_says_why(scores, tiny_bert, tmp_path):
    with pytest.raises(FitError, match="training set is empty"):
        scores(training([]))
    with pytest.raises(FitError, match="all 5 training rows have the label 'card'"):
        scores(training(range(5)))
    with pytest.raises(FitError, match="weight is negative or not finite"):
        scores(training(weights=np.full(30, -1.0)))
    with pytest.raises(FitError, match="one of each per row"):
        scores(training(weights=np.ones(3)))
    with pytest.raises(FitError, match=r"labels that were not asked for: \['x'\]"):
        scores(Training(TEXTS[:2], ("x", "card"), np.ones(2)))
    spec = default_spec("top-layers", rows=30, layers=9)
    given = {"classes": CLASSES, "seeds": [0], "projection": None, "cache": tmp_path}
    short = open_encoder(tiny_bert, max_tokens=32)
    strange = default_spec("top-layers", rows=30, targets=("q",))
    with pytest.raises(FitError, match="layers is 9; tiny-bert0 has only 4"):
        fit_scores(training(), TEST, spec=spec, model=open_encoder(tiny_bert), **given)
    with pytest.raises(FitError, match="the spec cuts texts at 128 tokens, the encoder at 32"):
        fit_scores(training(), TEST, spec=spec, model=short, **given)
    with pytest.raises(FitError, match=r"targets \['q'\] name no layer of this model; it has"):
        fit_scores(training(), TEST, spec=strange, model=open_encoder(tiny_bert), **given)


def test_a_damaged_fit_is_an_error_that_names_the_file(scores, tmp_path):
    scores(training(), seeds=[0])
    next((tmp_path / "fits").glob("*.npz")).write_bytes(b"PK broken")

    with pytest.raises(FitError, match="this cached fit is damaged"):
        scores(training(), seeds=[0])


def test_a_learning_rate_that_explodes_is_an_error_that_says_so(scores):
    rate = {"probe": 1e38, "top-layers": 1e20}[scores.tier]
    with pytest.raises(FitError, match="not finite at learning rate"), np.errstate(all="ignore"):
        scores(training(), seeds=[0], learning_rate=rate)


def test_a_fits_key_is_a_multiset():
    spec = default_spec("probe", rows=30)
    one, two = training(range(30)), training([*range(29, -1, -1)])

    assert fit_key(one, spec, 0, "r") == fit_key(two, spec, 0, "r")
    assert fit_key(one, spec, 0, "r") != fit_key(training([*range(30), 3]), spec, 0, "r")
    assert fit_key(one, spec, 0, "r") != fit_key(one, spec, 0, "other")
