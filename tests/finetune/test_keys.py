import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.keys import canonical_order, hash_parts, mix, normals, slot_keys, text_key, uniform


def keyed(texts):
    keys = sorted(text_key(text) for text in texts)
    return dict(zip(keys, slot_keys(keys).tolist(), strict=True))


@given(st.lists(st.text(), min_size=2, max_size=20, unique=True))
def test_dropping_one_row_leaves_every_other_rows_slot(texts):
    before, after = keyed(texts), keyed(texts[1:])

    assert after == {key: before[key] for key in after}


def test_equal_texts_have_slots_of_their_own_and_the_first_keeps_its_slot_when_copies_come():
    alone = slot_keys([text_key("a")])
    doubled = slot_keys([text_key("a"), text_key("a")])

    assert alone[0] == doubled[0]
    assert doubled[0] != doubled[1]


def test_draws_are_spread_evenly_and_differ_between_epochs_and_seeds():
    keys = np.arange(20_000, dtype=np.uint64)
    one, two = uniform(keys, 1, 0), uniform(keys, 1, 1)

    assert abs(one.mean() - 0.5) < 0.01
    assert np.bincount((one * 10).astype(int), minlength=10).min() > 1800
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.03
    assert abs(np.corrcoef(one, uniform(keys, 2, 0))[0, 1]) < 0.03


def test_a_new_class_name_shifts_no_other_class_start():
    few = normals(["a", "c"], 50, seed=3)
    more = normals(["a", "b", "c"], 50, seed=3)

    assert few.tobytes() == more[[0, 2]].tobytes()
    assert abs(normals([f"n{i}" for i in range(200)], 50, seed=0).std() - 1.0) < 0.02


def test_a_draw_stays_the_same_in_every_release():
    assert mix(np.array([7], dtype=np.uint64), 1, 2)[0] == 6384002532264632270
    assert hash_parts("a", "b") != hash_parts("ab")


def test_canonical_order_sorts_by_text_then_label_then_weight():
    keys = [text_key(t) for t in ("x", "x", "x")]

    assert canonical_order(keys, ["b", "a", "a"], np.array([1.0, 1.0, 0.5])) == [2, 1, 0]
