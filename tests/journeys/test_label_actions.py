"""What a run does with labels that are thought wrong: weigh, or relabel behind a review."""

import json

import numpy as np
import pyarrow.compute as pc

from curator.checks.label_errors import noise_rate
from curator.context import Context
from curator.execute import findings_of
from curator.rebuilding import rebuild
from curator.versions import open_store


def opened(corpus):
    return open_store(corpus.folder / ".curator", create=False)


def noisy(corpus):
    """A corpus of forty rows a class, eight labels of which are wrong."""
    made = corpus(train=40, plants=False)
    for i in range(0, 120, 15):
        made.train[i]["label"] = "topic01" if made.train[i]["label"] != "topic01" else "topic02"
    made.swap("measure: {model: tfidf, tiers: [probe]}", "measure: false")
    made.swap("  - augment: {with: [keyboard], keep_label: 0}\n", "")
    made.swap("report: report.html\n", "")
    return made.write()


def test_a_weight_is_a_decision_with_before_and_after_and_rebuilds_the_same(corpus, curator):
    made = noisy(corpus).swap("{min_class_rows: 3}", "{action: weight}")
    said = curator(made.folder, "run", "recipe.yaml")

    assert 0 == said.code, said.err
    assert "of 120 labels are wrong by estimate" in said.err
    assert "taken from right labels" in said.err
    store = opened(made)
    decided = store.decisions("main")
    assert {"weight"} == set(decided["action"].to_pylist())
    lowest = pc.min(store.rows("main")["weight"]).as_py()
    assert 0.05 <= lowest < 0.5
    assert {"weight": 1.0} == json.loads(decided["before"][0].as_py())
    counts = curator(made.folder, "diff", "main~1", "main", "--json").json()["counts"]
    assert {"weighted": {"weighed by how likely its label is right": decided.num_rows}} == counts
    assert rebuild(store, "main").matches


def test_relabelling_is_refused_with_its_expected_mistakes_until_people_have_checked(
    corpus, curator
):
    made = noisy(corpus).swap("{min_class_rows: 3}", "{action: relabel, min_p_fix: 0.6}")
    refused = curator(made.folder, "run", "recipe.yaml")

    assert 1 == refused.code
    assert "nobody has checked that P(fix)" in refused.err
    made.swap("min_p_fix: 0.6", "min_p_fix: 0.6, calibrated: {reviewed: 60, right: 58}")
    said = curator(made.folder, "run", "recipe.yaml")

    assert 0 == said.code, said.err
    assert "of them get a wrong label" in said.err
    store = opened(made)
    relabelled = store.decisions("main").filter(
        pc.equal(store.decisions("main")["action"], "relabel")
    )
    assert relabelled.num_rows > 0
    assert rebuild(store, "main").matches


def test_an_option_out_of_range_is_told_with_its_line(corpus, curator):
    made = corpus().swap("{min_class_rows: 3}", "{min_p_wrong: 0.2}")
    said = curator(made.folder, "run", "recipe.yaml")

    assert 1 == said.code
    assert "step 'label_errors': min_p_wrong is 0.2; expected 0.5 to 1" in said.err


def test_what_was_asked_of_models_is_kept_by_content_whatever_the_order(corpus, curator, tmp_path):
    made = noisy(corpus)
    curator(made.folder, "run", "recipe.yaml")
    store = opened(made)
    rows = store.rows("main")

    def found(rows, cache):
        context = Context(cache=cache, root=rows, model_name="tfidf", language="en", base=tmp_path)
        return findings_of("label_errors", {}, rows, context)

    first = found(rows, tmp_path / "a")
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*.npz")}
    assert first.equals(found(rows, tmp_path / "a"))
    assert kept == {p: p.stat().st_mtime_ns for p in (tmp_path / "a").rglob("*.npz")}
    shuffled = rows.take(np.random.default_rng(0).permutation(rows.num_rows))
    other = found(shuffled, tmp_path / "b").sort_by("row_id")
    for name in ("score", "p_wrong", "p_fix"):
        assert np.allclose(first[name].to_numpy(), other[name].to_numpy(), atol=1e-6)
    assert first["flagged"].equals(other["flagged"])
    assert 0 < noise_rate(first) < 0.3
