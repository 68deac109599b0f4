"""From a refused relabel over blind verdicts to an allowed one, and every way to get it wrong."""

import csv
import io
import json
import sys

import pyarrow.compute as pc
import pytest

from curator.versions import open_store


@pytest.fixture
def noisy(corpus):
    """A corpus of forty rows a class, eight labels of which are wrong; and the truth by text."""
    made = corpus(train=40, plants=False)
    truth = {row["text"]: row["label"] for row in made.train}
    for i in range(0, 120, 15):
        made.train[i]["label"] = "topic01" if made.train[i]["label"] != "topic01" else "topic02"
    made.swap("measure: {model: tfidf, tiers: [probe]}", "measure: false")
    made.swap("  - augment: {with: [keyboard], keep_label: 0}\n", "")
    made.swap("report: report.html\n", "")
    made.swap("{min_class_rows: 3}", "{action: relabel, min_p_fix: 0.6}")
    return made.write(), truth


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path, records):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)


def judge(path, truth, slips=0):
    """Fill a sheet as somebody who knows the truth and slips so often."""
    records = read(path)
    for n, record in enumerate(records):
        right = truth[record["text"]]
        sides = {record["a"]: "a", record["b"]: "b"}
        record["verdict"] = sides.get(right, "neither")
        if n < slips:
            record["verdict"] = "neither"
    write(path, records)


def test_a_refused_relabel_is_allowed_by_verdicts_and_done(noisy, curator):
    made, truth = noisy
    refused = curator(made.folder, "run", "recipe.yaml")
    assert 1 == refused.code
    assert "`curator calibrate VERSION`" in refused.err

    call = ("calibrate", "main", "--recipe", "recipe.yaml", "--min-p-fix", "0.6", "--rows", "60")
    assert 0 == curator(made.folder, *call, "--out", "sheet.csv").code
    sheet = made.folder / "sheet.csv"
    assert {"id", "text", "a", "b", "verdict"} == read(sheet)[0].keys()  # not which one is given
    judge(sheet, truth)
    said = curator(made.folder, *call, "--apply", "sheet.csv", "--by", "ann", "--json")
    found = said.json()
    assert found["relabel_allowed"]
    assert found["drawn"] == found["judged"]
    evidence = found["evidence"]
    assert evidence["reviewed"] == evidence["right"] >= 6
    assert found["fix_low"] >= 0.6

    written = json.dumps({k: evidence[k] for k in ("reviewed", "right", "from_p_fix")})
    made.swap("min_p_fix: 0.6", f"min_p_fix: 0.6, calibrated: {written}")
    done = curator(made.folder, "run", "recipe.yaml")
    assert 0 == done.code, done.err
    store = open_store(made.folder / ".curator", create=False)
    changed = store.decisions("main").filter(pc.equal(store.decisions("main")["action"], "relabel"))
    now = {row["id"]: row for row in store.rows("main").to_pylist()}
    assert changed.num_rows >= 6
    assert all(truth[now[i]["text"]] == now[i]["label"] for i in changed["row_id"].to_pylist())


def test_verdicts_that_do_not_bear_the_rule_out_refuse_it_with_their_numbers(noisy, curator):
    made, truth = noisy
    curator(made.folder, "run", "recipe.yaml")
    call = ("calibrate", "main", "--recipe", "recipe.yaml", "--min-p-fix", "0.6", "--rows", "0")
    curator(made.folder, *call, "--out", "sheet.csv")
    judge(made.folder / "sheet.csv", truth, slips=3)
    said = curator(made.folder, *call, "--apply", "sheet.csv")
    found = curator(made.folder, *call, "--json").json()

    assert "refused" in said.out
    assert not found["relabel_allowed"]
    evidence = found["evidence"]
    made.swap("min_p_fix: 0.6", f"min_p_fix: 0.6, calibrated: {json.dumps(evidence)}")
    refused = curator(made.folder, "run", "recipe.yaml")
    assert 1 == refused.code
    made.swap("action: relabel", "action: keep")
    assert 0 == curator(made.folder, "run", "recipe.yaml").code
    curator(made.folder, "report", "main", "--out", "report.html")
    told = json.loads((made.folder / "report.json").read_text("utf-8"))["reliability"]
    assert evidence["reviewed"] == told["bins"][-1]["judged"]
    made.swap("action: keep", "action: relabel")
    assert f"the review found {evidence['right']} of {evidence['reviewed']} right" in refused.err
    assert f"at least {found['fix_low']:.3f}" in refused.err
    made.swap("action: relabel, min_p_fix: 0.6", "action: relabel, min_p_fix: 0.7")
    assert "rows from P(fix) 0.6, the rule" in curator(made.folder, "run", "recipe.yaml").err


def test_a_terminal_asks_one_by_one_keeps_each_verdict_and_goes_on_later(
    noisy, curator, monkeypatch
):
    made, _ = noisy
    curator(made.folder, "run", "recipe.yaml")
    call = (
        "calibrate",
        "main",
        "--recipe",
        "recipe.yaml",
        "--min-p-fix",
        "0.6",
        "--rows",
        "20",
        "--fixes",
        "3",
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO("1\nx\n2\n4\nq\n"))
    said = curator(made.folder, *call)

    assert 0 == said.code, said.err
    assert "'x' is no key" in said.out
    assert "given" not in said.out
    first = curator(made.folder, *call, "--json").json()
    assert 3 == first["judged"]
    assert 1 == first["verdicts"]["unclear"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("3\n"))
    curator(made.folder, *call)
    second = curator(made.folder, *call, "--json").json()
    assert (4, 23) == (second["judged"], second["drawn"])
    more = curator(made.folder, *call[:6], "--rows", "40", "--fixes", "3", "--json").json()
    assert more["judged"] >= 4  # a larger sample holds the smaller one


def test_a_bad_sheet_is_refused_whole_with_its_lines(noisy, curator):
    made, _ = noisy
    curator(made.folder, "run", "recipe.yaml")
    call = ("calibrate", "main", "--recipe", "recipe.yaml", "--min-p-fix", "0.6", "--rows", "20")
    curator(made.folder, *call, "--out", "sheet.csv")
    sheet = made.folder / "sheet.csv"
    records = read(sheet)
    records[0]["verdict"], records[1]["verdict"] = "a", "perhaps"
    records[2]["id"] = "nobody"
    write(sheet, records)
    said = curator(made.folder, *call, "--apply", "sheet.csv")

    assert 1 == said.code
    assert "line 3: 'perhaps' is no verdict; expected a, b, neither, unclear" in said.err
    assert "line 4: row nobody is not in the sample" in said.err
    assert 0 == curator(made.folder, *call, "--json").json()["judged"]
    write(sheet, [{"id": "1", "other": "2"}])
    assert (
        "expected the columns id and verdict"
        in curator(made.folder, *call, "--apply", "sheet.csv").err
    )


def test_weights_go_by_the_recalibrated_probability(noisy, curator):
    made, _ = noisy
    made.swap("action: relabel, min_p_fix: 0.6", "action: weight")
    assert 0 == curator(made.folder, "run", "recipe.yaml").code
    store = open_store(made.folder / ".curator", create=False)
    plain = dict(zip(*(store.rows("main")[n].to_pylist() for n in ("id", "weight")), strict=True))
    made.swap(
        "action: weight", "action: weight, calibrated: {reviewed: 9, right: 9, logit: [1, -3]}"
    )
    assert 0 == curator(made.folder, "run", "recipe.yaml").code
    after = dict(zip(*(store.rows("main")[n].to_pylist() for n in ("id", "weight")), strict=True))

    assert plain.keys() == after.keys()
    assert all(after[i] >= plain[i] for i in plain)
    assert sum(after.values()) > sum(plain.values()) + 1
    made.swap("logit: [1, -3]", "logit: [1]")
    assert "expected [slope, intercept]" in curator(made.folder, "run", "recipe.yaml").err
