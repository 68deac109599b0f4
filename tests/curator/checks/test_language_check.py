from __future__ import annotations

import polars as pl
import pyarrow as pa

from curator.checks.language import UNKNOWN, language, languages_of

ENGLISH = [
    "why was my card payment declined again yesterday",
    "how do I change the address of my account",
    "the transfer has not arrived after three days",
    "can you tell me what this fee is for please",
    "I would like to close my account next week",
    "where can I find the exchange rate you use",
]


def rows(texts):
    return pa.table({"id": [str(i) for i in range(len(texts))], "text": texts})


def found(texts, **options):
    told = language(rows(texts), **options).to_pylist()
    return {(int(f["row_id"]), f["issue_type"]): f for f in told}


def test_scripts_that_one_language_owns_decide_by_themselves():
    texts = ["我的卡", "カードをなくした", "카드를", "כרטיס", "κάρτα", "บัตร"]

    told = languages_of(pl.Series(texts))

    assert ("zh", "ja", "ko", "he", "el", "th") == told.language
    assert [1.0] * 6 == told.confidence.tolist()
    assert ("Han", "Kana", "Hangul", "Hebrew", "Greek", "Thai") == told.script


def test_a_foreign_text_is_found_and_a_short_one_is_unknown():
    texts = [*ENGLISH, "Wo ist meine Karte geblieben, ich warte schon so lange", "ola", "😀", ""]

    told = found(texts)

    assert {(6, "language"), (7, "unknown_language"), (8, "unknown_language"),
            (9, "unknown_language")} == set(told)  # fmt: skip
    assert told[6, "language"]["flagged"]
    assert "de (Latin script" in told[6, "language"]["evidence"]
    assert "expected en" in told[6, "language"]["evidence"]
    assert not told[7, "unknown_language"]["flagged"]
    assert (
        "3 letters of Latin script are too few to tell" == told[7, "unknown_language"]["evidence"]
    )
    assert "no letters" == told[8, "unknown_language"]["evidence"]


def test_two_languages_may_belong_to_a_corpus():
    texts = [*ENGLISH, "我的银行卡丢了怎么办", "转账什么时候到账"]

    assert {} == found(texts)
    assert {(6, "language"), (7, "language")} == set(found(texts, expect=("en",)))


def test_a_text_in_two_scripts_or_with_a_foreign_sentence_is_mixed():
    two = "I lost my card yesterday in the evening. Ich habe meine Karte gestern Abend verloren."
    texts = [*ENGLISH, "my card is 我的卡被偷了请帮忙 please help me now", two]

    told = found(texts)

    assert "Han and Latin script, 39% in the second" == told[6, "mixed_language"]["evidence"]
    assert told[7, "mixed_language"]["evidence"].startswith("de and en: ")


def test_a_brand_in_latin_letters_does_not_make_a_chinese_text_mixed():
    assert {} == found(["我的 iPhone 绑定不了银行卡", "APP 打不开", "转账失败了怎么办呢"])


def test_nothing_known_expects_nothing():
    assert UNKNOWN == languages_of(pl.Series(["12345"])).language[0]
    assert {(0, "unknown_language")} == set(found(["12345"]))


def test_where_no_language_has_half_of_the_texts_none_is_foreign():
    texts = [
        "Wo ist meine Karte geblieben, ich warte schon so lange",
        "où est ma carte bancaire, je l'attends depuis lundi",
        "dove si trova la mia carta, la aspetto da lunedì scorso",
        "¿dónde está mi tarjeta? la espero desde el lunes",
    ]

    assert not any(f["flagged"] for f in found(texts).values())
    assert any(f["flagged"] for f in found(texts, expect=("de",)).values())
