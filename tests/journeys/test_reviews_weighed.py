"""Answers of several people as a pull leaves them: weighed, decided, told, held against hours."""

import json

import pytest

from connectors import StudioProject
from curator import schema
from curator.annotating_forms import asked_hash, form_of
from curator.annotating_log import Asked, Log, keep_project
from curator.tasks import task_named
from curator.versions import open_store

TASK = task_named("classification")


@pytest.fixture
def reviewed(corpus, curator):
    """A corpus with wrong labels; three people have answered: ann and bob are careful, eve errs."""
    return review(corpus(classes=6, train=20, test=20, plants=False), curator, 6)


def review(made, curator, classes):
    truth = {row["text"]: row["label"] for row in made.train}
    for i in range(0, 60, 3):
        made.train[i]["label"] = f"topic{(int(made.train[i]['label'][-2:]) + 1) % classes:02}"
    made.write().say(
        "name: tiny\nlanguage: en\nsources:\n  - {from: 'file:train.csv', split: train}\n"
        "  - {from: 'file:test.csv', split: test}\nsteps: [clean]\n"
        "measure: {model: tfidf, tiers: [probe]}\n"
    )
    assert 0 == curator(made.folder, "--quiet", "run", "recipe.yaml", "--no-measure").code
    store = open_store(made.folder / ".curator", create=False)
    plant(store, truth)
    return made, store, truth


def plant(store, truth):
    """Leave a log as push and pull of sixty rows leave it."""
    rows = store.rows("main")
    train = [r for r in rows.to_pylist() if r["split"] == "train"]
    content = dict(zip(rows["id"].to_pylist(), schema.content_hashes(rows, TASK), strict=True))
    form = form_of("classification")
    inputs = {r["id"]: asked_hash(form, r) for r in rows.to_pylist()}
    wrong = [r for r in train if truth[r["text"]] != r["label"]]
    some = wrong + [r for r in train if truth[r["text"]] == r["label"]][:40]
    project = StudioProject(7, "tiny review", "<View/>", 3, "2026-01-01T00:00:00Z")
    keep_project(store, "key", "http://127.0.0.1:1", project)
    log = Log(store, "key")
    state = log.fold()
    asked = [
        Asked(r["id"], "blind" if n % 5 == 0 else "open", r["label"], "topic05", content[r["id"]],
              inputs[r["id"]], store.head().id, 1.0, n + 1)
        for n, r in enumerate(some)
    ]  # fmt: skip
    log.append(state, "sent", rows=[one.as_dict() for one in asked])
    events = []
    for number, (row, one) in enumerate(zip(some, asked, strict=True)):
        for person, who in enumerate(("ann", "bob", "eve")):
            label = truth[row["text"]]
            if who == "eve" and number % 2:
                label = f"topic{(int(label[-2:]) + 2) % 6:02}"
            if who == "bob" and number % 4 == 3:
                continue  # on these rows it is ann against eve
            events.append(event(one, number * 3 + person, who, label))
    log.append(state, "pulled", events=events, seen=[], unseen=[], watermark="w")


def event(one, number, who, label):
    return {
        "id": f"e{number}", "kind": "created", "annotation": number, "annotator": who,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "lead_time": 3600.0 if number == 0 else 20.0, "accepted": False, "decision": "other",
        "value": label, "rating": None, "fault": None, "result": [], "row_id": one.row_id,
        "task": one.task, "control": one.control, "given": one.given, "suggested": one.suggested,
        "content": one.content, "input": one.input, "version": one.version,
    }  # fmt: skip


def labels(store, truth):
    rows = [r for r in store.rows("main").to_pylist() if r["split"] == "train"]
    return sum(truth[r["text"]] != r["label"] for r in rows)


def test_weights_settle_what_a_majority_leaves_open_and_make_nothing_wrong(reviewed, curator):
    made, store, truth = reviewed
    before = labels(store, truth)
    call = ("annotate", "decide", "--json")
    plain = curator(made.folder, *call, "--consensus", "majority", "--branch", "plain").json()
    done = curator(made.folder, *call, "--merge").json()

    assert ("majority", "crowdlab") == (plain["consensus"], done["consensus"])
    assert 20 == before
    assert plain["verdicts"]["open"] == 15  # ann against eve
    assert done["verdicts"].get("open", 0) < 5
    assert labels(store, truth) <= 2


def test_status_tells_agreement_quality_and_who_is_to_be_asked_again(reviewed, curator):
    made, _, _ = reviewed
    call = ("annotate", "status", "--consensus", "auto")
    told = curator(made.folder, *call, "--opinions", "again.jsonl", "--json").json()

    people = {p["name"]: p for p in told["people"]}
    assert people["ann"]["quality"] > people["eve"]["quality"]
    assert people["ann"]["with_others"]["share"] > people["eve"]["with_others"]["share"]
    assert {("ann", "bob"), ("ann", "eve"), ("bob", "eve")} == {
        tuple(p["people"]) for p in told["agreement"]["pairs"]
    }
    careful = next(p for p in told["agreement"]["pairs"] if p["people"] == ["ann", "bob"])
    assert 1.0 == careful["value"]
    assert told["agreement"]["alpha"]["low"] < told["agreement"]["alpha"]["value"] < 0.9
    assert told["agreement"]["fleiss"] is None  # rows have two or three answers
    assert told["repairs"][1] <= 20 <= told["repairs"][2]
    assert told["hours"] < 1.05  # an hour on one page is not an hour's work
    again = [json.loads(line) for line in (made.folder / "again.jsonl").read_text().splitlines()]
    assert told["wanted"] == len(again) > 0
    said = curator(made.folder, *call).out
    assert "Krippendorff's alpha" in said
    assert "rows want one more opinion" in said


def test_points_gained_are_told_by_the_hour_once_the_change_was_measured(corpus, curator):
    made, store, _ = review(corpus(classes=24, train=8, test=8, plants=False), curator, 24)
    start = store.head().id
    curator(made.folder, "annotate", "decide", "--merge", "--json")
    span = f"{start[:12]}..main"
    early = curator(made.folder, "annotate", "status", "--measured", span)
    assert 1 == early.code
    assert "was not measured yet: `curator measure" in early.err
    measured = curator(made.folder, "--quiet", "measure", start, "main", "--json").json()
    (gain,) = curator(made.folder, "annotate", "status", "--measured", span, "--json").json()[
        "brought"
    ]

    assert 100 * measured["effect"] == pytest.approx(gain["effect"])
    assert gain["low"] <= gain["effect"] <= gain["high"]
    assert "points an hour" in curator(made.folder, "annotate", "status", "--measured", span).out
    assert "is no span" in curator(made.folder, "annotate", "status", "--measured", "main").err


def test_a_change_that_cannot_be_measured_has_no_points_an_hour(reviewed, curator):
    made, store, _ = reviewed
    start = store.head().id
    curator(made.folder, "annotate", "decide", "--merge", "--json")
    found = curator(made.folder, "--quiet", "measure", start, "main", "--json").json()
    said = curator(made.folder, "annotate", "status", "--measured", f"{start[:12]}..main")

    assert "not_measurable" == found["verdict"]
    assert 1 == said.code
    assert "was measured, but no effect could be told" in said.err


def test_crowdlab_that_cannot_be_had_is_refused(reviewed, curator):
    made, store, _ = reviewed
    Log(store, "other")
    for path in made.folder.glob(".curator/records/annotation-key/*"):
        path.unlink()
    log = Log(store, "key")
    state = log.fold()
    row = store.rows("main").slice(0, 1).to_pylist()[0]
    one = Asked(row["id"], "open", row["label"], None, "h", "i", store.head().id, 1.0, 1)
    log.append(state, "sent", rows=[one.as_dict()])
    log.append(state, "pulled", events=[event(one, 1, "ann", "topic01")], seen=[], unseen=[],
               watermark="w")  # fmt: skip
    said = curator(made.folder, "annotate", "decide", "--consensus", "crowdlab")

    assert 1 == said.code
    assert "no row has two answers: take --consensus majority" in said.err


def test_the_report_shows_the_review_to_stakeholders_and_names_nobody(reviewed, curator):
    made, _, _ = reviewed
    said = curator(made.folder, "report", "main", "--out", "report.html")
    assert 0 == said.code, said.err
    page = (made.folder / "report.html").read_text("utf-8")
    twin = json.loads((made.folder / "report.json").read_text("utf-8"))

    assert "What people found" in page
    assert "Krippendorff" in page
    assert not {"ann", "bob", "eve"} & set(page.replace("<", " ").replace(">", " ").split())
    (review,) = twin["reviews"]
    assert (60, 60, 0) == tuple(review[n] for n in ("tasks", "answered", "left"))
    assert ["A", "B", "C"] == [one["name"] for one in review["people"]]
