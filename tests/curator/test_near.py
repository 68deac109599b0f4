import csv
import json
import random
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator import buckets, near
from curator.errors import StepError
from curator.near import (
    Pairs,
    choose_shingles,
    near_groups,
    near_pairs,
    nearest_group,
    normalise,
    text_graph,
)

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
EN = [
    "where",
    "is",
    "my",
    "card",
    "payment",
    "the",
    "order",
    "arrived",
    "late",
    "can",
    "i",
    "get",
    "money",
    "back",
    "please",
    "help",
]
ZH = "我的快递什么时候到可以退款吗请问有优惠吗不想要了怎么换货"


def shingle_set(text, shingles):
    size, tokens = int(shingles[-1]), text.split() if shingles[0] == "w" else text
    grams = {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}
    return grams or {tuple(tokens)}


def jaccard(a, b, shingles="char-3"):
    one, other = shingle_set(a, shingles), shingle_set(b, shingles)
    return len(one & other) / len(one | other)


def all_pairs(texts, threshold, shingles="char-3"):
    plain = normalise(texts).to_pylist()
    scores = {
        (i, j): 1.0 if plain[i] == plain[j] else jaccard(plain[i], plain[j], shingles)
        for j in range(len(texts))
        for i in range(j)
    }
    return {pair: score for pair, score in scores.items() if score >= threshold}


def spelt_out(texts, pairs):
    """Give every pair of rows that the pairs speak for."""
    graph = text_graph(texts, pairs, threshold=0)
    rows = range(len(texts))
    codes = graph.codes.tolist()
    both = {(i, j): (codes[i], codes[j]) for j in rows for i in range(j)}
    return {
        pair: 1.0 if a == b else graph.near[a][b]
        for pair, (a, b) in both.items()
        if a == b or b in graph.near.get(a, {})
    }


def corpus(seed, rows, alphabet):
    """Make texts and light edits of them, so that every Jaccard turns up."""
    rng = random.Random(seed)
    space = " " if isinstance(alphabet, list) else ""
    texts = []
    for _ in range(rows):
        if texts and rng.random() < 0.6:
            units = list(rng.choice(texts).split(space) if space else rng.choice(texts))
            for _ in range(rng.randint(0, 2)):
                units[rng.randrange(len(units))] = rng.choice(alphabet)
        else:
            units = rng.choices(alphabet, k=rng.randint(6, 14) if space else rng.randint(8, 30))
        texts.append(space.join(units))
    return texts


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Hello\u00a0\n World ", "hello world"),
        ("Ｈｅｌｌｏ　１２３", "hello 123"),
        ("Tom &amp;amp; Jerry&#039;s", "tom & jerry's"),
        ("ﬁne ™", "fine tm"),
        ("你好，世界", "你好,世界"),
        ("", ""),
        ("x?a=1&copy=2", "x?a=1&copy=2"),
    ],
)
def test_texts_are_the_same_but_for_case_width_spaces_and_entities(text, plain):
    assert [plain] == normalise([text]).to_pylist()


def test_normalise_takes_arrow_and_lists_alike():
    texts = ["A", "É "]
    expected = pa.array(["a", "é"])

    assert expected == normalise(texts)
    assert expected == normalise(pa.array(texts))
    assert expected == normalise(pa.chunked_array([["A"], ["É "]]))


@pytest.mark.parametrize(
    ("texts", "shingles"),
    [
        (["short text"] * 3, "char-3"),
        (["a long text of words " * 12] * 3, "word-5"),
        (["很长的中文文本没有空格" * 30] * 3, "char-3"),
        (["a long text of words " * 12] * 3 + ["很长的中文文本" * 40], "char-3"),
        (["a long text of words about 北京 " * 12] * 3, "word-5"),
        ([], "char-3"),
    ],
    ids=["short", "long", "chinese", "mixed", "a-chinese-name", "none"],
)
def test_only_long_spaced_texts_are_sets_of_words(texts, shingles):
    assert shingles == choose_shingles(texts)


@pytest.mark.parametrize("shingles", ["char-2", "char-3", "word-5"])
@pytest.mark.parametrize("alphabet", [EN, ZH], ids=["en", "zh"])
def test_every_pair_has_its_exact_jaccard_and_hardly_one_is_missed(shingles, alphabet):
    missed = strong = 0
    for seed in range(4):
        texts = corpus(seed, 120, alphabet)
        expected = all_pairs(texts, 0.7, shingles)
        found = spelt_out(texts, near_pairs(texts, threshold=0.7, shingles=shingles))

        assert found.items() <= expected.items()
        strong += sum(score >= 0.8 for score in expected.values())
        missed += sum(score >= 0.8 and pair not in found for pair, score in expected.items())
        assert len(found) >= 0.95 * len(expected)
    assert missed <= 0.005 * strong


SMALL = st.lists(st.text("ab 好́!😀م", max_size=6), max_size=12)


@settings(deadline=None, max_examples=150)
@given(SMALL, st.sampled_from(["char-2", "char-3", "word-5"]))
def test_any_texts_give_only_true_pairs_and_all_same_ones(texts, shingles):
    expected = all_pairs(texts, 0.7, shingles)
    found = spelt_out(texts, near_pairs(texts, threshold=0.7, shingles=shingles))

    assert found.items() <= expected.items()
    assert {p for p, j in expected.items() if j == 1} <= set(found)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(seed, rng):
    texts = corpus(seed, 60, EN)
    order = rng.sample(range(60), 60)
    shuffled = [texts[i] for i in order]
    expected = spelt_out(texts, near_pairs(texts, threshold=0.7, shingles="char-3"))
    found = spelt_out(shuffled, near_pairs(shuffled, threshold=0.7, shingles="char-3"))

    moved = {tuple(sorted((order[i], order[j]))): score for (i, j), score in found.items()}
    assert expected == moved
    ids = [f"r{i}" for i in range(60)]
    groups = near_groups(ids, near_pairs(texts, threshold=0.7, shingles="char-3"))
    regrouped = near_groups(
        [ids[i] for i in order], near_pairs(shuffled, threshold=0.7, shingles="char-3")
    )
    assert [groups[i] for i in order] == regrouped


@pytest.mark.parametrize("options", [{"threads": 3}, {"chunk_chars": 50}, {"chunk_chars": 1}])
def test_threads_and_chunks_leave_no_trace(options, monkeypatch):
    texts = corpus(5, 150, EN) + corpus(6, 150, ZH)
    expected = near_pairs(texts, threshold=0.7, shingles="char-3")
    monkeypatch.setattr(near, "_VERIFY_SHINGLES", 100)
    monkeypatch.setattr(near, "_KEPT_SHINGLES", 0)
    monkeypatch.setattr(buckets, "_BLOCK_PAIRS", 7)
    monkeypatch.setattr(buckets, "_FRESH_PAIRS", 5)
    found = near_pairs(texts, threshold=0.7, shingles="char-3", **options)

    assert_equal(expected, found)


def assert_equal(expected, found):
    for column in ("left", "right", "jaccard"):
        np.testing.assert_array_equal(getattr(expected, column), getattr(found, column))
    assert expected.capped_buckets == found.capped_buckets


def test_pairs_hashed_today_are_the_pairs_hashed_tomorrow():
    """A change of any hash moves which pairs near the threshold are proposed: bump the step."""
    from curator.shingles import shingle_sets, sketch

    texts = near._different_texts(["Where is my card?", "我的快递什么时候到", ""])[0]
    _, hashes = shingle_sets(texts, "char-3")
    made = sketch(texts, "word-5", threads=1, chunk_chars=1000)

    assert (int(hashes[0]), int(hashes.sum()), int(made.band_keys[-1, 0])) == GOLDEN


GOLDEN = (44_246_907_085_033, 3_307_999_313_340_397, 6_670_669_179_199_333_286)


def test_k_same_texts_make_a_star_of_k_minus_one_pairs():
    pairs = near_pairs(
        ["Same", "other text", "same ", "ＳＡＭＥ"], threshold=0.8, shingles="char-3"
    )

    assert list(
        zip(pairs.left.tolist(), pairs.right.tolist(), pairs.jaccard.tolist(), strict=True)
    ) == [(0, 2, 1.0), (0, 3, 1.0)]


def test_a_near_pair_links_the_first_rows_of_both_texts():
    texts = ["where is my new card", "where is my new cards"] * 2
    pairs = near_pairs(texts, threshold=0.8, shingles="char-3")

    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 3),
    ]


def test_five_thousand_same_rows_stay_linear():
    tracemalloc.start()
    start = time.process_time()
    pairs = near_pairs(["the same text"] * 5000, threshold=0.7, shingles="char-3")
    groups = near_groups([f"{i:04}" for i in range(5000)], pairs)
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert {"0000"} == set(groups)
    assert len(pairs.left) == 4999
    assert seconds < 2
    assert peak < 20_000_000


@pytest.mark.parametrize("shingles", ["char-2", "char-3", "word-5"])
def test_texts_shorter_than_a_shingle_are_sets_of_one(shingles):
    texts = ["", "  ", "a", "A", "好", "?", "😀", "😀", "م", "ab"]
    pairs = near_pairs(texts, threshold=0.5, shingles=shingles)

    assert {(0, 1), (2, 3), (6, 7)} == set(
        zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    )


def test_right_to_left_and_emoji_texts_pair_like_others():
    texts = ["مرحبا كيف حالك اليوم يا صديقي", "مرحبا كيف حالك اليوم يا صديقي!", "🎉" * 9, "🎉" * 8]
    pairs = near_pairs(texts, threshold=0.8, shingles="char-3")

    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [(0, 1), (2, 3)]


def test_no_texts_give_no_pairs_and_no_groups():
    for sides in (None, np.zeros(0, np.bool_)):
        pairs = near_pairs([], threshold=0.7, shingles="word-5", sides=sides)
        assert pairs.left.tolist() == []
    assert near_groups([], pairs) == []
    assert nearest_group([], [], [], shingles="char-3") == []


def test_planted_copies_are_found_again():
    """.999 of those at Jaccard .8 and .98 of those at .7, English and Chinese."""
    for seed, alphabet in enumerate([EN, ZH]):
        rng = random.Random(seed)
        make = (lambda a=alphabet, r=rng: " ".join(r.choices(a, k=9))) if seed == 0 else None
        base = [make() if make else "".join(rng.choices(alphabet, k=30)) for _ in range(1500)]
        copies = []
        for text in base:
            at = rng.randrange(len(text))
            copies.append(text[:at] + rng.choice("xyz") + text[at + rng.randint(0, 1) :])
        pairs = near_pairs(base + copies, threshold=0.7, shingles="char-3")
        found = set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
        scores = [jaccard(a, b) for a, b in zip(base, copies, strict=True)]
        for level, share in ((0.8, 0.999), (0.7, 0.98)):
            planted = [i for i, score in enumerate(scores) if score >= level]
            recalled = sum((i, i + 1500) in found for i in planted)
            assert len(planted) > 500
            assert recalled >= share * len(planted)


def test_a_full_bucket_is_counted_and_its_longest_text_meets_all(monkeypatch):
    texts = [f"my parcel number {i:03} has still not arrived here" for i in range(60)]
    whole = near_pairs(texts, threshold=0.7, shingles="char-3")
    monkeypatch.setattr(buckets, "_BUCKET_PAIRS", 10)
    capped = near_pairs(texts, threshold=0.7, shingles="char-3")

    assert (len(whole.left), whole.capped_buckets) == (60 * 59 // 2, 0)
    assert capped.capped_buckets > 0
    assert len(capped.left) < len(whole.left)
    assert {"0"} == set(near_groups(["0", *map(str, range(1, 60))], capped))
    shuffled = near_pairs(texts[::-1], threshold=0.7, shingles="char-3")
    assert spelt_out(texts, capped) == {
        (59 - j, 59 - i): score for (i, j), score in spelt_out(texts[::-1], shuffled).items()
    }


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99))
def test_across_sides_each_row_with_a_match_has_a_pair_and_no_other_pair_is_given(seed):
    rng = random.Random(seed)
    texts = corpus(seed, 80, EN)
    sides = np.array([rng.random() < (0.1, 0.5, 0.9)[seed % 3] for _ in texts])
    whole = spelt_out(texts, near_pairs(texts, threshold=0.7, shingles="char-3"))
    pairs = near_pairs(texts, threshold=0.7, shingles="char-3", sides=sides)
    found = dict(
        zip(
            zip(pairs.left.tolist(), pairs.right.tolist(), strict=True),
            pairs.jaccard.tolist(),
            strict=True,
        )
    )
    across = {(i, j): s for (i, j), s in whole.items() if sides[i] != sides[j]}

    assert found.items() <= across.items()
    assert len(found) == len(pairs.left)
    assert best(across) == best(found)


def best(scores):
    top = {}
    for pair, score in scores.items():
        for row in pair:
            top[row] = max(score, top.get(row, 0))
    return top


def test_across_sides_same_texts_stay_linear():
    sides = np.arange(4000) % 2 == 0
    pairs = near_pairs(["same"] * 4000, threshold=0.7, shingles="char-3", sides=sides)

    assert len(pairs.left) == 3999
    assert set(range(4000)) == {*pairs.left.tolist(), *pairs.right.tolist()}


def test_across_sides_a_large_bucket_with_few_test_texts_is_not_capped(monkeypatch):
    monkeypatch.setattr(buckets, "_BUCKET_PAIRS", 200)
    texts = [f"my parcel number {i:03} has still not arrived here" for i in range(100)]
    sides = np.arange(100) >= 97
    pairs = near_pairs(texts, threshold=0.7, shingles="char-3", sides=sides)

    assert (len(pairs.left), pairs.capped_buckets) == (97 * 3, 0)


def test_groups_are_components_named_by_their_smallest_id():
    pairs = Pairs(np.array([0, 1, 3]), np.array([1, 2, 5]), np.ones(3), 0)

    assert near_groups(["c", "b2", "a", "b", "z", "k"], pairs) == ["a", "a", "a", "b", "z", "b"]


def test_a_later_row_joins_the_group_of_its_nearest_row():
    known = ["where is my new card today", "where is my old card today", "send money abroad"]
    groups = ["g1", "g2", "g3"]
    new = [
        "Where is my old card today?",
        "send  MONEY abroad",
        "something else",
        "SEND money abroad",
    ]

    assert nearest_group(new, known, groups, shingles="char-3") == ["g2", "g3", None, "g3"]


def test_between_equally_near_groups_the_smallest_name_wins():
    known = ["send money abroad now", "send money abroad now!"]
    groups = nearest_group(["send money abroad now!!"], known, ["b", "a"], shingles="char-3")

    assert groups == ["a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.3, "shingles": "char-3"}, r"threshold 0\.3 is outside 0\.5\.\.1"),
        ({"threshold": 1.2, "shingles": "char-3"}, r"threshold 1\.2 is outside 0\.5\.\.1"),
        ({"threshold": 0.8, "shingles": "char-9"}, r"'char-9' is not one of \['char-2', 'char-3'"),
    ],
)
def test_a_wrong_option_says_what_was_expected(options, message):
    with pytest.raises(StepError, match=message):
        near_pairs(["a"], **options)


@pytest.mark.data
def test_on_real_corpora_each_pair_is_exact_and_growth_is_bounded():
    if not DATA.is_dir():
        pytest.skip(f"{DATA.name}: not found beside the checkout")
    with (DATA / "banking77" / "train.csv").open(encoding="utf-8") as file:
        english = [row["text"] for row in csv.DictReader(file)]
    with (DATA / "dataclue_cic" / "train.json").open(encoding="utf-8") as file:
        chinese = [json.loads(line)["sentence"] for line in file]
    for texts in (english, chinese):
        plain = normalise(texts).to_pylist()
        pairs = near_pairs(texts, threshold=0.7, shingles=choose_shingles(texts))

        assert pairs.capped_buckets == 0
        for i, j, score in zip(pairs.left, pairs.right, pairs.jaccard, strict=True):
            assert plain[i] == plain[j] or jaccard(plain[i], plain[j]) == score
