"""The check for personal data: findings without values, and texts with nothing left."""

import time

import pyarrow as pa
import pytest

from curator.checks.personal import Outside, hidden_texts, personal_data
from curator.decide import decide
from curator.errors import StepError
from curator.outside import OUTSIDE, named_entities, surrogate_key
from curator.registry import STEPS, bind_step
from curator.tasks import MESSAGES, SPANS
from curator.terms import packed, term_spans, terms_of

KEY = b"a key of the tests only"
TOOLS = Outside(key=lambda _: KEY, entities=OUTSIDE.entities)


def rows_of(*texts, split="train"):
    n = len(texts)
    columns = {
        "id": [f"row{i:02d}" for i in range(n)],
        "text": pa.array(texts, pa.string()),
        "label": ["a"] * n,
        "split": [split] * n,
        "weight": pa.array([1.0] * n, pa.float32()),
        "step": ["import"] * n,
    }
    return pa.table(columns)


def found_in(*texts, **options):
    return personal_data(rows_of(*texts), TOOLS, **options).to_pylist()


def hidden_in(text, **options):
    return hidden_texts(pa.array([text]), TOOLS, **options).to_pylist()[0]


def test_a_finding_says_kind_and_place_and_never_the_value():
    (finding,) = found_in("write to bob@site.example or amy@site.example")
    assert finding["issue_type"] == "personal_email"
    assert finding["evidence"] == "email at 9..25, 29..45"
    assert finding["suggestion"] == "write to [EMAIL] or [EMAIL]"
    assert "bob" not in str(finding)


def test_every_finding_of_a_row_hides_all_kinds_of_it():
    found = found_in("bob@site.example, 13800138000")
    assert ["personal_email", "personal_phone"] == [f["issue_type"] for f in found]
    assert {"[EMAIL], [PHONE]"} == {f["suggestion"] for f in found}


def test_the_rule_edits_training_rows_and_leaves_test_rows_raw():
    rows = pa.concat_tables([rows_of("a@b.example"), rows_of("c@d.example", split="test")])
    rows = rows.set_column(0, "id", pa.array(["one", "two"]))
    findings = personal_data(rows, TOOLS)
    rule = STEPS["personal_data"].rule(rows, findings, action="mask")
    made = decide(rows, findings, rule, step="personal_data")
    assert ["[EMAIL]", "c@d.example"] == made.rows["text"].to_pylist()
    assert ["e-mail address hidden"] == made.decisions["reason"].to_pylist()


def test_dropping_suggests_no_text_and_serves_none():
    (finding,) = found_in("a@b.example", action="drop")
    assert finding["suggestion"] is None
    assert not STEPS["personal_data"].serves({"action": "drop"})
    with pytest.raises(StepError, match="have no text to serve"):
        hidden_in("a@b.example", action="drop")


@pytest.mark.parametrize(
    "text",
    ["我叫张伟，电话13800138000，住在杭州市文三路478号",
     "Dear Jane Doe of 12 High Street, call +1 415 555 2671",
     "card 4111 1111 1111 1111, IBAN GB82 WEST 1234 5698 7654 32", "passport number is E12345678",
     "护照号G12345678 身份证11010519491231002X", "from 192.168.1.20 and 2400:3200::1",
     "password: Summer2024!x", "amy@site.example and ask 4155552671 by phone 4155552671"],
)  # fmt: skip
@pytest.mark.parametrize("action", ["mask", "surrogate"])
def test_hiding_twice_is_hiding_once_and_leaves_nothing_to_find(text, action):
    once = hidden_in(text, action=action)
    assert once != text
    assert [] == found_in(once)
    assert once == hidden_in(once, action=action)


def test_a_surrogate_is_the_same_for_the_same_value_however_it_is_written():
    texts = ["call +86 138 0013 8000", "call 13800138000"]
    numbers = [
        "".join(c for c in hidden_in(t, action="surrogate").removeprefix("call ") if c.isdigit())[
            -8:
        ]
        for t in texts
    ]
    assert numbers[0] == numbers[1]
    assert hidden_in("A@b.example", action="surrogate") == hidden_in(
        "a@B.example", action="surrogate"
    )


def test_other_values_and_other_keys_give_other_surrogates():
    texts = [f"user{n}@site.example" for n in range(500)]
    made = {hidden_in(text, action="surrogate") for text in texts}
    other = Outside(key=lambda _: b"another key of tests", entities=OUTSIDE.entities)
    theirs = hidden_texts(pa.array(texts), other, action="surrogate").to_pylist()
    assert len(made | set(theirs)) == 1000


def test_surrogates_keep_the_shape_of_their_kind():
    assert hidden_in("4111-1111-1111-1111", action="surrogate")[4::5] == "---"
    assert hidden_in("mail bob@site.example", action="surrogate").endswith("@example.org")
    assert len(hidden_in("13800138000", action="surrogate")) == 11


# a user's own kinds


def test_own_patterns_and_dictionaries_are_kinds_of_their_own():
    own = {"ticket": "T-[0-9]{6}", "staff": packed(["Anna Lee", "李雷"])}
    assert (
        hidden_in("ANNA LEE closed T-123456 for 李雷吧", own=own)
        == "[STAFF] closed [TICKET] for [STAFF]吧"
    )


def test_a_term_inside_a_longer_word_is_not_found():
    assert [] == list(term_spans("Annabel and susanna", terms_of(["anna"])))


def test_a_dictionary_of_a_hundred_thousand_terms_is_read_in_one_pass():
    names = [f"name{n} of{n % 977}" for n in range(99_000)] + [
        f"姓{chr(0x4E00 + n)}" for n in range(1000)
    ]
    own = {"staff": packed(names)}
    text = " ".join(["some words that are no names at all"] * 20) + " name77 of77 和姓丁"
    hidden_in(text, own=own)  # unpacks once
    start = time.process_time()
    hid = hidden_texts(pa.array([text] * 200), TOOLS, own=own, kinds=[]).to_pylist()
    assert {text.replace("name77 of77", "[STAFF]").replace("姓丁", "[STAFF]")} == set(hid)
    assert time.process_time() - start < 10  # a pattern of all terms takes minutes


def test_a_pattern_that_runs_away_stops_with_its_name_and_row(monkeypatch):
    monkeypatch.setattr("curator.terms._SECONDS", 0.1)
    with pytest.raises(StepError, match=r"pattern 'bad' ran longer than .* on row row00"):
        found_in("a" * 5000 + "!", own={"bad": "(a|aa|a?)+$"}, kinds=[])


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"x": "("}, "pattern 'x' does not compile: missing \\)"),
        ({"x": "a*"}, "pattern 'x' matches the empty text"),
        ({"x": "a" * 3000}, "3,000 characters long"),
        ({"email": "a"}, "'email' cannot name a kind of your own"),
        ({"a-b": "a"}, "'a-b' cannot name a kind"),
        ({"x": "file:nowhere.txt"}, "dictionary 'x': .*nowhere.txt cannot be read"),
    ],
)
def test_faults_of_own_kinds_are_told_when_the_recipe_is_read(own, told, tmp_path):
    _, faults = bind_step("personal_data", {"own": own}, base=tmp_path)
    (fault,) = faults
    assert fault[0] == "own"
    with pytest.raises(ValueError, match=told):
        raise ValueError(fault[1])


def test_a_dictionary_travels_inside_the_options(tmp_path):
    (tmp_path / "staff.txt").write_text("Anna Lee\n\n李雷\n", "utf-8")
    options, faults = bind_step(
        "personal_data", {"own": {"staff": "file:staff.txt"}}, base=tmp_path
    )
    assert faults == []
    assert options["own"] == {"staff": packed(["李雷", "Anna Lee"])}


# key and model


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("CURATOR_SURROGATE_KEY", "CURATOR_SURROGATE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("no_key")
def test_without_a_key_surrogates_are_refused_with_what_to_do():
    _, faults = bind_step("personal_data", {"action": "surrogate"})
    assert "set CURATOR_SURROGATE_KEY" in faults[0][1]


def test_a_key_file_that_others_can_read_is_refused(no_key):
    path = no_key / ".curator.key"
    path.write_text("x" * 32)
    path.chmod(0o644)
    with pytest.raises(StepError, match="chmod 600"):
        surrogate_key()
    path.chmod(0o600)
    assert surrogate_key() == b"x" * 32


@pytest.mark.usefixtures("no_key")
def test_a_short_key_and_another_key_are_refused(monkeypatch):
    monkeypatch.setenv("CURATOR_SURROGATE_KEY", "short")
    with pytest.raises(StepError, match="has 5 bytes, expected at least 16"):
        surrogate_key()
    monkeypatch.setenv("CURATOR_SURROGATE_KEY", "x" * 32)
    options, _ = bind_step("personal_data", {"action": "surrogate"})
    monkeypatch.setenv("CURATOR_SURROGATE_KEY", "y" * 32)
    with pytest.raises(StepError, match="were made with the key"):
        surrogate_key(options["key_id"])
    assert "x" * 32 not in str(options)


def test_a_model_that_is_not_there_stops_with_what_to_do():
    pytest.importorskip("spacy", reason="spaCy is the extra `names`")
    with pytest.raises(StepError, match="there is no spaCy pipeline 'no_such_model'"):
        named_entities("no_such_model", ["x"])


def test_a_pipeline_of_the_user_adds_names(tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy is the extra `names`")
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Zebulon"}])
    nlp.to_disk(tmp_path / "names")
    text = "ask Zebulon, bob@site.example"
    assert hidden_in(text, model=str(tmp_path / "names")) == "ask [NAME], [EMAIL]"
    assert hidden_in(text) == "ask Zebulon, [EMAIL]"


# bad input


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "12345",
        "3.14",
        "😀👍🏽🇨🇳",
        "مرحبا بالعالم",
        "cafÃ© â€œquoteâ€\x9d ï¿½",
        "\x00\ud83d"[:1],
        "a\u200bb",
    ],
)
def test_odd_texts_give_no_finding_and_come_back_as_they_are(text):
    assert [] == found_in(text)
    assert text == hidden_in(text)


def test_a_missing_text_stays_missing():
    assert [] == found_in(None)
    assert hidden_texts(pa.array([None], pa.string()), TOOLS).to_pylist() == [None]


def test_ten_megabytes_in_one_row_are_read():
    text = "ordinary words and no data 123 " * 330_000 + "bob@site.example"
    (finding,) = found_in(text, kinds=["email", "card", "ip"])
    assert finding["evidence"] == f"email at {len(text) - 16}..{len(text)}"


def test_all_rows_alike_give_all_findings_alike():
    found = found_in(*["bob@site.example"] * 50)
    assert {f["evidence"] for f in found} == {"email at 0..16"}
    assert len(found) == 50


# other tasks


def of_task(n, **columns):
    common = {
        "id": [f"row{i}" for i in range(n)],
        "group": ["g"] * n,
        "split": ["train"] * n,
        "weight": pa.array([1.0] * n, pa.float32()),
        "source": pa.nulls(n, pa.string()),
        "source_row": pa.nulls(n, pa.int64()),
        "parent": pa.nulls(n, pa.string()),
        "step": ["import"] * n,
    }
    return pa.table({**common, **columns})


def decided(rows):
    findings = personal_data(rows, TOOLS)
    rule = STEPS["personal_data"].rule(rows, findings, action="mask")
    return findings, decide(rows, findings, rule, step="personal_data").rows


def test_spans_move_along_with_what_is_hidden():
    spans = [{"start": 8, "end": 16, "label": "PER"}, {"start": 38, "end": 43, "label": "ORG"}]
    text = "Dear Ms Jane Doe, mail bob@site.co at Monzo"
    rows = of_task(1, text=[text], spans=pa.array([spans], SPANS))
    _, made = decided(rows)
    (after,), (moved,) = made["text"].to_pylist(), made["spans"].to_pylist()
    assert after == "Dear Ms [NAME], mail [EMAIL] at Monzo"
    assert ["[NAME]", "Monzo"] == [after[s["start"] : s["end"]] for s in moved]


def test_a_span_that_cannot_move_along_leaves_the_row_and_says_so():
    spans = [{"start": 5, "end": 9, "label": "HALF"}]
    rows = of_task(1, text=["mail bob@site.example"], spans=pa.array([spans], SPANS))
    findings, made = decided(rows)
    assert ["personal_email", "span_edit"] == findings["issue_type"].to_pylist()
    assert [False, True] == findings["flagged"].to_pylist()
    assert made["text"].to_pylist() == ["mail bob@site.example"]


def test_messages_are_hidden_one_by_one():
    said = [
        {"role": "user", "content": "my mail is bob@site.example"},
        {"role": "assistant", "content": "thanks, bob@site.example"},
    ]
    findings, made = decided(of_task(1, messages=pa.array([said], MESSAGES)))
    assert findings["evidence"].to_pylist() == ["email at 11..27 of text 1, 8..24 of text 2"]
    (after,) = made["messages"].to_pylist()
    assert ["my mail is [EMAIL]", "thanks, [EMAIL]"] == [m["content"] for m in after]
