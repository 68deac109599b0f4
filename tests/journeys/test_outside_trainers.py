"""Somebody else trains, we judge: files of answers, a command, and the gate in CI."""

from __future__ import annotations

import csv
import json
import random
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

SEEDS = (0, 1, 2, 3, 4)
TRAINER = """\
import json, random, sys
train, test, seed, out = sys.argv[1:5]
rows = [json.loads(line) for line in open(train, encoding="utf-8")]
draw = random.Random(int(seed))
rows = [row for row in rows if draw.random() < 0.9]
with open("runs.log", "a") as log:
    print(len(rows), file=log)
with open(out, "w", encoding="utf-8") as file:
    for line in open(test, encoding="utf-8"):
        row = json.loads(line)
        assert sorted(row) == ["id", "text"], row
        words = set(row["text"].split())
        best = max(rows, key=lambda one: len(words & set(one["text"].split())))
        print(json.dumps({"id": row["id"], "prediction": best["label"]}), file=file)
"""
COMMAND = f"'{sys.executable}' -S train.py {{train}} {{test}} {{seed}} {{out}}"


@pytest.fixture
def made(finished_copy):
    """The finished corpus with a trainer beside it."""
    (finished_copy.folder / "train.py").write_text(TRAINER, "utf-8")
    return finished_copy


@pytest.fixture
def answers(curator, finished):
    """Write a file of answers in which a share of the rows is right: `answers(path, 0.9)`."""
    said = curator(finished.folder, "rows", "main", "--where", "split = 'test'", "--json")
    rows = said.json()
    labels = sorted({row["label"] for row in rows})

    def write(path, share, *, seeds=SEEDS, score=False, change=None):
        told = []
        for seed in seeds:
            for row in rows:
                right = random.Random(f"{row['id']} {seed % 2}").random() < share
                wrong = labels[labels.index(row["label"]) - 1]
                answer = {"prediction": row["label"] if right else wrong}
                if score:
                    answer = {"score": 0.75 if right else 0.25}
                told.append({"id": row["id"], "seed": seed, **answer})
        told = change(told) if change else told
        path.write_text("".join(json.dumps(one) + "\n" for one in told), "utf-8")
        return path

    return write


def test_two_files_of_answers_get_the_verdict_of_the_contract(curator, made, answers, tmp_path):
    files = answers(tmp_path / "a.jsonl", 0.5), answers(tmp_path / "b.jsonl", 0.95)

    said = curator(made.folder, "measure", "main~5", "main", "--scores", *files, "--json").json()

    assert ("better", "outside", "accuracy") == (said["verdict"], said["tier"], said["metric"])
    assert [list(SEEDS), 95, []] == [said["seeds"], said["test_rows"], said["screens"]]
    assert 0 < said["low"] < said["effect"] < said["high"]
    assert said["after_score"] - said["before_score"] == pytest.approx(said["effect"])
    names = [one["name"] for one in said["slices"]]
    assert ["all test rows", "near-duplicate in training"] == names[:2]
    assert 24 == sum(name.startswith("class ") for name in names)
    assert "outside, answers in a.jsonl and b.jsonl" in said["sentence"]


def test_a_score_per_row_is_compared_as_it_is(curator, made, answers, tmp_path):
    files = [answers(tmp_path / f"{n}.jsonl", s, score=True) for n, s in (("a", 0.1), ("b", 0.9))]

    said = curator(made.folder, "measure", "main~5", "main", "--scores", *files, "--json").json()

    assert ("better", "score") == (said["verdict"], said["metric"])
    assert 0.25 < said["before_score"] < said["after_score"] < 0.75


def test_a_measurement_of_answers_is_kept_in_the_ledger(curator, made, answers, tmp_path):
    files = answers(tmp_path / "a.jsonl", 0.9), answers(tmp_path / "b.jsonl", 0.9)
    kept = made.folder / ".curator" / "records" / "impacts"
    before = len(list(kept.iterdir()))

    for _ in range(2):
        curator(made.folder, "measure", "main~5", "main", "--scores", *files)

    assert before + 1 == len(list(kept.iterdir()))


def test_answers_of_an_outside_trainer_are_scored_again_under_corrected_test_labels(
    curator, made, answers, tmp_path
):
    """Under labels that are all wrong by one, what was answered one off is right."""
    files = answers(tmp_path / "a.jsonl", 0.75), answers(tmp_path / "b.jsonl", 1.0)
    curator(made.folder, "measure", "main~5", "main", "--scores", *files)
    with (made.folder / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = f"topic{(int(row['label'][-2:]) - 1) % 24:02}"
    replace(made, test=rows).write()
    assert 0 == curator(made.folder, "run", "recipe.yaml", "--no-measure").code
    assert 0 == curator(made.folder, "tag", "audited", "main").code

    told = curator(made.folder, "rescore", "audited", "--json").json()["comparisons"]

    (one,) = [one for one in told if one["tier"] == "outside"]
    assert 1.0 == one["given"]["after_score"]
    assert 0.0 == one["corrected"]["after_score"]
    assert 1.0 == one["given"]["before_score"] + one["corrected"]["before_score"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda told: told[:-3], "3 test rows without an answer: id "),
        (lambda told: [*told, told[0]], "1 rows answered twice under one seed: line 481 (id "),
        (lambda told: [{**told[0], "id": "x"}, *told[1:]], "1 ids of no test row: line 1 ('x')"),
        (lambda told: [{**t, "prediction": "?"} for t in told], "480 predictions that are no lab"),
        (lambda told: told[:-96], "only the first has [4], only the second []; train both"),
    ],
    ids=["missing", "doubled", "unknown id", "unknown label", "other seeds"],
)
def test_answers_that_cannot_be_paired_are_refused_and_nothing_is_kept(
    curator, made, answers, tmp_path, change, told
):
    files = answers(tmp_path / "a.jsonl", 0.9), answers(tmp_path / "b.jsonl", 0.9, change=change)
    kept = made.folder / ".curator" / "records" / "impacts"
    before = len(list(kept.iterdir()))

    said = curator(made.folder, "measure", "main~5", "main", "--scores", *files)

    assert (1, "") == (said.code, said.out)
    assert told in said.err
    assert before == len(list(kept.iterdir()))


def test_one_seed_alone_is_refused(curator, made, answers, tmp_path):
    files = [answers(tmp_path / f"{name}.jsonl", 0.9, seeds=(7,)) for name in "ab"]

    said = curator(made.folder, "measure", "main~5", "main", "--scores", *files)

    assert 1 == said.code
    assert "only seed 7 on both sides: without a second one the noise" in said.err


def test_a_command_is_run_look_by_look_and_never_again(curator, made):
    """Dropping noise from so easy a corpus changes little: the first look decides."""
    log = made.folder / "runs.log"
    asked = ("measure", "main~5", "main", "--train-with", COMMAND, "--json")

    first = curator(made.folder, *asked)
    assert 0 == first.code, first.err
    assert 6 == len(log.read_text().splitlines())
    assert "before, seed 0: done, 1 of 6" in first.err
    assert "outside 3 or 5 or 8 paired seeds, two runs of your trainer each; on 95 test rows " in (
        first.err
    )
    said = first.json()
    assert ([0, 1, 2], "decided") == (said["seeds"], said["stopped"])
    assert [(3, True), (5, False), (8, False)] == [(x["seeds"], x["used"]) for x in said["looks"]]
    assert said["cost_cpu_s"] > 0

    again = curator(made.folder, *asked).json()
    assert 6 == len(log.read_text().splitlines())
    assert {"fits": 6, "fits_cached": 0}.items() <= said.pop("work").items()
    assert {"fits": 0, "fits_cached": 6}.items() <= again.pop("work").items()
    assert said == again

    gate = curator(made.folder, "gate", "main~5", "main", "--train-with", COMMAND, "--json").json()
    assert list(SEEDS) == gate["seeds"]
    assert 10 == len(log.read_text().splitlines()), "a gate asks for five seeds, three are there"


def test_an_open_look_asks_for_the_next_and_runs_only_what_it_adds(curator, made):
    """A trainer that answers at random on one side leaves the first look open."""
    source = (made.folder / "train.py").read_text()
    noisy = source.replace("0.9]", "(0.9 if len(rows) < 200 else 0.45)]")
    (made.folder / "train.py").write_text(noisy)

    said = curator(made.folder, "measure", "main~5", "main", "--train-with", COMMAND, "--json")

    runs = len((made.folder / "runs.log").read_text().splitlines())
    assert len(said.json()["seeds"]) in {5, 8}
    assert 2 * len(said.json()["seeds"]) == runs == said.json()["work"]["fits"]
    assert 0 == said.json()["work"]["fits_cached"]


def test_more_seeds_run_only_what_is_new_and_a_killed_run_goes_on(curator, made):
    log = made.folder / "runs.log"
    source = (made.folder / "train.py").read_text()
    stop = 'import os\nif os.path.exists("stop") and sys.argv[3] == "2": sys.exit("no more")\n'
    (made.folder / "train.py").write_text(source.replace("train, test", stop + "train, test", 1))
    (made.folder / "stop").touch()
    asked = ("measure", "main~5", "main", "--train-with", COMMAND)

    said = curator(made.folder, *asked, "--seeds", "3")
    assert 1 == said.code
    assert "failed with exit code 1 (before, seed 2); it last said:\n  no more" in said.err
    assert 4 == len(log.read_text().splitlines())

    (made.folder / "stop").unlink()
    assert 0 == curator(made.folder, *asked, "--seeds", "3").code
    assert 6 == len(log.read_text().splitlines())
    said = curator(made.folder, *asked, "--seeds", "4", "--json")
    assert [0, 1, 2, 3] == said.json()["seeds"]
    assert 8 == len(log.read_text().splitlines())


def test_a_change_that_the_trainer_does_not_see_runs_nothing(curator, made):
    said = curator(made.folder, "measure", "main", "main", "--train-with", COMMAND, "--json")

    assert ("identical", None) == (said.json()["verdict"], said.json()["mde"])
    assert not (made.folder / "runs.log").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--train-with", "python train.py {train}"), "has no {test}, {seed}, {out}"),
        (("--train-with", COMMAND, "--seeds", "1"), "--seeds 1: expected 2 or more"),
        (("--train-with", COMMAND, "--tier", "probe"), "an outside trainer is a tier of its own"),
        (("--train-with", COMMAND, "--files", "xml"), "--files 'xml' is not one of"),
        (("--train-with", COMMAND, "--scores", "a", "b"), "give one of them"),
        (("--scores", "no.jsonl", "no.jsonl"), "no.jsonl"),
    ],
)
def test_options_that_do_not_go_together_are_refused(curator, made, arguments, told):
    said = curator(made.folder, "measure", "main~5", "main", *arguments)

    assert (1, "") == (said.code, said.out)
    assert told in said.err


@pytest.mark.parametrize(
    ("shares", "code", "word"),
    [((0.9, 0.9), 0, "not_worse"), ((0.95, 0.5), 3, "worse"), ((0.8, 0.75), 4, "not_shown")],
)
def test_the_gate_answers_by_exit_code_json_markdown_and_junit(
    curator, made, answers, tmp_path, shares, code, word
):
    files = [answers(tmp_path / f"{n}.jsonl", s) for n, s in zip("ab", shares, strict=True)]
    junit, page = tmp_path / "ci" / "gate.xml", tmp_path / "ci" / "gate.md"

    said = curator(
        made.folder, "gate", "main~5", "main", "--margin", "4", "--scores", *files,
        "--junit", junit, "--markdown", page, "--json",
    )  # fmt: skip

    assert code == said.code, said.err
    told = said.json()
    assert (word, code, 0.04) == (told["outcome"], told["exit_code"], told["margin"])
    assert "; the margin is 4.0 points; 95 test rows, 5 paired seeds, " in told["sentence"]
    assert page.read_text().startswith("## Curator gate: ")
    tags = {0: [], 3: ["failure"], 4: ["skipped"]}
    assert tags[code] == [child.tag for child in ET.parse(junit).getroot()[0]]


def test_the_gate_on_our_own_tier_trains_nothing_that_measure_trained(curator, made):
    measured = curator(made.folder, "measure", "main~5", "main", "--json").json()

    said = curator(made.folder, "gate", "main~5", "main", "--no-class-loses", "50", "--json")

    assert measured["effect"] == said.json()["effect"]
    # Four test rows a class: protection was asked for and there is none, which is no pass.
    assert 4 == said.code
    assert {"not_protected"} == {one["outcome"] for one in said.json()["classes"]}
    assert "24 not protected (under 20 test rows)" in said.json()["sentence"]


def test_a_version_may_take_its_own_place(curator, made):
    said = curator(made.folder, "gate", "main", "main", "--no-class-loses", "1")

    assert 0 == said.code
    assert "Not worse: the model sees the same training set as before" in said.out


def test_what_is_not_measurable_could_not_be_told(curator, made):
    said = curator(made.folder, "gate", "main~1", "main", "--tier", "top-layers")

    assert 4 == said.code
    assert "Not shown: top-layers trains the layers of an encoder" in said.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--margin", "0"), "--margin 0: expected points above 0 and below 100"),
        (("--margin", "0.01"), "margins are in points, so 1 is one in a hundred rows"),
        (("--protect", "topic00"), "--protect 'topic00': expected CLASS=POINTS"),
        (("--protect", "topic00=x"), "--protect 'topic00=x': expected CLASS=POINTS"),
        (("--protect", "topic0=5"), "no class 'topic0' among"),
        (("--no-class-loses", "200"), "--no-class-loses 200: expected points above 0"),
    ],
)
def test_rules_that_cannot_hold_are_refused(curator, made, arguments, told):
    said = curator(made.folder, "gate", "main~5", "main", *arguments)

    assert (1, "") == (said.code, said.out)
    assert told in said.err


def test_after_an_erasure_a_command_is_measured_anew(curator, made):
    """The ids of the versions stay; what a trainer would learn from them does not."""
    asked = ("measure", "main~5", "main", "--train-with", COMMAND, "--json")
    curator(made.folder, *asked)
    rows = curator(made.folder, "rows", "main", "--where", "split = 'train'", "--json").json()
    reason = ("--by", "a data subject", "--reason", "request 7")
    assert 0 == curator(made.folder, "erase", rows[0]["id"], *reason).code

    said = curator(made.folder, *asked).json()

    assert 6 <= said["work"]["fits"] == len((made.folder / "runs.log").read_text().split()) - 6
