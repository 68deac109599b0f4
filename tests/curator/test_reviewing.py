"""A run never drops what people did: it is the last step, and what does not apply is told."""

import csv
import json

import pyarrow as pa
import pytest

from curator import schema
from curator.comparing import root_of
from curator.errors import StoreError
from curator.plan import plan
from curator.putting import REVIEWS
from curator.recipe import load
from curator.running import run
from curator.versions import StepRecord, merge, open_store
from curator.versions.changes import compare
from curator.versions.differences import operations
from curator.versions.verify import verify

TINY = """\
name: tiny
sources:
  - {from: "file:train.csv", split: train, id: [ticket]}
  - {from: "file:test.csv", split: test, id: [ticket]}
steps:
  - clean
  - duplicates
measure: false
"""
MARKUP, TWIN = "T0038", "T0001"
"""The key of the planted text with markup, and of the text with a planted near-duplicate."""


class Team:
    """A corpus whose recipe ran, and people who work on its versions."""

    def __init__(self, corpus):
        self.corpus = corpus
        self.result = self.run()

    @property
    def store(self):
        return open_store(self.corpus.folder / ".curator", create=True, author="kim")

    def run(self, **more):
        self.result = run(load(self.corpus.recipe), self.store, **more)
        return self.result

    def id_of(self, ticket):
        root = self.store.rows(root_of(self.store, self.store.head()))
        return next(r["id"] for r in root.to_pylist() if r["ticket"] == ticket)

    def row(self, ticket, ref="main"):
        return self.store.find(ref, [self.id_of(ticket)]).get(self.id_of(ticket))

    def decide(self, cells, *, branch="main", by="ann", drop=()):
        """Change cells as a person does: decide({"T0007": {"label": "topic02"}})."""
        store = self.store
        if branch not in store.branches():
            store.branch(branch, "main")
        head = store.head(branch)
        before = store.rows(head)
        records = [
            {**row, **cells.get(row["ticket"], {})}
            for row in before.to_pylist()
            if row["ticket"] not in drop
        ]
        after = pa.Table.from_pylist(records, schema=before.schema)
        decided = [
            {"row_id": i, "action": a, "step": "edits", "reason": "read it", "by": by,
             "before": was, "after": now}
            for i, a, was, now in operations(before, after, compare(before, after))
        ]  # fmt: skip
        return store.commit(
            branch, after, parents=(head,), task=head.task, step=StepRecord("edits", {}, 1),
            decisions=schema.decisions(decided), findings=schema.findings([]),
            transforms=head.transforms,
        )  # fmt: skip

    def steps(self):
        store, version = self.store, self.store.head()
        names = [version.step.name]
        while version.parents:
            version = store.version(version.parents[0])
            names.append(version.step.name)
        return names[::-1]

    def lost(self):
        return [(r["row_id"], r["column"], r["by"]) for r in self.result.ended.lost.to_pylist()]


@pytest.fixture
def team(corpus):
    return Team(corpus(keyed=True).say(TINY))


def test_commits_of_people_on_main_stay_where_they_are_when_nothing_else_changed(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="side")
    merged = merge(team.store, "side")
    edited = team.decide({"T0010": {"weight": 0.5}})
    before = len(team.store.entries())
    result = team.run()

    assert edited == team.store.head() == result.head
    assert merged.id == edited.parents[0]
    assert before == len(team.store.entries())
    assert 2 == result.ended.people
    assert ["import", "clean", "duplicates", "merge", "edits"] == team.steps()


def test_commits_of_people_on_main_are_put_onto_the_chain_of_a_changed_recipe(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="side")
    merge(team.store, "side")
    edited = team.decide({"T0010": {"weight": 0.5}})
    team.corpus.swap("  - duplicates\n", "")
    result = team.run()

    assert ["import", "clean", "reviews"] == team.steps()
    assert ("topic02", 0.5) == (team.row("T0007")["label"], team.row("T0010")["weight"])
    assert team.row(TWIN) is not None, "the step that dropped it is no longer in the recipe"
    assert edited.id in {v.id for v in team.store.ancestry("main")}
    assert [
        ("relabel", "ann", "merged from side: read it"),
        ("weight", "ann", "read it"),
    ] == sorted(
        (d["action"], d["by"], d["reason"]) for d in team.store.decisions("main").to_pylist()
    )
    assert [] == team.lost()
    assert result.head == team.store.head() == team.run().head
    assert () == verify(team.store).faults


def test_the_way_to_a_version_is_not_in_its_id(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    first = team.run().head
    recipe = team.corpus.recipe.read_text("utf-8")
    team.corpus.swap("  - duplicates\n", "")
    other = team.run().head
    team.corpus.say(recipe)

    assert first != other
    assert first == team.run().head


def test_decisions_on_the_branch_reviews_are_the_last_step_of_the_next_run(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    result = team.run()
    made = team.store.decisions("main").to_pylist()

    assert ["import", "clean", "duplicates", "reviews"] == team.steps()
    assert [("relabel", "ann", "read it", "reviews")] == [
        (d["action"], d["by"], d["reason"], d["step"]) for d in made
    ]
    assert team.store.head("reviews").id == result.head.parents[1]
    assert "reviews" == result.steps[-1].name
    assert result.head == merge(team.store, "reviews"), "nothing is left to merge"
    assert result.head == team.run().head
    team.decide({"T0010": {"label": "topic01"}}, branch="reviews")
    assert 2 == team.run().ended.people
    assert ["import", "clean", "duplicates", "reviews"] == team.steps()


def test_only_what_people_decided_comes_from_reviews_not_what_machines_did_there(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    team.decide({"T0009": {"label": "topic02"}}, branch="reviews", by="rule")
    team.run()

    assert ("topic02", "topic00") == (team.row("T0007")["label"], team.row("T0009")["label"])


def test_a_decision_whose_row_reads_otherwise_is_a_conflict_and_stays_in_its_history(team):
    team.decide({MARKUP: {"text": "said otherwise"}, "T0010": {"weight": 0.5}}, branch="reviews")
    team.run()
    team.corpus.swap("  - clean\n", "")
    team.run()
    row = team.id_of(MARKUP)

    assert [(row, "text", "ann")] == team.lost()
    assert "<b>" in team.row(MARKUP)["text"]
    assert 0.5 == team.row("T0010")["weight"]
    assert any("1 decisions of people do not apply" in n for n in team.result.steps[-1].notes)
    assert [("keep", "ann", "does not apply any more (text): read it")] == [
        (d["action"], d["by"], d["reason"])
        for d in team.store.decisions("main").to_pylist()
        if d["row_id"] == row
    ]
    told = team.result.as_dict()["reviews"]["conflicts"][0]
    assert "said otherwise" == json.loads(told["decided"])["text"]


def test_a_lost_decision_comes_back_with_the_rows_it_was_about(team):
    recipe = team.corpus.recipe.read_text("utf-8")
    team.decide({MARKUP: {"text": "said otherwise"}}, branch="reviews")
    team.run()
    team.corpus.swap("  - clean\n", "")
    team.run()
    team.corpus.say(recipe)
    team.run()

    assert "said otherwise" == team.row(MARKUP)["text"]


def test_a_row_that_the_recipe_drops_now_is_a_conflict(team):
    team.corpus.swap("  - duplicates\n", "")
    team.run()
    team.decide({TWIN: {"label": "topic02"}}, branch="reviews")
    team.corpus.swap("  - clean\n", "  - clean\n  - duplicates\n")
    team.run()

    assert [(team.id_of(TWIN), "(row)", "ann")] == team.lost()
    assert team.row(TWIN) is None


def test_people_go_before_machines_where_both_speak_of_one_label(team, monkeypatch):
    person = team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    machine = team.decide({"T0007": {"label": "topic00"}}, by="rule")
    monkeypatch.setattr("curator.reviewing.is_of_recipe", lambda v: v.id != person.id)
    from curator.reviewing import end_run

    ended = end_run(team.store, "main", machine)

    assert "topic02" == team.row("T0007")["label"]
    assert 0 == ended.lost.num_rows


def test_a_label_that_the_source_changed_since_is_not_overruled(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    team.corpus.train[7]["label"] = "topic00"
    team.corpus.write()
    team.run()

    assert [(team.id_of("T0007"), "label", "ann")] == team.lost()
    assert "topic00" == team.row("T0007")["label"]


def test_a_new_delivery_keeps_what_people_did(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    merge(team.store, "reviews")
    new = {
        "ticket": "T9999",
        "text": "a wholly new text of the second delivery",
        "label": "topic01",
    }
    team.corpus.train.append(new)
    team.corpus.write()
    team.run()

    assert "topic02" == team.row("T0007")["label"]
    assert team.row("T9999") is not None
    assert ["import", "clean", "duplicates", "reviews"] == team.steps()


def test_main_keeps_what_people_did_while_a_run_is_at_work_and_if_it_is_killed(team, monkeypatch):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    merged = merge(team.store, "reviews")
    team.corpus.swap("  - clean\n", "")

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("curator.running.end_run", killed)
    with pytest.raises(KeyboardInterrupt):
        team.run()
    assert merged == team.store.head()
    monkeypatch.undo()
    assert "done before" not in team.steps()
    result = team.run()
    assert all(step.cached for step in result.steps[1:-1])
    assert "topic02" == team.row("T0007")["label"]
    assert all(entry.created for entry in team.store.log()), "every version has its date"


def test_a_commit_of_another_while_the_last_step_is_made_is_kept(team, monkeypatch):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    from curator import reviewing

    true, calls = reviewing.Putting.decisions, []

    def slowly(self):
        if not calls:
            calls.append(team.decide({"T0010": {"weight": 0.5}}, by="bob"))
        return true(self)

    monkeypatch.setattr(reviewing.Putting, "decisions", slowly)
    team.run()

    assert ("topic02", 0.5) == (team.row("T0007")["label"], team.row("T0010")["weight"])
    assert calls[0].id in {v.id for v in team.store.ancestry("main")}


def test_a_step_that_was_reverted_is_not_put_back_by_a_run_unless_asked(team):
    from curator.reverting import revert

    done = revert(team.store, "clean")
    with pytest.raises(
        StoreError, match=r"'clean' was taken out of main by `revert` \(kim, .*--put"
    ):
        team.run()
    assert done.version == team.store.head()
    assert all(entry.created for entry in team.store.log()), "every version has its date"
    recipe = team.corpus.recipe.read_text("utf-8")
    team.corpus.swap("  - clean\n", "")
    assert done.version == team.run().head
    team.corpus.say(recipe)
    team.run(put_back=["clean"])
    assert ["import", "clean", "duplicates"] == team.steps()
    assert team.store.head() == team.run().head


def test_a_reverted_decision_of_people_does_not_come_back_from_reviews(team):
    from curator.reverting import revert

    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    team.run()
    revert(team.store, "reviews")
    team.decide({"T0010": {"label": "topic02"}}, branch="reviews")
    team.run()

    assert ("topic01", "topic02") == (team.row("T0007")["label"], team.row("T0010")["label"])


def test_a_step_to_put_back_that_the_recipe_has_not_is_told(team, curator):
    said = curator(team.corpus.folder, "run", "recipe.yaml", "--put-back", "claen")

    assert 1 == said.code
    assert "--put-back: the recipe has no step 'claen'" in said.err
    assert "did you mean 'clean'" in said.err.lower()


def test_the_command_line_says_what_people_did_and_what_does_not_apply(team, curator):
    team.decide({MARKUP: {"text": "said otherwise"}}, branch="reviews")
    team.run()
    team.corpus.swap("  - clean\n", "")
    said = curator(team.corpus.folder, "run", "recipe.yaml")

    assert "1 change of people on top of the recipe" in said.err
    chain, head = team.store.version("main~1").short, team.store.head().short
    assert f"curator rows {chain}..{head} --action keep" in said.err
    listed = curator(team.corpus.folder, "rows", f"{chain}..{head}", "--action", "keep", "--json")
    assert [team.id_of(MARKUP)] == [row["id"] for row in listed.json()]


def test_a_run_of_one_step_leaves_reviews_alone(team):
    team.decide({"T0007": {"label": "topic02"}}, branch="reviews")
    result = team.run(only="clean")

    assert "clean" == result.head.step.name == team.store.head("only-clean").step.name


def test_edits_of_a_spreadsheet_come_into_main_by_the_next_run(team, curator):
    folder = team.corpus.folder
    curator(folder, "edits", "export", "main", "--to", "csv", "--out", "a.csv")
    with (folder / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["label"] = "topic02" if rows[0]["label"] != "topic02" else "topic01"
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    said = curator(folder, "edits", "apply", "a.csv", "--by", "bo", "--reason", "r")

    assert "so does the next `curator run`" in said.out
    assert 0 == curator(folder, "run", "recipe.yaml").code
    assert rows[0]["label"] == team.store.find("main", [rows[0]["id"]])[rows[0]["id"]]["label"]
    assert 0 == curator(folder, "rebuild", "main").code


def test_a_plan_says_which_changes_of_people_would_be_put_on(team):
    plain = plan(load(team.corpus.recipe), team.store, cache=team.store.cache)["notes"]
    main = team.decide({"T0007": {"label": "topic02"}})
    review = team.decide({"T0008": {"label": "topic02"}}, branch=REVIEWS)
    notes = plan(load(team.corpus.recipe), team.store, cache=team.store.cache)["notes"]

    (note,) = [note for note in notes if note not in plain]
    assert note.startswith("2 changes of people would be put on as the last step")
    assert note.endswith(f": edits {main.short} by kim, edits {review.short} by kim")


def test_the_step_of_people_is_done_when_its_version_was_there(team):
    team.decide({"T0008": {"label": "topic02"}}, branch=REVIEWS)

    assert [False, True] == [team.run().steps[-1].cached for _ in range(2)]
