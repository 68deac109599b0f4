"""Rows with several labels, and rows with labelled spans: the same loop, the same promises."""

import json
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune import (
    FitError,
    FitJob,
    Training,
    ahead,
    default_spec,
    embed,
    exact_share,
    fit_projection,
    fit_scores,
    fit_tfidf,
    macro_f1,
    micro_f1,
    open_encoder,
    span_macro_f1,
    vectors_of_words,
)
from finetune.answers import costs
from finetune.losses import row_losses
from finetune.metrics import calibration_error
from finetune.pieces import Word, outermost, pieces_of, spans_of, tags_of

WORDS = (
    *("card", "pin", "cash", "top", "up", "lost", "stolen", "late", "fee", "rate"),
    *("swap", "bank", "transfer", "my", "the", "is", "not", "how"),
)
THINGS = ("card", "pin", "cash")
DEEDS = ("lost", "stolen", "late")


def sentence(at):
    """A sentence of known words: a thing, then perhaps a deed."""
    draw = np.random.default_rng(at)
    words = ["my", "the", "how", "is", "not"]
    parts = [words[draw.integers(5)], THINGS[at % 3], words[draw.integers(5)]]
    return " ".join([*parts, *([DEEDS[at % 2]] if at % 4 else []), words[draw.integers(5)]])


def labels_in(text):
    found = text.split()
    return tuple(sorted({"thing"} | ({"deed"} if set(found) & set(DEEDS) else set())))


def spans_in(text):
    spans, at = [], 0
    for word in text.split():
        for label, group in (("thing", THINGS), ("deed", DEEDS)):
            if word in group:
                spans.append((at, at + len(word), label))
        at += len(word) + 1
    return tuple(spans)


TEXTS = tuple(dict.fromkeys(sentence(at) for at in range(40)))
NEW = tuple(t for t in dict.fromkeys(sentence(at) for at in range(100, 140)) if t not in TEXTS)
ANSWERS = {"multilabel": labels_in, "tokens": spans_in}
TASKS = sorted(ANSWERS)


def training(task, texts=TEXTS):
    return Training(texts, tuple(ANSWERS[task](text) for text in texts), np.ones(len(texts)))


def told(task, result):
    if task == "tokens":
        return result.spans
    return [[c for c, p in zip(("deed", "thing"), row, strict=True) if p > 0.5]
            for row in result.probabilities]  # fmt: skip


def fitted(task, tier, model, cache, *, train=None, texts=NEW, seeds=(0,), **changes):
    train = train or training(task)
    projection = None
    if tier == "probe":
        inputs = sorted(set(TEXTS))
        vectors = (
            vectors_of_words(inputs, model, cache=cache)
            if task == "tokens"
            else embed(inputs, model, cache=cache)
        )
        projection = fit_projection(vectors)
    elif tier != "probe":
        changes = {"max_tokens": model.max_tokens, "epochs": 2, "learning_rate": 0.01} | changes
    spec = default_spec(tier, rows=len(TEXTS), task=task, **changes)
    return fit_scores(
        train, texts, classes=("deed", "thing"), spec=spec, seeds=seeds, model=model,
        projection=projection, cache=cache,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_bert):
    return open_encoder(tiny_bert, max_tokens=16)


@pytest.mark.parametrize("tier", ["probe", "top-layers", "all-layers"])
@pytest.mark.parametrize("task", TASKS)
def test_each_tier_learns_what_the_words_say(task, tier, model, tmp_path):
    results = fitted(task, tier, model, tmp_path)

    wanted = [ANSWERS[task](text) for text in NEW]
    # "thing" holds of all sentences: telling it always gives less than this.
    always = micro_f1(wanted, [[("thing") for _ in "x"] for _ in NEW])
    assert micro_f1(wanted, told(task, results[0])) > max(0.9, always)


@pytest.mark.parametrize("tier", ["probe", "top-layers"])
@pytest.mark.parametrize("task", TASKS)
def test_the_order_of_the_rows_changes_no_bit(task, tier, model, tmp_path):
    one = fitted(task, tier, model, tmp_path / "a")[0]
    turned = training(task, TEXTS[::-1])

    other = fitted(task, tier, model, tmp_path / "b", train=turned)[0]

    assert one.key == other.key
    assert one.probabilities.tobytes() == other.probabilities.tobytes()
    assert one.spans == other.spans


@pytest.mark.parametrize("task", TASKS)
def test_a_fit_that_is_stopped_at_any_step_comes_to_the_same_bits(task, model, tmp_path):
    from finetune import read_record

    changes = {"validation": 0.2, "dropout": 0.1, "batches": 2}
    straight = fitted(task, "top-layers", model, tmp_path / "a", **changes)[0]
    spec = default_spec(
        "top-layers", rows=len(TEXTS), task=task, max_tokens=16, epochs=2, learning_rate=0.01,
        **changes,
    )  # fmt: skip

    class StopError(Exception):
        pass

    def stop(at):
        if at.stage == "step":
            raise StopError

    for _ in range(3):
        with pytest.raises(StopError):
            fit_scores(training(task), NEW, classes=("deed", "thing"), spec=spec, seeds=[0],
                       model=model, projection=None, cache=tmp_path / "b", progress=stop,
                       checkpoint_s=0)  # fmt: skip
    resumed = fitted(task, "top-layers", model, tmp_path / "b", **changes)[0]

    assert 3 == resumed.record["resumed"]
    one, other = (read_record(tmp_path / x, straight.key) for x in "ab")
    assert {n: v.tobytes() for n, v in one.state.items()} == {
        n: v.tobytes() for n, v in other.state.items()
    }
    assert "validation_loss" in one.record["epochs"][0]


def test_a_worker_reads_answers_from_its_job_file_as_they_were(model, tmp_path):
    train = training("tokens")
    spec = default_spec("top-layers", rows=len(TEXTS), task="tokens", max_tokens=16, epochs=1)
    job = tmp_path / "job.json"
    told = ahead._written([FitJob(train, NEW)], [(0, 3)], spec, model, tmp_path / "a")
    job.write_text(json.dumps(told))

    ahead._work(job)

    one, other = (
        fit_scores(train, NEW, classes=("deed", "thing"), spec=spec, seeds=[3], model=model,
                   projection=None, cache=tmp_path / folder)[0]
        for folder in "ab"
    )  # fmt: skip
    assert (True, False) == (one.cached, other.cached)
    assert one.spans == other.spans


def test_a_long_text_is_read_in_windows_and_each_word_decided_once(model):
    text = " ".join(WORDS[at % len(WORDS)] for at in range(100))

    for most in (6, 9, 16, 40):
        model_at = open_encoder(model.folder.path, max_tokens=most)
        cut = pieces_of([text], model_at)[0]
        found = [text[w.start : w.end] for piece in cut for w in piece.words]
        assert text.split() == found
        assert all(len(model_at.tokens([piece.text])[0]) <= most for piece in cut)
        assert all(w.token < most for piece in cut for w in piece.words)


def test_spans_of_a_long_text_are_found_behind_its_first_window(model, tmp_path):
    filler = "the my is not how " * 8
    long = tuple(filler + text for text in TEXTS[:12])
    train = training("tokens", (*TEXTS, *long))

    found = fitted("tokens", "top-layers", model, tmp_path, train=train, texts=long, epochs=20)[0]

    taught = {(text, *span) for text in long for span in spans_in(text)}
    told = {(text, *s) for text, own in zip(long, found.spans, strict=True) for s in own}
    assert min(start for _, start, *_ in taught) > len(filler) - 1
    assert len(taught & told) > 0.5 * len(taught)


def test_places_count_code_points_and_leave_out_a_prefix(minilm):
    text = "\U0001f600 Zoë's  card, in 北京!"
    plain, asked = (open_encoder(minilm, prefix=prefix) for prefix in ("", "query: "))

    one, other = (
        [text[w.start : w.end] for w in pieces_of([text], m)[0][0].words] for m in (plain, asked)
    )

    assert one == other
    assert {"Zoë", "card", "in", "北", "京"} <= set(one)


def test_a_byte_level_tokenizer_counts_code_points_too(tiny_gpt2, tmp_path):
    gpt = open_encoder(tiny_gpt2, max_tokens=16)

    found = fitted("tokens", "probe", gpt, tmp_path)[0]

    starts = {text[s:e] for text, own in zip(NEW, found.spans, strict=True) for s, e, _ in own}
    assert starts <= set(" ".join(NEW).split())


words = st.lists(st.integers(1, 6), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(words, st.data())
def test_spans_on_whole_words_come_back_from_their_tags(lengths, data):
    ends = np.cumsum([n + 1 for n in lengths])
    cut = [Word(i, int(end) - n - 1, int(end) - 1) for i, (n, end) in
           enumerate(zip(lengths, ends, strict=True))]  # fmt: skip
    spans, at = [], 0
    while at < len(cut):
        last = data.draw(st.integers(at, len(cut) - 1))
        if data.draw(st.booleans()):
            spans.append((cut[at].start, cut[last].end, data.draw(st.sampled_from("PQ"))))
        at = last + 1

    assert spans == spans_of(cut, tags_of(cut, spans))


def test_of_nested_spans_the_outermost_is_learnt_and_the_others_are_counted(model, tmp_path):
    assert [(0, 9, "a"), (9, 12, "c")] == outermost([(0, 9, "a"), (2, 4, "b"), (9, 12, "c")])
    rows = (*TEXTS, "my card is late")
    inside = ((3, 15, "thing"), (11, 15, "deed"))
    train = Training(rows, (*training("tokens").labels, inside), np.ones(len(rows)))

    found = fitted("tokens", "probe", model, tmp_path, train=train)[0]

    assert 1 == found.record["nested_left_out"]


def test_the_scores_are_those_of_their_formulas():
    wanted = [("a", "b"), ("a",), (), ("c",)]
    given_ = [("a",), ("a", "b"), (), ()]

    # a: tp 2, fp 0, fn 0; b: tp 0, fp 1, fn 1; c: tp 0, fp 0, fn 1.
    assert micro_f1(wanted, given_) == 2 * 2 / (4 + 3)
    assert macro_f1(wanted, given_) == (1 + 0 + 0) / 3
    assert exact_share(wanted, given_) == 1 / 4
    spans = [((0, 3, "P"), (5, 8, "Q"))], [((0, 3, "P"), (5, 9, "Q"), (10, 12, "P"))]
    assert micro_f1(*spans) == 2 * 1 / (2 + 3)
    assert span_macro_f1(*spans) == (2 * 1 / (1 + 2) + 0) / 2
    assert micro_f1([()], [()]) == 1.0
    # Two chances in the bin of .9 (one came), two in that of .1 (none came).
    chances, came = np.array([0.9, 0.9, 0.1, 0.1]), np.array([1, 0, 0, 0])
    assert calibration_error(chances, came, bins=10) == pytest.approx((0.4 * 2 + 0.1 * 2) / 4)


def test_the_losses_are_those_of_their_formulas():
    import torch

    logits = torch.tensor([[2.0, -1.0], [0.0, 0.0]])
    several = row_losses(logits, torch.tensor([[1.0, 1.0], [0.0, 1.0]]), loss="cross-entropy",
                         strength=None)  # fmt: skip
    tokens = row_losses(logits[None], torch.tensor([[0, -100]]), loss="cross-entropy",
                        strength=None)  # fmt: skip

    assert several.tolist() == pytest.approx([log(1 + exp(-2)) + log(1 + exp(1)), 2 * log(2)])
    assert tokens.tolist() == pytest.approx([log(exp(2) + exp(-1)) - 2])
    lost, right = costs(logits.numpy(), np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32))
    assert lost.tolist() == pytest.approx([2 * log(1 + exp(-2)) - 1 + log(1 + exp(-1)) -
                                           log(1 + exp(-2)) + 1, 2 * log(2)])  # fmt: skip
    assert [True, False] == right.tolist()


def test_a_task_leaves_the_key_of_one_label_a_row_as_it_was():
    plain = default_spec("probe", rows=100)

    assert plain.key() == default_spec("probe", rows=100, task="classification").key()
    assert 3 == len({default_spec("probe", rows=100, task=t).key()
                     for t in (*TASKS, "classification")})  # fmt: skip


@pytest.mark.parametrize(
    ("task", "answers", "words"),
    [
        ("tokens", ("a", "b"), "not of task tokens"),
        ("multilabel", ((), ()), "none of the 2 training rows has a label"),
        ("multilabel", (("a",), ("a",)), "all 2 training rows have the labels"),
        ("classification", (("a",), ("b",)), "not of task classification"),
    ],
)
def test_answers_that_teach_nothing_are_refused(task, answers, words, model, tmp_path):
    train = Training(("my card", "the pin"), answers, np.ones(2))

    with pytest.raises(FitError, match=words):
        fitted(task, "top-layers", model, tmp_path, train=train)


def test_words_need_an_encoder_and_losses_of_one_label_are_refused(tmp_path):
    terms = fit_tfidf(list(TEXTS))

    with pytest.raises(FitError, match="tokens task needs an encoder"):
        vectors_of_words(list(TEXTS), terms, cache=tmp_path)
    with pytest.raises(FitError, match="loss gce is for one label a row; tokens takes cross-ent"):
        default_spec("top-layers", rows=10, task="tokens", loss="gce")
