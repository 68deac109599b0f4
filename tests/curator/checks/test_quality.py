"""One crafted text per rule, asking for the issue and the number found."""

from __future__ import annotations

import pyarrow as pa
import pytest

from curator.checks.quality import GOPHER_STOP_WORDS, Prose, quality
from curator.errors import RecipeError

PROSE = (
    "The river that we crossed in the morning was wide and slow, and none of the boats that lay "
    "along its banks had moved since winter. A man with a grey hat told us to wait for the ferry, "
    "which comes twice a day, and to have some tea with him in the meantime, as nobody else would "
    "be there before noon."
)


def rows(*texts):
    return pa.table({"id": [str(i) for i in range(len(texts))], "text": list(texts)})


def issues(*texts, **options):
    found = quality(rows(*texts), **options).to_pylist()
    return {(int(f["row_id"]), f["issue_type"]): f["evidence"] for f in found}


def test_ordinary_texts_have_nothing():
    fine = [PROSE, "my card was stolen", "我的银行卡丢了怎么办", "naïve café, don’t", "why??", "OK",
            "{{card_number}} is lost", "a < b and #1"]  # fmt: skip

    assert {} == issues(*fine)


@pytest.mark.parametrize(
    ("text", "issue", "evidence"),
    [
        ("my c\ufffdrd", "broken_encoding", "1 characters were lost (replacement characters)"),
        ("# Title\nsee [here](http://a.example)", "markup", "2 times Markdown"),
        ("see [[Main Page]]", "markup", "1 times wiki markup"),
        ("[url=x]y[/url]", "markup", "1 times BBCode"),
        (r"\begin{table}", "markup", "1 times LaTeX"),
        ("<div>no</div>", "markup", "1 times HTML"),
        ("Please enable JavaScript to go on", "boilerplate", "1 times asks for JavaScript"),
        ("We use cookies. Privacy Policy", "boilerplate", "2 times policy notice"),
        ("Lorem ipsum dolor", "boilerplate", "1 times filler text"),
        ("版权所有 2020", "boilerplate", "1 times copyright line"),
        ("😀😀!", "near_empty", "only emoji and signs"),
        ("12-34", "near_empty", "only digits and signs"),
        ("?!", "near_empty", "only signs"),
        ("asdfgh qwerty", "keyboard_noise", "100% of its letters are typed along the keyboard"),
        ("xkcdfgh", "keyboard_noise", "100% of its letters are typed along the keyboard"),
        ("aaaaaaaaa", "keyboard_noise", "100% of its letters are one letter again and again"),
    ],
)
def test_each_rule_for_texts_of_any_length(text, issue, evidence):
    assert {(0, issue): evidence} == issues(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("and " + "x" * 3 + " " + "it is so " * 30, "most frequent 2-gram"),
        ("\n".join([PROSE] * 2 + ["end"]), "share of"),
        ("我的银行卡" * 30, "most frequent 4-gram"),
        ("\n".join(["one more line of the very same words", "another"] * 8), "lines 0.88"),
    ],
    ids=["n-grams", "paragraph twice", "Chinese", "lines"],
)
def test_repetition_is_found_in_long_texts(text, told):
    found = issues(text)

    assert (0, "repetition") in found
    assert told in found[0, "repetition"] or "repeated 10-grams" in found[0, "repetition"]


def test_a_long_text_repeats_itself_by_the_numbers_of_the_paper():
    words = [f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(100)]
    once = " ".join(words)
    some = " ".join([*words, *words[:10]])  # 10 of 110 words: under every limit but 10-grams'

    assert {} == issues(once)
    assert "repeated 10-grams 0.09" not in issues(some).get((0, "repetition"), "")
    half = issues(" ".join([*words, *words[:30]]))[0, "repetition"]
    assert "repeated 5-grams 0.2" in half
    assert {} == issues(" ".join([*words, *words[:30]]), repetition=3)


def test_short_texts_are_exempt_from_rules_for_documents():
    assert {} == issues("no no no no no no no no no no", "wait… what… no…", "a # # # # # 1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a b " * 20 + " ".join(chr(97 + i) + "c" for i in range(26)), "mean word length"),
        (PROSE.replace(" ", " # ", 20), "# per word"),
        ("\n".join("- " + w for w in PROSE.split()), "share of bullet lines 1.00, at most 0.9"),
        ("\n".join(w + "..." for w in PROSE.split()), "share of lines ending in an ellipsis"),
        (" ".join(f"{w} {i}" for i, w in enumerate(PROSE.split())), "share of words with a letter"),
    ],
    ids=["word length", "symbols", "bullets", "ellipses", "letters"],
)
def test_gophers_rules_for_prose(text, told):
    assert told in issues(text)[0, "unlike_prose"]


def test_stop_words_are_asked_for_where_they_are_given():
    german = "Fluss Boot Wasser Ufer Mann Hut Fähre Tee Mittag Morgen " * 6
    prose = Prose(stop_words=GOPHER_STOP_WORDS)

    assert "stop words 0.00, at least 2" in issues(german, prose=prose)[0, "unlike_prose"]
    assert (0, "unlike_prose") not in issues(german)
    assert {} == issues(PROSE, prose=prose)


def test_curly_brackets_are_code_only_where_they_are_rare():
    code = PROSE + " if (x) { return }"
    other = [f"{PROSE} {i}" for i in range(30)]

    assert "curly brackets, as in code" == issues(code, *other)[0, "boilerplate"].split("; ")[0]
    assert not any("curly" in told for told in issues(*[code] * 3, *other[:6]).values())


def test_a_line_that_many_rows_share_is_boilerplate():
    footer = "Sent from my phone, excuse the brevity"
    texts = [f"question number {w}\n{footer}" for w in "abcdefg"] + ["another one. And more."] * 3

    found = issues(*texts)

    assert {(i, "boilerplate") for i in range(7)} == set(found)
    assert "a line of it stands in 7 rows" in found[0, "boilerplate"]


def test_a_wrong_option_is_told():
    with pytest.raises(RecipeError, match=r"prose.mean_word_chars is \[3.0\]; expected two"):
        quality(rows("x"), prose=Prose(mean_word_chars=(3.0,)))
