"""Each task through a real Label Studio: rows out, people's answers back, a version merged."""

import json

import pytest

pytestmark = pytest.mark.studio

RECIPE = """\
name: {task}
task: {task}
language: en
sources:
  - {{from: "file:train.jsonl", split: train}}
  - {{from: "file:test.jsonl", split: test}}
steps: [clean]
measure: false
"""
WORDS = ("river", "stone", "cloud", "amber", "tiger", "maple", "ocean", "piano", "lemon", "storm",
         "candle", "saddle")  # fmt: skip


def message(role, content):
    return {"role": role, "content": content}


@pytest.fixture
def corpus(tmp_path, desk_of, curator, request):
    """Run a recipe over rows of a task: `corpus(task, rows)` -> (desk, people)."""

    def make(task, rows, recipe=RECIPE):
        folder = tmp_path / task
        folder.mkdir()
        for name, some in (("train", rows[:-2]), ("test", rows[-2:])):
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in some)
            (folder / f"{name}.jsonl").write_text(lines, "utf-8")
        (folder / "recipe.yaml").write_text(recipe.format(task=task), "utf-8")
        said = curator(folder, "--quiet", "run", "recipe.yaml")
        assert 0 == said.code, said.err
        desk, people, _ = desk_of(folder, request.node.name[-50:])
        return desk, people

    return make


def chosen(control, *keys):
    return {"from_name": control, "to_name": "text", "type": "choices",
            "value": {"choices": list(keys)}}  # fmt: skip


def say(person, task, *result, lead_time=5.0):
    body = {"result": list(result), "lead_time": lead_time}
    return person.ask("POST", f"/api/tasks/{task}/annotations/", json=body)


def events_of(desk):
    from curator.annotate import state_of

    return state_of(desk.store, desk.project).events


def comes_back_whole(desk, budget, *more):
    """Lose the log: the same tasks and the same events come back."""
    before, tasks = sorted(events_of(desk), key=lambda e: e["id"]), [t["id"] for t in desk.tasks()]
    desk.forget()
    assert 0 == desk.push(budget, *more)["tasks"]["created"]
    desk.pull()
    assert tasks == [t["id"] for t in desk.tasks()]
    assert before == sorted(events_of(desk), key=lambda e: e["id"])


def merged(desk, changes):
    """Decide and merge; a second time nothing is left to do. Gives the rows of main by id."""
    done = desk.decide("--merge")
    assert [] == done["conflicts"]
    assert changes == done["changes"]
    assert done["merged"]
    again = desk.decide()
    assert (None, []) == (again["version"], again["conflicts"])
    return {row["id"]: row for row in desk.store.rows("main").to_pylist()}


def test_sets_of_labels_are_voted_label_by_label(corpus):
    rows = [{"text": f"the {word} costs a fee and the card is late", "labels": ["fees"]}
            for word in WORDS]  # fmt: skip
    rows[1]["labels"] = ["app"]
    desk, people = corpus("multilabel", rows)
    where = ("--where", "text LIKE 'the %'")
    done = desk.push(6, *where, "--overlap", 2)
    assert 6 == done["tasks"]["created"]
    assert "no check could be asked" in " ".join(done["notes"])  # the texts are all alike
    assert all("fees" in t["data"]["given"] or "app" == t["data"]["given"] for t in desk.tasks())
    alice, bob = people["alice"], people["bob"]
    one, two, three, four, five, six = (t["id"] for t in desk.tasks())
    both = (chosen("decision", "other"), chosen("label", "fees", "app"))
    for who in (alice, bob):
        say(who, one, *both)
        say(who, two, chosen("decision", "none"))
        say(who, three, chosen("decision", "drop"))
    say(alice, four, *both)
    say(bob, four, chosen("decision", "other"), chosen("label", "fees"))  # app: one of two
    say(alice, five, chosen("decision", "other"), chosen("label", "no such"))
    say(alice, six, chosen("decision", "suggested"))
    pulled = desk.pull()

    assert {"created": 8, "invalid": 2} == pulled["new"]
    assert "no such" in " ".join(pulled["notes"])
    comes_back_whole(desk, 6, *where, "--overlap", 2)
    place = {a.task: row for row, a in asked_by(desk).items()}
    now = merged(desk, {"drop": 1, "relabel": 2})
    assert ["app", "fees"] == now[place[one]]["labels"]
    assert [] == now[place[two]]["labels"]
    assert place[three] not in now
    assert "alice@example.test, bob@example.test" in desk("why", place[one]).out


def asked_by(desk):
    from curator.annotate import state_of

    return state_of(desk.store, desk.project).asked


def spans_result(text, *marks):
    """Mark words as the page does: offsets in code points, and the words themselves."""
    return [
        {"from_name": "label", "to_name": "text", "type": "labels", "id": f"m{n}",
         "value": {"start": text.index(word), "end": text.index(word) + len(word), "text": word,
                   "labels": [label]}}
        for n, (word, label) in enumerate(marks)
    ]  # fmt: skip


def test_spans_come_marked_and_go_back_in_code_points(corpus):
    rows = [
        {"text": f"😀😀 Ann of {word.title()}town met Bob",
         "spans": [{"start": 3, "end": 6, "label": "PER"}]}
        for word in WORDS
    ]  # fmt: skip
    recipe = RECIPE + "examples: full\n"
    desk, people = corpus("tokens", rows, recipe)
    where = ("--where", "text LIKE '%Ann%'")
    desk.push(10, *where, "--overlap", 3)
    tasks = {t["id"]: t["data"]["text"] for t in desk.tasks()}
    marked = {t["id"]: t["predictions"][0]["result"] for t in desk.tasks()}
    blind = {number for number, _ in desk.task_of("blind")}
    assert {3} == {r["value"]["start"] for found in marked.values() for r in found}
    assert blind == {number for number, found in marked.items() if not found}
    one, two, three, four = sorted(tasks.keys() - blind)[:4]
    alice, bob, carol = (people[name] for name in ("alice", "bob", "carol"))
    done = chosen("decision", "marked")

    def mark(who, task, *marks):
        say(who, task, *spans_result(tasks[task], *marks), done)

    town = tasks[one].split()[3]
    for who, marks in ((alice, ("Ann", "Bob", town)), (bob, ("Ann", "Bob")), (carol, ("Ann",))):
        mark(who, one, *((word, "PER") for word in marks))  # two of three mark Bob, one the town
    say(alice, two, done)  # nothing is marked
    other = spans_result(tasks[three], ("Ann", "PER"), ("Bob", "PER"))
    utf16 = len(tasks[three][: tasks[three].index("Bob")].encode("utf-16-le")) // 2
    other[1]["value"] |= {"start": utf16, "end": utf16 + 3}
    say(alice, three, *other, done)  # as a program that counts UTF-16 units would write it
    mark(bob, four, ("Ann of", "PER"), ("of " + tasks[four].split()[3], "PER"))
    pulled = desk.pull()

    assert {"created": 5, "invalid": 1} == pulled["new"]
    assert "cross" in " ".join(pulled["notes"])
    place = {a.task: row for row, a in asked_by(desk).items()}
    now = merged(desk, {"edit": 3})

    def words(task):
        row = now[place[task]]
        return [row["text"][s["start"] : s["end"]] for s in row["spans"]]

    assert ["Ann", "Bob"] == words(one)
    assert [] == words(two)
    assert ["Ann", "Bob"] == words(three)
    assert ["Ann"] == words(four)


def test_answers_are_rated_and_rewritten(corpus):
    rows = [
        {"messages": [message("user", f"Say {word} in French, please."),
                      message("assistant", f"The word for {word} is le {word}e.")]}
        for word in WORDS
    ]  # fmt: skip
    rows[0]["messages"][1]["content"] = "The word for river in French, as they say it there, is the"
    rows[1]["messages"][1]["content"] = "Say stone in French, please."
    desk, people = corpus("instruction", rows)
    done = desk.push(4)
    tasks = {t["data"]["response"]: t["id"] for t in desk.tasks()}
    broken, copied = (rows[n]["messages"][1]["content"] for n in (0, 1))
    assert {broken, copied} <= set(tasks), done  # found by the check of this task
    reasons = {t["id"]: t["data"]["reason"] for t in desk.tasks()}
    assert "truncated_answer" in reasons[tasks[broken]]
    better = "It is la rivière."
    rewrite = {"from_name": "rewrite", "to_name": "text", "type": "textarea",
               "value": {"text": [better]}}  # fmt: skip
    say(people["alice"], tasks[broken], chosen("decision", "rewrite"), chosen("rating", "1"),
        rewrite)  # fmt: skip
    say(people["bob"], tasks[copied], chosen("decision", "drop"), chosen("rating", "2"))
    pulled = desk.pull()

    assert {"created": 2} == pulled["new"]
    assert {1, 2} == {e["rating"] for e in events_of(desk)}
    comes_back_whole(desk, 4)
    place = {a.task: row for row, a in asked_by(desk).items()}
    now = merged(desk, {"drop": 1, "edit": 1})
    rated = [f for f in desk.store.findings("reviews").to_pylist()
             if f["issue_type"] == "review_rating"]  # fmt: skip
    assert [(place[tasks[broken]], 1.0), (place[tasks[copied]], 2.0)] == sorted(
        ((f["row_id"], f["score"]) for f in rated), key=lambda pair: pair[1]
    )
    assert better == now[place[tasks[broken]]]["messages"][-1]["content"]
    assert place[tasks[copied]] not in now


def test_a_rewrite_of_a_dialogue_that_changed_meanwhile_is_held(corpus):
    rows = [
        {"messages": [message("user", f"Name a {word}."), message("assistant", f"A {word}.")]}
        for word in WORDS
    ]
    desk, people = corpus("instruction", rows)
    desk.push(3, "--where", "split = 'train'")
    (task, asked), *_ = desk.task_of()
    rewrite = {"from_name": "rewrite", "to_name": "text", "type": "textarea",
               "value": {"text": ["Another one."]}}  # fmt: skip
    say(people["alice"], task, chosen("decision", "rewrite"), chosen("rating", "3"), rewrite)
    desk.pull()
    desk("edits", "export", f"id = '{asked.row_id}'", "--to", "csv", "--out", "one.csv")
    sheet = desk.folder / "one.csv"
    sheet.write_text(sheet.read_text("utf-8").replace("Name a", "Do name a"), "utf-8")
    desk("edits", "apply", "one.csv", "--by", "eve", "--reason", "politer")
    done = desk.decide(code=1)

    assert [asked.row_id] == [c["row_id"] for c in done["conflicts"]]
    assert done["version"] is None


def test_preferences_are_judged_blind_and_turned_round(corpus):
    rows = [
        {"prompt": f"Name the {word}.", "chosen": f"It is the {word}, as you see.",
         "rejected": f"I do not know any {word} at all."}
        for word in WORDS
    ]  # fmt: skip
    desk, people = corpus("preference", rows)
    where = ("--where", "split = 'train'")
    desk.push(8, *where)
    pages = {t["id"]: t["data"] for t in desk.tasks()}
    assert {"row_id", "text", "a", "b", "priority"} == set(next(iter(pages.values())))
    assert {True, False} == {page["a"].startswith("It is") for page in pages.values()}
    one, two, three, four, five = sorted(pages)[:5]

    def key(task, start, much=""):
        side = "a" if pages[task]["a"].startswith(start) else "b"
        return chosen("decision", side + much)

    alice = people["alice"]
    say(alice, one, key(one, "I do", "_much"))  # the other one is better
    say(alice, two, key(two, "It is"))
    say(alice, three, chosen("decision", "same"))
    say(alice, four, chosen("decision", "bad"))
    say(alice, five, chosen("decision", "c"))

    assert {"created": 4, "invalid": 1} == desk.pull()["new"]
    comes_back_whole(desk, 8, *where)
    place = {a.task: row for row, a in asked_by(desk).items()}
    now = merged(desk, {"drop": 1, "edit": 1})
    assert now[place[one]]["chosen"][0]["content"].startswith("I do")
    assert now[place[one]]["rejected"][0]["content"].startswith("It is")
    assert now[place[two]]["chosen"][0]["content"].startswith("It is")
    assert place[four] not in now
    told = desk("annotate", "status", "--json").json()
    assert (2, 3) == (told["wrong"]["count"], told["wrong"]["of"])


def test_a_corpus_of_plain_text_has_nothing_to_settle(corpus):
    desk, _ = corpus("corpus", [{"text": f"Chapter of the {word}."} for word in WORDS])

    assert "has nothing that annotators could settle" in desk.push(3, code=1).err


def test_rows_whose_personal_data_is_masked_are_not_marked_and_that_is_said(corpus):
    rows = [{"text": f"Write to ann@{word}.example.com today", "spans": []} for word in WORDS]
    desk, _ = corpus("tokens", rows)
    said = desk.push(3, "--where", "split = 'train'", code=1)

    assert "10 doubted rows hold personal data that `examples: masked` hides" in said.err
