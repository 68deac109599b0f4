"""Small forms of the banks of verdicts: a made corpus in place of banking77, few replicates."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CLASSES, PER_CLASS, WIDTH = 25, 90, 24


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        found = getattr(sys.modules[name], "__file__", None)
        if found and Path(found).parent == BENCHMARKS:
            del sys.modules[name]


@pytest.fixture
def pool(script):
    """Make 25 clouds of points, near enough for a fifth of their rows to be taken for others."""
    rng = np.random.default_rng(0)
    names = [f"class{k:02d}" for k in range(CLASSES) for _ in range(PER_CLASS)]
    centres = np.repeat(rng.normal(size=(CLASSES, WIDTH)), PER_CLASS, axis=0)
    points = centres + 1.1 * rng.normal(size=centres.shape)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    words = np.array(["card", "bank", "money", "transfer", "when", "lost", "the"])
    texts = [f"{i} {' '.join(rng.choice(words, 3 + i % 12))}" for i in range(len(names))]
    return script("bank").corpus(texts, names, points.astype(np.float32))


@pytest.mark.parametrize(
    ("count", "n", "expected"),
    [
        (2, 70, "2 of 70 (0.3% to 9.9%)"),
        (0, 10, "0 of 10 (0.0% to 30.8%)"),
        (10, 10, "10 of 10 (69.2% to 100.0%)"),
    ],
)
def test_a_rate_is_written_with_its_exact_interval(script, count, n, expected):
    assert expected == script("bank").told(count, n)


def test_mcnemar_counts_only_rows_that_one_model_alone_gets_right(script):
    first = np.array([1] * 9 + [0] + [1] * 50)
    second = np.array([0] * 9 + [1] + [1] * 50)

    assert 12 / 1024 == pytest.approx(script("bank").mcnemar(first, second))


def test_a_killed_bank_goes_on_where_it_stood_and_a_partial_one_says_so(script, tmp_path, capsys):
    bank, made = script("bank"), []

    def make(number):
        if number == 2 and len(made) < 3:
            made.append("killed")
            raise KeyboardInterrupt
        made.append(number)
        return {"value": np.array(number)}

    with pytest.raises(KeyboardInterrupt):
        list(bank.planned(tmp_path / "aa", 4, make, seconds=100))
    partial = list(bank.planned(tmp_path / "aa", 4, make, seconds=-1))
    whole = list(bank.planned(tmp_path / "aa", 4, make, seconds=100))

    assert [0, 1, "killed", 2, 3] == made
    assert [0, 1] == [int(a["value"]) for a in partial]
    assert [0, 1, 2, 3] == [int(a["value"]) for a in whole]
    assert "aa: 2 of 4 planned replicates done" in capsys.readouterr().out


def test_a_replicate_that_lacks_what_is_asked_now_is_made_again(script, tmp_path):
    bank = script("bank")

    def bank_of(seeds):
        return bank.planned(
            tmp_path / "aa", 1, lambda _: {"seeds": np.array(seeds)}, seconds=100,
            enough=lambda arrays: arrays["seeds"] >= seeds,
        )  # fmt: skip

    assert [[3], [3], [5], [5]] == [
        [int(a["seeds"]) for a in bank_of(seeds)] for seeds in (3, 2, 5, 4)
    ]


def test_stored_pairs_tell_that_changed_looks_ask_for_more_seeds(script):
    aa = script("finetune_bank")
    rng = np.random.default_rng(3)
    before = rng.random((3, 400)) < 0.8
    after = np.where(rng.random((3, 400)) < 0.06, ~before, before)
    pair = {"before": before.astype(np.int8), "groups": np.arange(400) % 40}

    assert aa.has_seeds(pair | {"after": np.zeros((3, 400), np.int8)})
    assert not aa.has_seeds(pair | {"after": after.astype(np.int8)})


def test_reshuffled_rows_give_the_same_answers(script, pool):
    bank = script("bank")
    heads = bank.Heads(pool, rows=300)
    order = np.random.default_rng(1).permutation(len(pool.texts))
    rows, test = order[:300], order[300:]
    one, other = (bank.plain(r, pool.truth) for r in (rows, rows[::-1].copy()))

    assert heads.predict(one, test, 3).tolist() == heads.predict(other, test, 3).tolist()


def test_the_probe_bank_sees_what_matters_and_calls_nothing_else(script, pool):
    bank, probe = script("bank"), script("probe_bank")
    heads = bank.Heads(pool, rows=probe.PER_CLASS * CLASSES)
    first = [probe.replicate(pool, heads, number) for number in range(2)]
    found = [a | probe.row_choices(pool, heads, first, i) for i, a in enumerate(first)]
    rows = len(found[0]["test"])

    def words(name):
        return [probe.looked_at(arrays, name, rows).word for arrays in found]

    assert ["worse", "worse"] == words("half")
    assert ["better", "better"] == words("fix10")
    assert not {"better", "worse"} & {*words("drop1"), *words("repl1")}
    starved = [c.verdict for arrays in found for c in probe.touched(arrays, "starve4")]
    fed = [c.verdict for arrays in found for c in probe.touched(arrays, "feed4")]
    assert "worse" in starved
    assert "better" not in starved
    assert len([v for v in starved if v == "worse"]) == len([v for v in fed if v == "better"])


def test_influence_values_have_macro_f1_as_their_mean(script):
    skewed, rng = script("skewed_bank"), np.random.default_rng(2)
    truth = np.minimum(rng.geometric(0.3, 500), 9)
    predicted = np.where(rng.random(500) < 0.7, truth, rng.integers(1, 12, 500))
    plain = f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)

    assert plain == pytest.approx(skewed.influence_values(truth, predicted).mean(), abs=1e-12)


def test_a_gate_with_a_ledger_claims_nothing_of_useless_proposals(script, pool):
    bank, noop = script("bank"), script("noop_bank")
    noop.PROPOSALS = 12
    heads = bank.Heads(pool, rows=noop.PER_CLASS * CLASSES)

    found = noop.replicate(pool, heads, 0)

    assert [0.0, 0.0] == found["gate"][:2].tolist()
    assert 0 < found["greedy"][0]


def test_every_change_of_the_decided_bank_changes_training_rows_and_no_test_row(script, pool):
    changes = script("changes")
    plain = [c for c in changes.CHANGES if c[0] not in ("augmentation", "Chinese")]
    for number, (_, name, make) in enumerate(plain):
        rng = np.random.default_rng(number)
        scene = changes.english_scene(pool, None, None, rng, per_class=8, test_rows=500)
        scene.others, scene.spare = scene.others[:500], scene.others[500:]
        before, after = make(scene)

        def seen(rows):
            return Counter(zip(rows.at.tolist(), rows.labels.tolist(), strict=True))

        assert seen(before) != seen(after), name
        assert not np.isin(scene.test, np.concatenate([before.at, after.at])).any(), name


def test_the_plan_of_changes_is_forty_of_five_kinds(script):
    kinds = Counter(kind for kind, _, _ in script("changes").CHANGES)

    assert {"diffuse", "two classes", "slice", "augmentation", "Chinese"} == set(kinds)
    assert 40 == kinds.total()
