import pytest

from finetune import FitError, default_spec
from finetune.spec import METHODS, RATES


def test_the_keys_of_the_first_release_still_hold():
    """Fits of default specs in users' caches are found by them; a change costs all of them."""
    assert default_spec("probe", rows=30).key() == "f0355fd36ef13b1f08ac458f92086132"
    assert default_spec("top-layers", rows=30).key() == "410203429d39d740d512e3a20274d056"


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "gce"}, {"loss": "gce", "loss_strength": 0.5}, {"schedule": "cosine"},
        {"warmup": 0.1}, {"clip": 1.0}, {"validation": 0.1}, {"validation": 0.1, "patience": 1},
        {"class_weights": "balanced"}, {"precision": "bfloat16"}, {"head_start": "zeros"},
        {"method": "dora"}, {"weight_decay": 0.1}, {"rank": 4},
    ],
    ids=str,
)  # fmt: skip
def test_each_field_that_differs_is_another_key(change):
    plain = default_spec("top-layers", rows=30)
    changed = default_spec("top-layers", rows=30, **change)

    assert plain.key() != changed.key()
    assert changed.key() == default_spec("top-layers", rows=30, **change).key()


def test_every_method_of_a_tier_has_a_rate_of_its_own():
    for tier, methods in METHODS.items():
        for method in methods:
            spec = default_spec(tier, rows=30, method=method)
            assert spec.learning_rate == (0.2 if tier == "probe" else RATES[method])


@pytest.mark.parametrize(
    ("tier", "change", "told"),
    [
        ("top-layers", {"method": "prompt"}, "method 'prompt' is not one of"),
        ("top-layers", {"method": "lorra"}, "method 'lorra' is not one of"),
        ("top-layers", {"loss": "hinge"}, "loss is 'hinge', expected one of"),
        ("top-layers", {"loss": "gce", "loss_strength": 1.5}, "loss_strength of gce is 1.5"),
        ("top-layers", {"loss_strength": 0.5}, "do not go together"),
        ("top-layers", {"patience": 2}, "patience needs a validation share"),
        ("top-layers", {"validation": 0.9}, "validation is 0.9, expected a share up to 0.5"),
        ("top-layers", {"warmup": 1.0}, "warmup is 1.0, expected 0 up to, not 1"),
        ("top-layers", {"clip": -1}, "clip is -1, expected 0 or more"),
        ("top-layers", {"targets": "query"}, "targets is empty or text"),
        ("top-layers", {"learning_rate": "fast"}, "learning_rate is 'fast', expected a number"),
        ("probe", {"loss": "focal"}, "loss belong to the tiers top-layers and all-layers"),
        ("all-layer", {}, "tier 'all-layer' is not one of"),
        ("all-layers", {"dropuot": 0.1}, r"no field \['dropuot'\]"),
    ],
    ids=str,
)
def test_what_a_spec_cannot_be_is_an_error_that_says_what_was_expected(tier, change, told):
    with pytest.raises(FitError, match=told):
        default_spec(tier, rows=30, **change)


def test_all_faults_of_a_spec_are_told_together():
    with pytest.raises(FitError, match=r"epochs is 0.*rank is 0.*dropout is 1"):
        default_spec("all-layers", rows=30, epochs=0, rank=0, dropout=1)
