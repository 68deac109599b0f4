"""What must stay verbatim does, and a text that nothing touches comes back as it was."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augmenters import keyboard, synonym
from augmenters.errors import RowRefusedError
from augmenters.protect import SPAN_KINDS, change_words, pieces, protected_spans, span_text
from augmenters.wordnet import wordnet_folder

SPANS = {
    "url": "https://shop.example.com/a?b=1&name=value",
    "email": "jane.doe+orders@mail.example.co",
    "domain": "shop.example.com/returns",
    "amount": "$12.50",
    "amount_after": "1,200 euros",
    "amount_zh": "12.50元",
    "quantity": "250 kilograms",
    "date": "2024-05-06",
    "date_words": "5th of March 2024",
    "date_zh": "2024年5月6日",
    "time": "10:30 pm",
    "reference": "AB-1234",
    "reference_tag": "#TICKET_77",
    "number": "10,000",
    "braces2": "{{card}}",
    "braces": "{customer name}",
    "angles": "<customer>",
    "brackets": "[CARD NUMBER]",
    "percent_format": "%(customer)s",
}
PLACES = {
    "english": "please transfer {} because something seems wrong there",
    "first": "{} should arrive quickly, people expected another number",
    "han": "请问订单{}什么时候到货 wonder whether people can find something",
    "punctuation": "strange number, ({}), somewhere!",
}
SEEDS = range(40)


@pytest.fixture(params=["keyboard", pytest.param("synonym", marks=pytest.mark.wordnet)])
def augment(request):
    if request.param == "keyboard":
        return lambda rows, seed: keyboard(rows, seed=seed, share=1.0)
    if not Path(wordnet_folder()).is_dir():
        pytest.skip("WordNet: install the Debian package wordnet-base")
    return lambda rows, seed: synonym(rows, seed=seed, share=1.0)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS.keys())
def test_a_span_is_found_whole_wherever_it_stands(span, place):
    text = place.format(span)

    found = [s for s in span_text(text) if span in s]

    assert [span] == found


def test_a_span_alone_is_the_whole_text_and_still_found():
    assert all(span_text(span) == [span] for span in SPANS.values())


def test_every_kind_of_span_has_an_example():
    found = {s.kind for text in SPANS.values() for s in protected_spans(f"a {text} b")}

    assert set(SPAN_KINDS) == found


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_every_span_survives_every_augmenter_at_full_strength(augment, make_rows, place):
    rows = make_rows([place.format(span) for span in SPANS.values()])
    spans = dict(zip(rows["id"].to_pylist(), SPANS.values(), strict=True))
    made = 0
    for seed in SEEDS:
        for row in augment(rows, seed).rows.to_pylist():
            made += 1

            assert spans[row["parent"]] in row["text"]
    assert len(SEEDS) * len(SPANS) == made


ODD = [
    "",
    "   ",
    "a",
    "?!",
    "👍🏽 ok 🇨🇳🇩🇪 👩‍👩‍👧 done",
    "那我收到货之后您再给我退200元？",
    "付了，还没到。card链接https://a.example/b是",
    "tabs\tand\nnew\r\nlines\u3000wide",
    "cafe\u0301 naïve Ærø don't they’re",
    "a{b}{{c}}<d>[E]%(f)s%s$1.2.3,,4",
    "Ünïcödé ١٢٣ हिन्दी 日本語カナ",
    "x" * 10_000,
    "a.b." * 5_000,
    "<" * 3_000 + "{" * 3_000,
    "1-" * 5_000,
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_the_pieces_of_a_text_are_the_text(text):
    assert text == "".join(piece.text for piece in pieces(text))


SNIPPETS = st.sampled_from(
    [*SPANS.values(), "word", "don't", " ", "\t", "退款", "👍🏽", "{", "%(", ".", "@", "-"]
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.one_of(SNIPPETS, st.text(max_size=8)), max_size=12).map("".join))
def test_any_text_is_the_sum_of_its_pieces_and_survives_a_change_of_all_words(text):
    cut = pieces(text)
    words = [piece.text for piece in cut if piece.kind == "latin"]
    spans = [piece.text for piece in cut if piece.kind in SPAN_KINDS]

    assert text == "".join(piece.text for piece in cut)
    assert spans == span_text(text)
    assert all(piece.text for piece in cut)
    if words:
        others = [piece.text for piece in cut if piece.kind != "latin"]
        after = change_words(text, lambda shown: ["\0" * len(word) for word in shown])
        assert "".join(others) == after.replace("\0", "") or "\0" in text


def test_emoji_sequences_stay_whole():
    kinds = [(piece.text, piece.kind) for piece in pieces("🇨🇳👍🏽👩‍👩‍👧")]

    assert [("🇨🇳", "emoji"), ("👍🏽", "emoji"), ("👩‍👩‍👧", "emoji")] == kinds


def test_only_words_outside_spans_are_shown_to_an_augmenter():
    seen = []

    def look(words):
        seen.extend(words)
        return [word.upper() for word in words]

    changed = change_words("付了 pay $5 to bob@example.com  by\tMay 5, don't wait", look)

    assert ["pay", "to", "by", "don't", "wait"] == seen
    assert "付了 PAY $5 TO bob@example.com  BY\tMay 5, DON'T WAIT" == changed


def test_a_text_without_words_is_refused():
    with pytest.raises(RowRefusedError, match="no Latin words"):
        change_words("退200元", list)


def test_words_that_come_back_in_another_number_are_refused():
    with pytest.raises(RowRefusedError, match="2 words went in, 1 came back"):
        change_words("two words", lambda words: words[:1])


@pytest.mark.data
def test_all_of_banking77_comes_back_exactly(data):
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]

    same = sum(text == "".join(piece.text for piece in pieces(text)) for text in texts)

    assert (10_003, 10_003) == (len(texts), same)


@pytest.mark.data
def test_all_of_dataclue_comes_back_exactly(data):
    with (data / "dataclue_cic" / "train.json").open(encoding="utf-8") as file:
        texts = [json.loads(line)["sentence"] for line in file]

    same = sum(text == "".join(piece.text for piece in pieces(text)) for text in texts)

    assert (10_000, 10_000) == (len(texts), same)
