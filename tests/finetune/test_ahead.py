import numpy as np
import pytest

from finetune import FitError, FitJob, Training, default_spec, fit_ahead, fit_scores, open_encoder

TEXTS = tuple(f"{a} {b}" for a in ("card", "cash") for b in ("lost", "late", "fee", "pin", "my"))
LABELS = tuple("card" if "card" in text else "cash" for text in TEXTS)
TEST = ("card stolen", "cash stolen how")
SPEC = default_spec("top-layers", rows=10, batches=2)


def job(rows=10):
    return FitJob(Training(TEXTS[:rows], LABELS[:rows], np.ones(rows)), TEST)


def scores(encoder, cache, one):
    return fit_scores(
        one.train, TEST, classes=("card", "cash"), spec=SPEC, seeds=(0, 1), model=encoder,
        projection=None, cache=cache,
    )  # fmt: skip


@pytest.mark.slow
def test_fits_made_by_workers_have_the_bits_of_fits_made_alone(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)
    jobs = [job(10), job(9), job(10)]
    alone = [scores(encoder, tmp_path / "alone", one) for one in jobs]

    made = fit_ahead(
        jobs, spec=SPEC, seeds=(0, 1), encoder=encoder, cache=tmp_path / "ahead", workers=2
    )

    assert made == 4  # equal jobs are trained once
    for one, before in zip(jobs, alone, strict=True):
        after = scores(encoder, tmp_path / "ahead", one)
        assert all(fit.cached for fit in after)
        for fit, reference in zip(after, before, strict=True):
            assert reference.probabilities.tobytes() == fit.probabilities.tobytes()


def test_a_single_missing_fit_starts_no_worker(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)

    made = fit_ahead([job()], spec=SPEC, seeds=(0,), encoder=encoder, cache=tmp_path, workers=2)

    assert made == 0


@pytest.mark.slow
def test_what_a_worker_cannot_do_is_told_with_its_reason(tiny_bert, tmp_path):
    encoder = open_encoder(tiny_bert)
    same = FitJob(Training(TEXTS, ("card",) * len(TEXTS), np.ones(len(TEXTS))), TEST)

    with pytest.raises(FitError, match="a classifier needs two classes"):
        fit_ahead([same], spec=SPEC, seeds=(0, 1, 2, 3), encoder=encoder, cache=tmp_path, workers=2)
