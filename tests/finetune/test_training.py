"""What the numbers of a spec do to a fit, and what its record says."""

import json

import numpy as np
import pytest

from finetune import FitError, Training, default_spec, fit_scores, open_encoder, read_record
from finetune.keys import text_key
from finetune.loop import rate, rows_of_step
from finetune.spec import FIRST_FIELDS, FitSpec
from finetune.tiers import held_out

TEXTS = tuple(f"{a} {b} {c}" for a in ("card", "cash") for b in ("lost", "late", "fee") for c in
              ("pin", "my", "top up", "bank rate", "swap is not the"))  # fmt: skip
LABELS = tuple("card" if "card" in text else "cash" for text in TEXTS)
TEST = ["card stolen", "cash stolen how"]


@pytest.fixture
def fit(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)

    def run(labels=LABELS, weights=None, groups=None, tier="top-layers", seed=0, **changes):
        train = Training(TEXTS, labels, np.ones(30) if weights is None else weights, groups)
        spec = default_spec(tier, **{"rows": 30, "batches": 3, **changes})
        return fit_scores(
            train, TEST, classes=("card", "cash"), spec=spec, seeds=[seed], model=encoder,
            projection=None, cache=tmp_path,
        )[0]  # fmt: skip

    return run


def spec(**changes):
    return default_spec("top-layers", rows=30, batches=5, epochs=4, learning_rate=1.0, **changes)


def test_a_linear_rate_falls_from_all_to_nearly_none():
    assert [rate(step, spec()) for step in (0, 10, 19)] == pytest.approx([1.0, 0.5, 0.05])


def test_a_cosine_rate_is_high_longer_and_a_constant_one_stays():
    found = [rate(step, spec(schedule="cosine")) for step in (0, 10, 19)]

    assert found == pytest.approx([1.0, 0.5, (1 + np.cos(np.pi * 0.95)) / 2])
    assert rate(5, spec(schedule="cosine")) > rate(5, spec())
    assert {rate(step, spec(schedule="constant")) for step in range(20)} == {1.0}


def test_a_warm_rate_rises_over_its_share_of_the_steps_and_then_falls():
    found = [rate(step, spec(warmup=0.2)) for step in range(20)]

    assert found[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert found[19] == pytest.approx(1 / 16)


def test_every_row_has_one_batch_in_an_epoch_whatever_else_is_trained():
    slots = np.arange(100, dtype=np.uint64)
    nobody = np.zeros(100, dtype=bool)
    dealt = [rows_of_step(slots, nobody, spec(), 7, 1, batch).tolist() for batch in range(5)]
    fewer = [rows_of_step(slots[1:], nobody[1:], spec(), 7, 1, batch) + 1 for batch in range(5)]

    assert sorted(row for batch in dealt for row in batch) == list(range(100))
    assert [[i for i in batch if i] for batch in dealt] == [list(batch) for batch in fewer]


def test_weights_of_rows_count_and_a_weightless_row_teaches_nothing(fit):
    wrong = (*LABELS[:29], "card")
    without = np.ones(30)
    without[29] = 0.0

    # The head's start knows weights too, so both ways of not counting the row come to one model.
    assert fit(wrong, without).probabilities == pytest.approx(
        fit(LABELS, without).probabilities, abs=1e-3
    )
    assert abs(fit(wrong).probabilities - fit().probabilities).max() > 1e-3


def test_balanced_classes_lift_the_rare_one(fit):
    few = tuple("card" if i in (0, 1) else "cash" for i in range(30))
    plain = fit(few).probabilities[:, 0].mean()

    assert fit(few, class_weights="balanced").probabilities[:, 0].mean() > plain


@pytest.mark.parametrize("loss", ["smoothed", "focal", "gce", "sce"])
def test_another_loss_is_another_model_and_its_record_has_the_loss_of_each_row(loss, fit, tmp_path):
    found = fit(loss=loss, learning_rate=0.02)
    rows = read_record(tmp_path, found.key).rows

    assert abs(found.probabilities - fit(learning_rate=0.02).probabilities).max() > 1e-5
    assert rows["row_losses"].shape == (2, 30)
    assert np.isfinite(rows["row_losses"]).all()


def test_clipping_holds_the_first_step_short(fit, tmp_path):
    one = {"epochs": 1, "batches": 1, "head_start": "zeros", "weight_decay": 0.0}
    free, held = fit(clip=0.0, **one), fit(clip=1e-12, **one)
    heads = [abs(read_record(tmp_path, f.key).state["head"]).max() for f in (free, held)]

    assert heads[0] > 100 * heads[1]


def test_no_group_is_split_between_learning_and_validation():
    targets = np.array([0, 1] * 50)
    groups = [f"g{i // 4}" for i in range(100)]
    held = held_out(targets, groups, share=0.3, seed=1)
    sides = {g: {bool(h) for g2, h in zip(groups, held, strict=True) if g2 == g} for g in groups}

    assert 0.1 < held.mean() < 0.5
    assert all(len(side) == 1 for side in sides.values())
    assert held.tolist() != held_out(targets, groups, share=0.3, seed=2).tolist()
    assert held[4:].tolist() == held_out(targets[4:], groups[4:], share=0.3, seed=1).tolist()


def test_a_class_in_one_group_is_learnt_and_never_only_validated():
    targets = np.array([0] * 20 + [1])
    groups = [str(i) for i in range(21)]
    held = np.array([held_out(targets, groups, share=0.5, seed=seed) for seed in range(20)])

    assert not held[:, 20].any()
    assert held[:, :20].any(axis=1).all()


def test_a_validation_share_that_holds_out_nobody_is_an_error_that_says_so():
    with pytest.raises(FitError, match=r"share of 0\.001 holds out none of 3 groups"):
        held_out(np.array([0, 1, 1]), ["a", "b", "c"], share=0.001, seed=0)


def test_a_fit_stops_when_patience_is_out_and_keeps_its_best_epoch(fit, tmp_path):
    noise = tuple(np.random.default_rng(5).permutation(LABELS).tolist())
    found = fit(
        noise, epochs=40, learning_rate=0.05, schedule="constant", validation=0.3, patience=2
    )
    epochs = found.record["epochs"]
    losses = [epoch["validation_loss"] for epoch in epochs]
    stored = read_record(tmp_path, found.key)
    held = stored.rows["held"]
    logits, targets = stored.rows["held_logits"], stored.rows["targets"][held]
    shifted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    assert len(epochs) == int(np.argmin(losses)) + 3 < 40
    assert -shifted[np.arange(len(targets)), targets].mean() == pytest.approx(min(losses), abs=1e-5)
    assert np.isnan(stored.rows["row_losses"][:, held]).all()


def test_groups_count_in_the_key_only_where_they_decide_something(fit):
    pairs = tuple(str(i // 2) for i in range(30))

    assert fit(groups=pairs).key == fit().key
    assert fit(groups=pairs, validation=0.2).key != fit(validation=0.2).key


def test_bfloat16_is_close_to_float32_and_another_fit(fit):
    exact, coarse = (fit(tier="all-layers", precision=p) for p in ("float32", "bfloat16"))

    assert exact.key != coarse.key
    assert exact.probabilities.tobytes() != coarse.probabilities.tobytes()
    assert coarse.probabilities == pytest.approx(exact.probabilities, abs=0.05)


def test_a_loss_that_explodes_names_epoch_batch_rate_and_what_to_lower(fit):
    told = (
        r"not finite at learning rate 1e\+20 \(in epoch 1 of 2, batch 2 of 3\); lower "
        r"learning_rate, for example to 1e\+19, or set clip: 1\.0"
    )
    with pytest.raises(FitError, match=told):
        fit(learning_rate=1e20)


def torch_takes_too_much():
    import torch

    return torch.empty(2**50)


def numpy_takes_too_much():
    return np.empty(2**57)


@pytest.mark.parametrize("take", [torch_takes_too_much, numpy_takes_too_much])
def test_a_fit_that_runs_out_of_memory_says_what_to_lower(take, tiny_bert, tmp_path):
    train = Training(TEXTS, LABELS, np.ones(30))
    spec = default_spec("top-layers", rows=30, batches=3)

    def greedy(at):
        if at.stage == "step":
            take()  # in the middle of a fit, as another program's memory would be gone

    with pytest.raises(FitError, match="top-layers fit ran out of memory") as told:
        fit_scores(train, TEST, classes=("card", "cash"), spec=spec, seeds=[0], cache=tmp_path,
                   model=open_encoder(tiny_bert), projection=None, progress=greedy)  # fmt: skip

    for lower in ("max_tokens (now 128)", "layers (now 2)", "method: lora"):
        assert lower in str(told.value)


def test_the_record_says_what_was_done_with_what_and_no_text(fit, tmp_path):
    found = fit(validation=0.2)
    record = found.record
    stored = read_record(tmp_path, found.key)

    assert record == stored.record == json.loads(json.dumps(record))
    assert record["key"] == found.key
    assert set(record["spec"]) == set(FitSpec.__dataclass_fields__) > set(FIRST_FIELDS)
    assert record["model"]["kind"] == "bert"
    assert len(record["model"]["content"]) == 32
    assert set(record["libraries"]) >= {"torch", "transformers", "peft", "numpy"}
    assert record["rows"] == 30
    assert record["cpu_s"] > 0
    assert record["peak_bytes"] > 10_000_000
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2]
    assert set(record["epochs"][0]) >= {"train_loss", "validation_loss", "learning_rate"}
    assert set(stored.scores) == {text_key(text) for text in TEST}
    assert TEXTS[0].encode() not in (tmp_path / "fits" / f"{found.key}.npz").read_bytes()


def test_a_fit_of_the_first_release_is_read_without_a_record(fit, tmp_path):
    found = fit()
    path = tmp_path / "fits" / f"{found.key}.npz"
    with np.load(path) as file:
        old = {n: file[n] for n in file.files if n != "record" and not n.startswith("rows/")}
    np.savez(path, **old)
    again = fit()

    assert again.cached
    assert again.record == {}
    assert again.probabilities.tobytes() == found.probabilities.tobytes()


def test_a_new_version_computes_only_its_new_rows(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)
    seen = []

    def run(texts, labels, tier):
        fit_scores(
            Training(texts, labels, np.ones(len(texts))), TEST, classes=("card", "cash"),
            spec=default_spec(tier, rows=30, batches=3), seeds=[0], model=encoder,
            projection=None, cache=tmp_path, progress=seen.append,
        )  # fmt: skip

    for tier in ("top-layers", "all-layers"):
        run(TEXTS[:-1], LABELS[:-1], tier)
        seen.clear()
        run(TEXTS, LABELS, tier)
        new = {at.stage: at.done - at.cached for at in seen if at.stage in ("embed", "activations")}
        assert set(new.values()) == ({1} if tier == "top-layers" else {0})
    assert len(list((tmp_path / "tokens").rglob("*.index.npz"))) == 2
