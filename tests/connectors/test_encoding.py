"""Which encoding a file has, told from its bytes alone."""

from __future__ import annotations

import codecs

import pytest

from connectors import SourceError

CHINESE = "编号,问题,类别\n1,我的快递什么时候到？,物流\n2,这个可以退货吗,售后\n3,有没有优惠,价格\n"


@pytest.mark.parametrize(
    "data",
    [
        CHINESE.encode(),
        codecs.BOM_UTF8 + CHINESE.encode(),
        CHINESE.encode("gb18030"),
        CHINESE.encode("gbk"),
        CHINESE.encode("utf-16"),
        codecs.BOM_UTF16_BE + CHINESE.encode("utf-16-be"),
        CHINESE.encode("utf-32"),
    ],
    ids=["utf-8", "utf-8 mark", "gb18030", "gbk", "utf-16 le", "utf-16 be", "utf-32"],
)
def test_a_chinese_spreadsheet_export_reads_the_same_in_every_encoding(read_all, data):
    out = read_all("a.csv", data)

    assert ["编号", "问题", "类别"] == out.table.column_names[:3]
    assert ["我的快递什么时候到？", "这个可以退货吗", "有没有优惠"] == out.table["问题"].to_pylist()
    assert [2, 3, 4] == out.lines
    assert [] == out.bad


def test_utf_16_without_a_mark_is_told_by_its_zero_bytes(read_all):
    out = read_all("a.csv", "text,label\nhello,x\nthere,y\n".encode("utf-16-le"))

    assert ["hello", "there"] == out.table["text"].to_pylist()


def test_a_cut_utf_16_file_loses_its_last_record_only(read_all):
    out = read_all("a.csv", "text,label\nhello,x\nthere,y".encode("utf-16")[:-1])

    assert ["hello"] == out.table["text"].to_pylist()
    assert 1 == len(out.bad)


def test_a_broken_chinese_line_in_a_gb18030_file_is_set_aside(read_all):
    lines = CHINESE.encode("gb18030").split(b"\n")
    lines[2] = b"2,\xc4\xff\xff,x"
    out = read_all("a.csv", b"\n".join(lines))

    assert ["1", "3"] == out.table["编号"].to_pylist()
    assert "broken text: byte 0xc4" in out.bad[0].reason or "0xff" in out.bad[0].reason


@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-2"])
def test_western_text_is_not_taken_for_chinese(read_all, encoding):
    rows = ["J'ai oublié ma clé à l'hôtel", "Où est la gare", "déjà vu", "plain ascii here"]
    data = ("text,label\n" + "".join(f"{row},x\n" for row in rows)).encode(encoding, "replace")
    out = read_all("a.csv", data)

    assert ["plain ascii here"] == [t for t in out.table["text"].to_pylist() if "?" not in t]
    assert all("broken text" in bad.reason for bad in out.bad)


def test_a_named_encoding_overrides_what_would_be_detected(read_all):
    out = read_all("a.csv", "text,label\nclé,x\n".encode("cp1252"), encoding="cp1252")

    assert ["clé"] == out.table["text"].to_pylist()


def test_korean_is_not_taken_for_chinese(read_all):
    rows = (
        "카드가 아직 도착하지 않았습니다 언제 받을 수 있나요 감사합니다 계좌 이체는 어떻게 하나요 "
        * 3
    )
    data = f"text,label\n{rows},x\n{rows},y\n".encode("euc-kr")

    assert 2 == len(read_all("a.csv", data).bad)
    assert [rows.strip()] * 2 == [
        t.strip() for t in read_all("a.csv", data, encoding="euc-kr").table["text"].to_pylist()
    ]


def test_an_unknown_encoding_is_refused_with_examples(read_all):
    with pytest.raises(SourceError, match="encoding 'klingon' is not known; write for example"):
        read_all("a.csv", "text,label\na,x\n", encoding="klingon")
    with pytest.raises(SourceError, match="encoding 'hex' is not known"):
        read_all("a.csv", "text,label\na,x\n", encoding="hex")


def test_one_broken_line_among_ascii_does_not_change_the_encoding(read_all):
    out = read_all("a.csv", b"text,label\n" + b"a,x\n" * 50 + b"b\xff,x\n")

    assert 50 == len(out.rows)
    assert 1 == len(out.bad)
