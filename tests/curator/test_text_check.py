import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.checks.text import DropText, clean, fix_texts
from curator.errors import RecipeError
from curator.schema import FINDING_SCHEMA


def rows_of(*texts):
    return pa.table(
        {"id": [f"r{i}" for i in range(len(texts))], "text": pa.array(texts, pa.string())}
    )


def fixed(text, *fix):
    return fix_texts(pa.array([text]), fix=fix or ("unicode", "html", "whitespace")).to_pylist()[0]


@pytest.mark.parametrize(
    ("broken", "repaired"),
    [
        ("I donâ€™t know", "I don’t know"),
        ("cafÃ© au lait", "café au lait"),
        ("Ã  la carte", "à la carte"),
        ("ä½\xa0å¥½", "你好"),
        ("РџСЂРёРІРµС‚", "Привет"),
        ("voil√† la carte √©crite", "voilà la carte écrite"),
        ("bell\x07 and \x1b[31mred\x1b[0m", "bell and red"),
        ("\ufeffstart", "start"),
        ("it\x92s", "it’s"),
    ],
)
def test_broken_encoding_is_repaired(broken, repaired):
    assert repaired == fixed(broken, "unicode")


@pytest.mark.parametrize(
    "text",
    [
        "“curly” ‘quotes’ — and … dots",
        "ＡＢＣ１２３，全角！",
        "ﬁne ligature",
        "e\u0301 decomposed",
        "那我收到货之后您再给我退200元？",
        "双12店里还做活动吗……“亲”，￥99",
        "豈 a compatibility ideograph",
        "Ça coûte 20 € à la gare « là »",
        "Привет, её ёлка",
        "مرحبا كيف الحال",
        "שלום עולם",
        "👩‍👩‍👧 ❤️ 🇩🇪",
        "می‌خواهم",
        "क्‍ष",
        "甲　乙",
    ],
)
def test_legitimate_text_survives_all_fixes_untouched(text):
    assert text == fixed(text)


@pytest.mark.parametrize(
    ("marked_up", "plain"),
    [
        ("I&#039;m &quot;fine&quot;", 'I\'m "fine"'),
        ("Tom &amp;amp; Jerry", "Tom & Jerry"),
        ("a<br>b<br/>c<BR />d", "a b c d"),
        ("<p>one</p><p>two</p>", " one  two "),
        ("<b>bold</b>ly", "boldly"),
        ('see <a href="http://x.y/?a=1&b=2">this</a>', "see this"),
        ("&lt;b&gt;escaped&lt;/b&gt;", "escaped"),
        ("x<!-- a note -->y", "x y"),
        ("x<script>let a = 1 < 2;</script>y", "x y"),
        ("run <code>ls</code> now", "run ls now"),
        ("&am<b></b>p; twice", "& twice"),
    ],
)
def test_entities_and_tags_become_text(marked_up, plain):
    assert plain == fixed(marked_up, "html")


@pytest.mark.parametrize(
    "text",
    [
        "a < b and b > c",
        "a<b and c>d",
        "I <3 you",
        "send {{card}} to <NAME> at <ADDRESS> by <time>",
        "<s> begin",
        "List<String> and <http://example.org> and <me@example.org>",
        "AT&T, R&D; x?a=1&copy=2 &unknown;",
        "x <- y <= z",
    ],
)
def test_what_only_looks_like_markup_stays(text):
    assert text == fixed(text, "html")


@pytest.mark.parametrize(
    ("spaced", "tidy"),
    [
        ("  two  words ", "two words"),
        ("no\u00a0break\u2009thin", "no break thin"),
        ("one \r\n\r\n  two\u2028three", "one\ntwo\nthree"),
        ("zero\u200bwidth\u00ad", "zerowidth"),
        ("a\u200db\u200c", "ab"),
        ("你好　　世界", "你好 世界"),
        ("\t\u3000", ""),
    ],
)
def test_white_space_is_tidied(spaced, tidy):
    assert tidy == fixed(spaced, "whitespace")


def test_each_finding_suggests_the_text_after_its_fix_and_those_before():
    found = clean(rows_of("plain text", "  itâ€™s &lt;b&gt;so&lt;/b&gt; ")).to_pylist()

    assert [(f["row_id"], f["issue_type"], f["suggestion"]) for f in found] == [
        ("r1", "unicode", "  it’s &lt;b&gt;so&lt;/b&gt; "),
        ("r1", "html", "  it’s so "),
        ("r1", "whitespace", "it’s so"),
    ]
    assert all(f["flagged"] and f["check"] == "clean" for f in found)


def test_the_given_order_of_the_fixes_counts():
    found = clean(rows_of("a&nbsp;&nbsp;b"), fix=("whitespace", "html")).to_pylist()

    assert [(f["issue_type"], f["suggestion"]) for f in found] == [("html", "a b")]


def test_evidence_spells_out_what_changed():
    found = clean(rows_of("good\u00a0bye", "zero\u200bwidth")).to_pylist()

    assert [f["evidence"] for f in found] == ["'\\xa0' became ' '", "'\\u200b' removed"]


def test_empty_and_too_short_are_judged_after_the_fixes():
    found = clean(rows_of("<br>&nbsp;", "&amp;", "ok", "好 的", ""), drop=DropText(min_chars=2))
    dropped = [f for f in found.to_pylist() if f["issue_type"] in {"empty", "too_short"}]

    assert [(f["row_id"], f["issue_type"], f["score"], f["evidence"]) for f in dropped] == [
        ("r0", "empty", 1.0, "no characters"),
        ("r1", "too_short", 0.5, "1 character, expected at least 2"),
        ("r4", "empty", 1.0, "no characters"),
    ]


def test_min_chars_zero_lets_every_text_pass():
    assert clean(rows_of("", "a"), drop=DropText(min_chars=0)).num_rows == 0


def test_an_empty_table_has_no_findings():
    found = clean(rows_of())

    assert (found.num_rows, found.schema) == (0, FINDING_SCHEMA)
    assert fix_texts(pa.array([], pa.string())).to_pylist() == []


def test_no_fixes_leave_texts_as_they_are():
    assert fix_texts(pa.array([" <b> "]), fix=()).to_pylist() == [" <b> "]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fix": ("unicod",)}, r"clean: fix 'unicod' is not one of \['unicode', 'html', 'whitesp"),
        ({"fix": ("html", "html")}, "names one fix twice"),
        ({"drop": DropText(min_chars=-1)}, "min_chars is -1; expected 0 or more"),
    ],
)
def test_a_wrong_option_says_what_was_expected(options, message):
    with pytest.raises(RecipeError, match=message):
        clean(rows_of("a"), **options)


MESS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *["&amp;", "amp;", "&", "#39;", "&#x2028;", "&nbsp;", "&Acirc;", "&zwj;", "&#128;"],
                *["<", ">", "<b>", "</b>", "<br>", "<time>", "</time>", "<!--", "-->", "<p a=b>"],
                *["<script>", "</script>", "{{x}}", "<NAME>", "â€™", "Ã", "Ã©", "Â", "Р", "С", "√"],
                *[" ", "\u00a0", "\u3000", "\n", "\r\n", "\u200b", "\u200c", "\u200d", "\x85"],
                *["\x80", "\x1b[1m", "\ufffd", "好", "é", "a", "1", "م", "😀", "\ufeff", "ä½\xa0"],
            ]
        ),
        st.text(max_size=3),
    ),
    max_size=14,
).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.lists(MESS, min_size=1, max_size=3), st.permutations(["unicode", "html", "whitespace"]))
def test_fixing_twice_is_fixing_once_and_equals_the_last_suggestion(texts, fix):
    once = fix_texts(pa.array(texts), fix=fix)

    assert once.to_pylist() == fix_texts(once, fix=fix).to_pylist()
    last = dict(zip([f"r{i}" for i in range(len(texts))], texts, strict=True))
    found = clean(rows_of(*texts), fix=fix).to_pylist()
    last.update((f["row_id"], f["suggestion"]) for f in found if f["suggestion"] is not None)
    assert once.to_pylist() == list(last.values())


@given(st.lists(MESS, min_size=2, max_size=4))
@settings(deadline=None, max_examples=50)
def test_a_text_is_fixed_alone_as_in_company(texts):
    assert [fixed(text) for text in texts] == fix_texts(pa.array(texts)).to_pylist()


@pytest.mark.parametrize("part", ["<!--", "<script>", "<p ", "&amp;", "<p a=b ", " \u00a0"])
def test_a_hostile_text_costs_linear_time(part):
    start = time.process_time()
    fixed("-->" + part * 20_000)

    assert time.process_time() - start < 2
