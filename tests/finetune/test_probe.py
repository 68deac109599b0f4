import numpy as np
import pytest

from finetune.errors import FitError
from finetune.keys import canonical_order, slot_keys, text_key
from finetune.probe import fit_probe, fit_projection, load_projection, predict_probe
from finetune.spec import FitSpec, default_spec

CLASSES = ["a", "b", "c", "d"]


def fit(features, targets, keys, weights=None, seed=0, **changes):
    weights = np.ones(len(targets)) if weights is None else weights
    order = canonical_order(keys, [str(t) for t in targets], weights)
    mapped = fit_projection(features, dimensions=8).apply(features)[order]
    slots = slot_keys([keys[i] for i in order])
    return fit_probe(
        mapped,
        targets[order],
        weights[order],
        slots,
        classes=CLASSES,
        spec=default_spec("probe", rows=len(targets), **changes),
        seed=seed,
    )


@pytest.fixture
def keys():
    return [text_key(str(i)) for i in range(120)]


def test_same_seed_same_bytes_and_another_seed_another_head(blobs, keys):
    assert fit(*blobs, keys).tobytes() == fit(*blobs, keys).tobytes()
    assert fit(*blobs, keys).tobytes() != fit(*blobs, keys, seed=1).tobytes()


def test_a_reshuffle_of_the_rows_gives_the_same_bytes(blobs, keys):
    features, targets = blobs
    projection = fit_projection(features, dimensions=8)
    mapped = projection.apply(features)
    order = np.random.default_rng(1).permutation(120)

    assert mapped[order].tobytes() == projection.apply(features[order]).tobytes()
    heads = []
    for rows in (np.arange(120), order):
        mine = [keys[i] for i in rows]
        sort = canonical_order(mine, [str(t) for t in targets[rows]], np.ones(120))
        heads.append(
            fit_probe(
                mapped[rows][sort],
                targets[rows][sort],
                np.ones(120),
                slot_keys([mine[i] for i in sort]),
                classes=CLASSES,
                spec=default_spec("probe", rows=120),
                seed=0,
            ).tobytes()
        )
    assert heads[0] == heads[1]


def test_doubling_every_row_at_half_weight_gives_nearly_the_same_predictions(blobs, keys):
    features, targets = blobs
    mapped = fit_projection(features, dimensions=8).apply(features)
    one = predict_probe(mapped, fit(features, targets, keys, batches=4))
    two = predict_probe(
        mapped,
        fit(
            np.repeat(features, 2, axis=0),
            np.repeat(targets, 2),
            [key for key in keys for _ in range(2)],
            np.full(240, 0.5),
            batches=4,
        ),
    )
    other = predict_probe(mapped, fit(features, targets, keys, batches=4, seed=1))

    assert abs(one - two).mean() < abs(one - other).mean()
    assert (one.argmax(1) == two.argmax(1)).mean() > 0.95


def test_a_row_of_weight_zero_teaches_nothing(blobs, keys):
    features, targets = blobs
    wrong = targets.copy()
    wrong[5] = (wrong[5] + 1) % 4
    weights = np.ones(120)
    weights[5] = 0.0

    assert fit(features, wrong, keys, weights) == pytest.approx(
        fit(features, targets, keys, weights), abs=1e-5
    )


def test_a_prediction_has_the_same_bits_alone_and_in_company(blobs, keys):
    projection = fit_projection(blobs[0], dimensions=8)
    head = fit(*blobs, keys)
    together = predict_probe(projection.apply(blobs[0]), head)

    for i in (0, 7, 119):
        assert (
            together[i].tobytes() == predict_probe(projection.apply(blobs[0][[i]]), head).tobytes()
        )
    assert together.sum(axis=1) == pytest.approx(np.ones(120), abs=1e-6)


def test_a_loss_that_explodes_is_an_error_that_names_the_learning_rate(blobs, keys):
    with pytest.raises(FitError, match="not finite at learning rate"), np.errstate(all="ignore"):
        fit(*blobs, keys, learning_rate=1e38)


def test_a_projection_survives_saving_and_refuses_what_is_not_finite(blobs, tmp_path):
    fitted = fit_projection(blobs[0], dimensions=8)
    fitted.save(tmp_path / "p.npz")

    assert fitted.revision == load_projection(tmp_path / "p.npz").revision
    assert fitted.axes.shape == (12, 8)
    broken = blobs[0].copy()
    broken[3, 1] = np.nan
    with pytest.raises(FitError, match="first at position 3"):
        fit_projection(broken)
    with pytest.raises(FitError, match="no projection can be read"):
        load_projection(tmp_path / "absent.npz")


def test_a_spec_reports_all_its_faults_together():
    with pytest.raises(FitError) as caught:
        FitSpec(tier="probe", method="lora", epochs=0, learning_rate=-1.0, batches=0)

    for part in ("method 'lora'", "epochs is 0", "learning_rate is -1.0", "batches is 0"):
        assert part in str(caught.value)
    with pytest.raises(FitError, match="no field"):
        default_spec("probe", rows=100, epoch=3)


def test_a_specs_key_changes_with_every_field_and_with_nothing_else():
    key = default_spec("probe", rows=1000).key()

    assert key == default_spec("probe", rows=1001).key()
    assert key != default_spec("probe", rows=1000, epochs=9).key()
    assert key != default_spec("probe", rows=2000).key()
