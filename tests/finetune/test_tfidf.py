import numpy as np
import pytest

from finetune.embed import embed
from finetune.errors import FitError
from finetune.tfidf import fit_tfidf, load_tfidf

TEXTS = ["请问这个有收据吗", "怎么退的呢", "请问怎么退货", "这个有收据", "双12店里还做活动吗"]


def test_chinese_texts_become_unit_vectors_and_unknown_text_a_zero_vector():
    model = fit_tfidf(TEXTS)
    found = model.transform([*TEXTS, "xyz", ""])

    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 1, 1, 1, 0, 0], abs=1e-6)
    assert found[1] @ found[2] > found[1] @ found[3]


def test_the_order_of_the_texts_changes_nothing_and_another_text_does():
    assert fit_tfidf(TEXTS).revision == fit_tfidf(TEXTS[::-1]).revision
    assert fit_tfidf(TEXTS).revision != fit_tfidf([*TEXTS, "请问"]).revision


def test_a_saved_model_gives_the_same_bits(tmp_path):
    model = fit_tfidf(TEXTS)
    model.save(tmp_path / "m.npz")
    loaded = load_tfidf(tmp_path / "m.npz")

    assert model.revision == loaded.revision
    assert model.transform(TEXTS).tobytes() == loaded.transform(TEXTS).tobytes()


@pytest.mark.data
def test_a_texts_vector_has_the_same_bits_alone_and_in_company(chinese, tmp_path):
    model = fit_tfidf(chinese, dimensions=64)
    found = embed(chinese, model, cache=tmp_path)

    assert found.shape == (300, 64)
    for i in (0, 17, 299):
        assert found[i].tobytes() == model.transform([chinese[i]])[0].tobytes()


def test_texts_that_cannot_be_fitted_and_files_that_cannot_be_read_are_errors(tmp_path):
    with pytest.raises(FitError, match="two different texts"):
        fit_tfidf(["a", "a"])
    with pytest.raises(FitError, match="cannot be fitted to these 2 texts"):
        fit_tfidf(["a", "b"])
    (tmp_path / "m.npz").write_bytes(b"PK")
    with pytest.raises(FitError, match="no TF-IDF model can be read"):
        load_tfidf(tmp_path / "m.npz")
