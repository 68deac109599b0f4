import numpy as np
import pytest

from finetune import FitError, Training, default_spec, fit_scores, open_encoder, read_record
from finetune.spec import METHODS

TEXTS = tuple(f"{a} {b} {c}" for a in ("card", "cash") for b in ("lost", "late", "fee") for c in
              ("pin", "my", "top up", "bank rate", "swap is not the"))  # fmt: skip
LABELS = tuple("card" if "card" in text else "cash" for text in TEXTS)
TEST = ["card stolen", "cash stolen how", "my card", "", "card stolen"]
TRAIN = Training(TEXTS, LABELS, np.ones(30))
MODELS = ("tiny_bert", "tiny_gpt2", "tiny_llama")
ALL = [(tier, method) for tier in ("top-layers", "all-layers") for method in METHODS[tier]]
ALL.remove(("all-layers", "qlora"))


def fit(folder, cache, tier, *, train=TRAIN, test=TEST, seeds=(0,), pooling=None, **changes):
    encoder = open_encoder(folder, max_tokens=32, pooling=pooling)
    given = {"max_tokens": 32, "targets": encoder.folder.targets, "precision": "float32"}
    spec = default_spec(tier, rows=30, batches=3, **given, **changes)
    return fit_scores(
        train, test, classes=("card", "cash"), spec=spec, seeds=seeds, model=encoder,
        projection=None, cache=cache,
    )  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("tier", "method"), ALL)
def test_every_method_learns_on_every_architecture_and_leaves_the_model_as_it_was(
    tier, method, name, request, tmp_path
):
    folder = request.getfixturevalue(name)
    encoder = open_encoder(folder, max_tokens=32)
    before = encoder.transform(TEXTS).tobytes()
    given = {"max_tokens": 32, "targets": encoder.folder.targets, "precision": "float32"}
    rate = {"learning_rate": 3e-2} if method in ("head", "full", "lora", "rslora", "dora") else {}

    def run(**more):
        spec = default_spec(
            tier, rows=30, batches=3, method=method, head_start="zeros", virtual_tokens=4,
            **{**given, **more},
        )  # fmt: skip
        return fit_scores(
            TRAIN, TEST, classes=("card", "cash"), spec=spec, seeds=[0], model=encoder,
            projection=None, cache=tmp_path,
        )[0]  # fmt: skip

    found, still = run(epochs=4, **rate), run(epochs=1, learning_rate=1e-12)
    losses = [epoch["train_loss"] for epoch in found.record["epochs"]]
    stored, start = (read_record(tmp_path, one.key).state for one in (found, still))
    moved = [name for name in stored if abs(stored[name] - start[name]).max() > 1e-5]

    assert losses[-1] < losses[0]
    # A bias of all keys alike shifts no attention.
    assert {n for n in stored if "key.bias" not in n} <= set(moved)
    assert before == encoder.transform(TEXTS).tobytes()
    assert (len(stored) > 1) == (method != "head")
    assert found.probabilities[0].tobytes() == found.probabilities[4].tobytes()
    assert not any(p.requires_grad for p in encoder.model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_run_in_two_parts_learns_what_the_whole_learns(name, request, tmp_path):
    """LoRA in all layers through the cut below layer 0, and through the model as it is."""
    folder = request.getfixturevalue(name)
    cut = fit(folder, tmp_path, "top-layers", layers=4)[0].probabilities
    whole = fit(folder, tmp_path, "all-layers", layers=4)[0].probabilities

    assert cut == pytest.approx(whole, abs=2e-3)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("name", ["tiny_bert", "tiny_gpt2"])
def test_a_rows_vector_is_pooled_as_asked_alone_and_in_company(name, pooling, request):
    encoder = open_encoder(request.getfixturevalue(name), max_tokens=32, pooling=pooling)
    ids = encoder.tokens(["my card is lost"])[0]
    import torch

    with torch.inference_mode():
        hidden = encoder.model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
    wanted = {"mean": hidden.mean(axis=0), "cls": hidden[0], "last": hidden[-1]}[pooling]
    alone = encoder.transform(["my card is lost"])[0]

    assert alone == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-5)
    assert alone.tobytes() == encoder.transform([*TEXTS, "my card is lost"])[-1].tobytes()


def test_a_causal_model_sees_the_label_word_wherever_its_token_stands(tiny_llama, tmp_path):
    for pooling in ("last", "mean"):
        found = fit(
            tiny_llama, tmp_path, "all-layers", pooling=pooling, method="full", epochs=30,
            learning_rate=1e-2, test=list(TEXTS),
        )[0]  # fmt: skip
        said = np.array(["card", "cash"])[found.probabilities.argmax(axis=1)]
        assert (said == np.array(LABELS)).mean() == 1.0


def test_a_prefix_is_put_before_every_text_and_makes_another_model(tiny_bert):
    plain, queries = open_encoder(tiny_bert), open_encoder(tiny_bert, prefix="my ")

    assert plain.tokens(["my card"]) == queries.tokens(["card"])
    assert plain.transform(["my card"]).tobytes() == queries.transform(["card"]).tobytes()
    assert plain.revision != queries.revision


def test_virtual_tokens_that_do_not_fit_are_told_with_the_most_that_do(tiny_gpt2, tmp_path):
    encoder = open_encoder(tiny_gpt2, max_tokens=64)
    spec = default_spec("all-layers", rows=30, method="prompt", max_tokens=64)
    with pytest.raises(FitError, match=r"16 virtual tokens .* takes max_tokens up to 48; it is 64"):
        fit_scores(
            TRAIN, TEST, classes=("card", "cash"), spec=spec, seeds=[0], model=encoder,
            projection=None, cache=tmp_path,
        )  # fmt: skip


def test_qlora_without_a_gpu_names_what_to_write_instead(tiny_bert, tmp_path):
    with pytest.raises(FitError, match=r"qlora .* needs"):
        fit(tiny_bert, tmp_path, "all-layers", method="qlora")


def test_a_model_that_cannot_be_cut_is_refused_by_its_own_numbers(tiny_llama, tmp_path):
    encoder = open_encoder(tiny_llama, max_tokens=32)
    inner = encoder.model.forward
    # As Gemma does: what comes in as embeddings is scaled, so activations cannot be handed back.
    encoder.model.forward = lambda input_ids=None, inputs_embeds=None, **rest: inner(
        inputs_embeds=3.0
        * (encoder.model.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds),
        **rest,
    )
    spec = default_spec("top-layers", rows=30, max_tokens=32, targets=("q_proj",))
    with pytest.raises(FitError, match="cut below layer 2 gives numbers that differ"):
        fit_scores(
            TRAIN, TEST, classes=("card", "cash"), spec=spec,
            seeds=[0], model=encoder, projection=None, cache=tmp_path,
        )  # fmt: skip
