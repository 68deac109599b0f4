"""Personal data told by shape and proof, in English and Chinese, and what only looks like it."""

import random
import time

import pytest

from curator.identifiers import KINDS, luhn, mod97, personal_spans, resident_id

FOUND = [
    ("email", "write to Bob.Smith+x@mail.site.example.", "Bob.Smith+x@mail.site.example"),
    ("email", "我的邮箱是li.lei@qq.com谢谢", "li.lei@qq.com"),
    ("email", "邮箱ｌｉ＠ｑｑ．ｃｏｍ。", "ｌｉ＠ｑｑ．ｃｏｍ"),
    ("email", "bob [at] site [dot] example please", "bob [at] site [dot] example"),
    ("phone", "ring +44 20 7946 0018 today", "+44 20 7946 0018"),
    ("phone", "my cell is (415) 555-2671.", "(415) 555-2671"),
    ("phone", "call 07700 900123 now", "07700 900123"),
    ("phone", "手机号13800138000谢谢", "13800138000"),
    ("phone", "电话１３８－００１３－８０００", "１３８－００１３－８０００"),
    ("phone", "座机010-62781234", "010-62781234"),
    ("phone", "请拨+86 138 0013 8000", "+86 138 0013 8000"),
    ("card", "card 4111 1111 1111 1111 expired", "4111 1111 1111 1111"),
    ("card", "卡号6222021001116245579被扣", "6222021001116245579"),
    ("card", "amex 3782-822463-10005", "3782-822463-10005"),
    ("iban", "to GB82 WEST 1234 5698 7654 32 please", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "打到DE89370400440532013000账户", "DE89370400440532013000"),
    ("cn_id", "身份证11010519491231002X号", "11010519491231002X"),
    ("cn_id", "id 110105 19491231 002X ok", "110105 19491231 002X"),
    ("passport", "my passport number is E12345678", "E12345678"),
    ("passport", "护照号：Ｇ１２３４５６７８", "Ｇ１２３４５６７８"),
    ("ip", "from 192.168.1.20 again", "192.168.1.20"),
    ("ip", "来自2400:3200::1的请求", "2400:3200::1"),
    ("secret", "key AKIAIOSFODNN7EXAMPLE leaked", "AKIAIOSFODNN7EXAMPLE"),
    ("secret", "password: Summer2024!x", "Summer2024!x"),
    ("secret", "密码是abc12345，", "abc12345"),
    ("secret", "postgres://bob:hunter2@db/x", "bob:hunter2"),
    ("name", "my name is Jane Doe, hello", "Jane Doe"),
    ("name", "Dear Mr. John O'Brien, thanks", "John O'Brien"),
    ("name", "我叫欧阳娜娜，", "欧阳娜娜"),
    ("name", "收件人：张伟 电话", "张伟"),
    ("address", "live at 12 High Street, Leeds, LS1 4AP now", "12 High Street, Leeds, LS1 4AP"),
    ("address", "我住在浙江省杭州市文三路478号3栋501室", "浙江省杭州市文三路478号3栋501室"),
]
NOT_FOUND = [
    "order number 13800138000 is late",
    "订单号6222021001116245579",
    "tracking 4111111111111111",
    "it costs 1,234,567.89 dollars",
    "paid on 2024-05-06 at 12:30:45",
    "version 10.0.19041.1 of Windows",
    "4111 1111 1111 1112 fails its check",
    "110105194912310021 fails its check",
    "GB82 WEST 1234 5698 7654 33 fails its check",
    "use std::vector and a::b",
    "my password is wrong, the token is expired",
    "icon@2x.png and user@host",
    "passport lost, please help",
    "rows 100 200 3000 and 2020-2021",
    "Dear Sir or Madam",
    "这个月的账单是1234元，日期20240506",
    "{{phone}} and [EMAIL] and <NAME>",
    "😀😀😀 👍🏽",
    "",
]


@pytest.mark.parametrize(("kind", "text", "value"), FOUND)
def test_personal_data_is_found_at_its_place(kind, text, value):
    found = [(f.kind, text[f.start : f.end]) for f in personal_spans(text)]
    assert (kind, value) in found


def test_every_kind_is_among_the_examples():
    assert {kind for kind, _, _ in FOUND} == set(KINDS)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_personal_is_left_alone(text):
    assert [] == personal_spans(text)


def test_only_the_kinds_asked_for_are_found():
    text = "bob@site.example or 13800138000"
    assert ["email"] == [f.kind for f in personal_spans(text, kinds=["email"])]


def test_a_number_plan_that_was_not_asked_for_tells_no_phone():
    assert [] == personal_spans("座机010-62781234", kinds=["phone"], regions=["US"])


def test_right_to_left_text_keeps_its_places():
    text = "البريد bob@site.example شكرا"
    (found,) = personal_spans(text)
    assert text[found.start : found.end] == "bob@site.example"


def _with_check(digits):
    return next(digits + d for d in "0123456789" if luhn(digits + d))


def test_exactly_one_check_digit_fits_a_card():
    draw = random.Random(1)
    for _ in range(200):
        digits = "4" + "".join(draw.choices("0123456789", k=14))
        assert 1 == sum(luhn(digits + d) for d in "0123456789")


def test_one_wrong_digit_or_two_swapped_ones_break_a_card_and_an_iban():
    card, iban = _with_check("411111234567890"), "GB82WEST12345698765432"
    assert not luhn(card[:5] + str((int(card[5]) + 1) % 10) + card[6:])
    assert mod97(iban)
    assert not mod97(iban[:10] + iban[11] + iban[10] + iban[12:])


def test_a_resident_id_with_a_day_that_never_was_is_none():
    assert resident_id("11010519491231002X")
    for last in "0123456789X":
        assert not resident_id(f"11010520230230001{last}")


@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "+1-", "a@", "a.", "ab:", "4111 ", "GB82 ", "路", "x=", "Dr. A", "://a:", "P<"],
)
def test_no_long_text_of_one_kind_costs_the_square_of_its_length(piece):
    start = time.process_time()
    personal_spans(piece * (60_000 // len(piece)))
    assert time.process_time() - start < 5  # linear: under half a second; quadratic: minutes
