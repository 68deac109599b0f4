import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import MultinomialNB

from finetune.bayes import SMOOTHING, bayes_probabilities
from finetune.crossfit import crossfit
from finetune.neighbours import neighbour_probabilities
from finetune.panel import SHARES, ask_panel
from finetune.probe import softmax
from finetune.ridge import PENALTY, ridge_probabilities
from finetune.tfidf import Terms, fit_tfidf

GROUPS = [f"g{i // 2}" for i in range(120)]
ALONE = [f"g{i}" for i in range(120)]


@pytest.fixture
def terms(blobs):
    """Sparse weights that tell the classes of the blobs apart, and two further dimensions."""
    rng = np.random.default_rng(5)
    dense = rng.random((120, 12)) * (rng.random((120, 12)) < 0.3)
    dense[np.arange(120), blobs[1] * 3] += 1.0
    return Terms(csr_matrix(dense.astype(np.float32)), dense[:, :2].astype(np.float32))


def asked(features, terms, labels, groups=GROUPS, *, classes=4):
    fit = crossfit(features, labels, groups, classes=classes, seed=0)
    return ask_panel(fit, features, terms, labels, groups)


def without(groups, i):
    """Tell which rows are left when the group of one is out."""
    return np.array([g != groups[i] for g in groups])


@pytest.mark.parametrize(
    "groups",
    [ALONE, GROUPS, [f"g{min(i // 40, 1)}{i % 40 if i < 40 else ''}" for i in range(120)]],
    ids=["alone", "pairs", "one group larger than the dimensions"],
)
def test_ridge_in_closed_form_is_a_fit_without_the_group(blobs, groups):
    features, labels = blobs
    found = ridge_probabilities(features, labels, groups, classes=4)

    scores = np.empty((120, 4))
    for i in range(120):
        kept = without(groups, i)
        model = Ridge(alpha=PENALTY).fit(features[kept], np.eye(4)[labels[kept]])
        scores[i] = model.predict(features[[i]])[0]
    logs = np.log(found)
    spread = (scores - scores.mean(1, keepdims=True)).ravel()
    logs = (logs - logs.mean(1, keepdims=True)).ravel()
    temperature = (spread @ logs) / (logs @ logs)
    assert spread / temperature == pytest.approx(logs, abs=0.02)


def test_sparse_bayes_is_scikit_learns(blobs, terms):
    labels, folds = blobs[1], np.arange(120) % 5
    found = bayes_probabilities(terms.weights, labels, folds, classes=4)

    for fold in range(5):
        kept = folds != fold
        model = MultinomialNB(alpha=SMOOTHING).fit(terms.weights[kept], labels[kept])
        assert found[~kept] == pytest.approx(model.predict_proba(terms.weights[~kept]), abs=1e-4)


def test_neighbours_vote_by_similarity_and_their_own_group_has_no_vote():
    features = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    labels = np.array([0, 0, 1, 2])
    found = neighbour_probabilities(features, labels, ["a", "a", "b", "c"], classes=3, neighbours=4)

    # Row 0 sees row 2 at .6 and row 3 at 0; one vote as weak as the last goes to the shares.
    last = np.exp(-6.0)
    votes = np.array([0.5 * last, 1 + 0.25 * last, last + 0.25 * last])
    assert votes / votes.sum() == pytest.approx(found[0], rel=1e-5)
    assert found[0] == pytest.approx(found[1])


def test_a_row_that_no_one_may_vote_on_gets_the_shares_of_the_classes():
    found = neighbour_probabilities(
        np.eye(2, dtype=np.float32), np.array([0, 1]), ["a", "a"], classes=2
    )

    assert found == pytest.approx(np.full((2, 2), 0.5))


def test_the_mean_is_geometric_and_weighted(blobs, terms):
    panel = asked(*blobs[:1], terms, blobs[1])
    parts = (panel.logistic, panel.ridge, panel.bayes, panel.neighbours)
    logs = sum(w * np.log(p) for w, p in zip(SHARES.values(), parts, strict=True))

    assert panel.together == pytest.approx(softmax(np.array(logs)), abs=1e-5)
    assert panel.together.sum(axis=1) == pytest.approx(np.ones(120), abs=1e-5)


def test_the_order_of_the_rows_does_not_change_a_bit_of_the_panel(blobs, terms):
    features, labels = blobs
    order = np.random.default_rng(1).permutation(120)
    turned = Terms(terms.weights[order], terms.reduced[order])
    one = asked(features, terms, labels)
    two = asked(features[order], turned, labels[order], [GROUPS[i] for i in order])

    for name in ("logistic", "ridge", "bayes", "neighbours", "together"):
        assert getattr(one, name)[order].tobytes() == getattr(two, name).tobytes(), name


def test_the_labels_of_a_rows_own_group_change_nothing_that_is_said_of_it(blobs, terms):
    features, labels = blobs
    other = labels.copy()
    other[:2] = (labels[:2] + 1) % 4
    one, two = asked(features, terms, labels), asked(features, terms, other)

    # Two things look at all labels: the temperature of the ridge and the shares of the classes.
    assert one.bayes[:2].tobytes() == two.bayes[:2].tobytes()
    slopes = [np.log(p.ridge[:2]) - np.log(p.ridge[:2]).mean(1, keepdims=True) for p in (one, two)]
    ratios = (slopes[0] / slopes[1]).ravel()
    assert ratios == pytest.approx(np.full(8, ratios[0]), rel=0.01)
    assert one.neighbours[:2] == pytest.approx(two.neighbours[:2], abs=0.01)


def test_classes_of_one_row_and_classes_without_rows_are_no_obstacle(blobs, terms):
    features, labels = blobs
    rare = labels.copy()
    rare[:10] = np.arange(10) + 4
    panel = asked(features, terms, rare, classes=20)

    assert np.isfinite(np.log(panel.together)).all()


def test_a_second_class_of_one_row_is_no_obstacle(blobs, terms):
    labels = np.zeros(120, dtype=np.int64)
    labels[7] = 1
    panel = asked(blobs[0], terms, labels, classes=2)

    assert (panel.together[np.arange(120) != 7].argmax(axis=1) == 0).all()
    assert panel.together[7, 1] < 0.5


def test_rows_that_are_all_alike_convince_nobody():
    features = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (60, 1))
    labels = np.arange(60) % 3
    terms = Terms(csr_matrix(np.ones((60, 2), dtype=np.float32)), np.zeros((60, 0), np.float32))
    groups = [f"g{i}" for i in range(60)]
    panel = asked(features, terms, labels, groups, classes=3)

    assert 0.1 < panel.together.min() < panel.together.max() < 0.7


def test_terms_are_the_weights_that_the_vectors_were_reduced_from():
    texts = ["my card is lost", "the card is here", "top up failed", "my top up"]
    model = fit_tfidf(texts, dimensions=2)
    terms = model.terms_of(texts, reduced=True)

    assert (4, len(model.terms)) == terms.weights.shape
    assert model.transform(texts).tobytes() == terms.reduced.tobytes()
    assert (4, 0) == model.terms_of(texts, reduced=False).reduced.shape
