"""Attribution, rivals, scores, learning curve, explore and rescore, by the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from curator.versions import open_store


@pytest.fixture(scope="module")
def noisy(tmp_path_factory, builders):
    """A finished corpus in which a seventh of the training and six test labels are wrong."""
    build_corpus, call_curator = builders
    folder = tmp_path_factory.mktemp("noisy") / "corpus"
    made = build_corpus(folder, classes=24, train=8, test=5, plants=False)
    for row in made.train[::7]:
        row["label"] = f"topic{(int(row['label'][-2:]) + 1) % 24:02}"
    for row in made.test[:6]:
        row["label"] = f"topic{(int(row['label'][-2:]) + 1) % 24:02}"
    said = call_curator(made.write().folder, "run", "recipe.yaml", "--no-measure")
    assert 0 == said.code, said.err
    return made


@pytest.fixture
def made(noisy, tmp_path):
    folder = Path(shutil.copytree(noisy.folder, tmp_path / "noisy"))
    return replace(noisy, folder=folder, recipe=folder / "recipe.yaml")


@pytest.mark.parametrize("decisions", ["frozen", "rerun"])
def test_an_attribution_sums_to_its_total_and_says_whose_decisions_it_took(
    curator, noisy, decisions
):
    said = curator(noisy.folder, "attribution", "main", "--decisions", decisions, "--json")
    assert 0 == said.code, said.err
    found = said.json()

    for way in ("waterfall", "shapley"):
        total = sum(step[way]["effect"] for step in found["steps"])
        assert found["total"]["effect"] == pytest.approx(total, abs=1e-9)
    named = {step["step"] for step in found["steps"]}
    assert {"label_errors", "augment"} <= named
    assert named | set(found["without_effect"]) == set(found["order"])
    assert f"({decisions})" in found["sentence"]
    assert "holds for the order that was run" in found["sentence"]
    assert found["cost_cpu_s"] < 5


def test_dropped_wrong_labels_and_sources_have_their_sum_of_ridge_influence(curator, noisy):
    found = curator(noisy.folder, "attribution", "main", "--by", "label", "--json").json()

    by_step = {one["name"]: one for one in found["influence"]["steps"]}
    assert by_step["label_errors"]["sum"] > 0
    sums = [one["sum"] for one in found["influence"]["by_class"]]
    assert sorted(sums) == sums
    assert found["influence"]["by_class"] == found["influence"]["by_label"]
    one, other = (sum(s["sum"] for s in found["influence"][k]) for k in ("by_class", "by_source"))
    assert one == pytest.approx(other)


def test_an_unknown_column_or_an_import_has_no_attribution(curator, noisy):
    said = curator(noisy.folder, "attribution", "main", "--by", "worker")
    assert 1 == said.code
    assert "--by 'worker': the rows have no such column" in said.err

    said = curator(noisy.folder, "attribution", "main~5")
    assert 1 == said.code
    assert "is an import: it has no step to attribute to" in said.err


def test_rivals_are_chosen_on_some_seeds_and_claimed_on_others_at_a_share_of_alpha(curator, made):
    said = curator(made.folder, "rivals", "label_errors", "--actions", "drop,weight", "--json")
    assert 0 == said.code, said.err
    found = said.json()

    assert ["drop", "weight"] == [one["action"] for one in found["rivals"]]
    best = max(found["rivals"], key=lambda one: one["effect"])
    assert best["action"] == found["chosen"] == found["again"]["action"]
    assert not set(best["seeds"]) & set(found["again"]["seeds"])
    assert 0.025 == found["alpha"]
    assert 1 == found["test_uses"]["looks"]
    assert "will be charged 5.00 % of alpha" in said.err


def test_rivals_of_a_step_that_can_only_do_one_thing_are_refused(curator, noisy):
    said = curator(noisy.folder, "rivals", "duplicates")
    assert 1 == said.code
    assert "step 'duplicates' has no option action" in said.err

    said = curator(noisy.folder, "rivals", "label_error")
    assert 1 == said.code
    assert "label_errors" in said.err


def test_scores_come_with_intervals_slices_confusions_and_the_hardest_rows(curator, noisy):
    said = curator(noisy.folder, "scores", "main", "--json")
    assert 0 == said.code, said.err
    found = said.json()

    for metric in found["metrics"].values():
        assert metric["low"] <= metric["value"] <= metric["high"]
    assert {"class", "length", "script", "cluster"} <= {one["slice"] for one in found["slices"]}
    hard = found["hardest"][0]
    assert hard["p_label"] <= found["hardest"][-1]["p_label"]
    assert hard["text"]
    assert 0 < found["calibration"]["temperature"]
    assert "one training row in 10" in found["calibration"]["temperature_from"]
    assert found["confused"][0]["label"] != found["confused"][0]["predicted"]


def test_a_learning_curve_ends_at_twice_the_data_and_widens_there(curator, noisy):
    said = curator(noisy.folder, "learning-curve", "main~5", "--json")
    assert 0 == said.code, said.err
    points = said.json()["points"]

    assert 2.0 == points[-1]["share"] == max(p["share"] for p in points)
    assert [True] * 5 + [False] * 2 == [p["measured"] for p in points]
    assert points[0]["score"] < points[4]["score"]
    assert all(p["low"] <= p["score"] <= p["high"] for p in points)


def test_exploring_charges_nothing_and_looks_at_no_test_row(curator, made):
    said = curator(made.folder, "explore", "main~2", "main~1", "--json")
    assert 0 == said.code, said.err
    found = said.json()

    assert "screen" == found["kind"]
    assert "no alpha was charged" in found["sentence"]
    store = open_store(made.folder / ".curator", create=False)
    assert [] == store.records("ledger")


def test_measure_cross_validates_on_training_rows_by_group_in_as_many_parts_as_asked(curator, made):
    said = curator(
        made.folder, "measure", "main~2", "main~1", "--cross-validate", "3", "--tier", "probe",
        "--json",
    )  # fmt: skip
    assert 0 == said.code, said.err
    found = said.json()

    assert ("screen", 3, "probe") == (found["kind"], found["folds"], found["tier"])
    assert [] == open_store(made.folder / ".curator", create=False).records("ledger")
    for words, told in (
        (["--cross-validate", "1"], "1 folds; expected 2 up to the number of groups"),
        (["--cross-validate", "3", "--tier", "dear"], "explore has no tier 'dear'"),
        (["--cross-validate", "3", "--tier", "top-layers"], "take --tier probe"),
    ):
        refused = curator(made.folder, "measure", "main~2", "main~1", *words)
        assert 1 == refused.code
        assert told in refused.err


def test_corrected_test_labels_score_every_stored_comparison_again_without_a_fit(curator, made):
    assert 0 == curator(made.folder, "measure", "main~2", "main~1").code
    for row in made.test[:6]:
        row["label"] = f"topic{(int(row['label'][-2:]) - 1) % 24:02}"
    made.write()
    said = curator(made.folder, "run", "recipe.yaml", "--no-measure")
    assert 0 == said.code, said.err

    unnamed = curator(made.folder, "rescore", "main~1")
    assert 1 == unnamed.code
    assert "which needs a name: `curator tag NAME" in unnamed.err

    assert 0 == curator(made.folder, "tag", "audited", "main").code
    found = curator(made.folder, "rescore", "audited", "--json").json()

    (one,) = found["comparisons"]
    assert 0 == found["fits"]
    assert found["descriptive"]
    assert 6 == one["labels_changed"]
    assert one["corrected"]["before_score"] > one["given"]["before_score"]


def test_a_report_shows_shares_touched_classes_placebo_and_the_outside_trainer(curator, made):
    curator(made.folder, "attribution", "main")
    rows = curator(made.folder, "rows", "main", "--where", "split = 'test'", "--json").json()
    for name, right in (("a.jsonl", 3), ("b.jsonl", 4)):
        told = [
            {"id": row["id"], "seed": seed,
             "prediction": row["label"] if (i + seed) % 5 < right else "topic00"}
            for seed in range(3) for i, row in enumerate(rows)
        ]  # fmt: skip
        (made.folder / name).write_text("".join(json.dumps(one) + "\n" for one in told), "utf-8")
    said = curator(made.folder, "measure", "main~2", "main~1", "--scores", "a.jsonl", "b.jsonl")
    assert 0 == said.code, said.err

    said = curator(made.folder, "report", "main", "--out", "r.html")
    assert 0 == said.code, said.err
    facts = json.loads((made.folder / "r.json").read_text("utf-8"))
    page = (made.folder / "r.html").read_text("utf-8")

    assert {"label_errors", "augment"} <= {s["step"] for s in facts["attribution"]["steps"]}
    assert "Which step brought it" in page
    notes = {one["step"]: one["notes"] for one in facts["impacts"] if one["tier"] == "probe"}
    assert any("Classes the change touched" in note for note in notes["label_errors"])
    assert any("dropping as many of the same classes" in note for note in notes["label_errors"])
    outside = [one["step"] for one in facts["impacts"] if one["tier"] == "outside"]
    assert ["label_errors"] == outside
