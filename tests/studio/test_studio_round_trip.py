"""Rows to a real Label Studio and back: each task and each event once, whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.studio


def events_of(desk):
    from curator.annotate import state_of

    return state_of(desk.store, desk.project).events


def test_a_push_makes_each_task_once_most_worth_first_with_its_controls(desk):
    done = desk.push(20)

    assert 20 == done["tasks"]["created"]
    assert {"blind": 2, "open": 17} == {k: done["planned"][k] for k in ("blind", "open")}
    assert 1 == sum(done["planned"].get(k, 0) for k in ("known", "swapped"))
    tasks = desk.tasks()
    assert 20 == len({task["meta"]["row_id"] for task in tasks})
    worth = [task["data"]["priority"] for task in tasks]
    assert sorted(worth, reverse=True) == worth
    assert [1] * 20 == [task["total_predictions"] for task in tasks]
    again = desk.push(20)
    assert (0, 20, 0) == tuple(again["tasks"][k] for k in ("created", "unchanged", "requests"))
    assert 25 == 20 + desk.push(25)["tasks"]["created"]
    assert 25 == len(desk.tasks())


def test_a_blind_task_gives_its_suggestion_away_nowhere(desk):
    desk.push(20)

    for number, asked in desk.task_of("blind"):
        (task,) = (t for t in desk.tasks() if t["id"] == number)
        assert asked.suggested is not None
        shown = str(task["data"]) + str(task["meta"])
        assert asked.suggested not in shown.replace(task["data"]["text"], "")


def test_the_planted_wrong_labels_come_first_and_reviews_repair_them(desk, people, true_label):
    desk.push(20)
    rows = {row["id"]: row for row in desk.store.rows("main").to_pylist()}
    wrong = {i: r for i, r in rows.items() if true_label(r["text"]) != r["label"]}
    shown = {t["meta"]["row_id"] for t in desk.tasks()}

    assert 8 == len(wrong)
    assert wrong.keys() <= shown
    for number, asked in (*desk.task_of("open"), *desk.task_of("blind")):
        truth = true_label(rows[asked.row_id]["text"])
        if truth == asked.given:
            people["alice"].answer(number, "keep")
        elif truth == asked.suggested and asked.control == "open":
            people["alice"].answer(number, "suggested")
        else:
            people["alice"].answer(number, "other", truth)
    assert {"created": 19} == desk.pull()["new"]
    done = desk.decide("--merge")

    assert {"relabel": 8} == done["changes"]
    now = {row["id"]: row["label"] for row in desk.store.rows("main").to_pylist()}
    assert all(true_label(rows[i]["text"]) == now[i] for i in wrong)
    assert "alice@example.test" in desk("why", next(iter(wrong))).out
    assert 0 == desk("rebuild", "main").code
    assert desk.decide()["version"] is None
    measured = desk("measure", "main~1", "main", "--json")  # as the document has it: no --recipe
    assert "the spec is that of the run that made" in measured.err
    assert {"effect", "low", "high"} <= measured.json().keys()


def test_every_kind_of_event_is_told_once_and_an_idle_pull_tells_nothing(desk, people):
    desk.push(20)
    numbers = [number for number, _ in desk.task_of("open")]
    alice, bob = people["alice"], people["bob"]
    first = alice.answer(numbers[0], "keep", lead_time=7.5)
    bob.answer(numbers[0], "suggested")
    second = alice.answer(numbers[1], "suggested")
    alice.skip(numbers[2])
    alice.ask("POST", f"/api/tasks/{numbers[3]}/annotations/", json={"result": []})
    alice.answer(numbers[4], "other", "no such label")
    done = desk.pull()

    assert {"created": 3, "skipped": 1, "empty": 1, "invalid": 1} == done["new"]
    assert "no such label" in " ".join(done["notes"])
    assert {} == desk.pull()["new"]
    time.sleep(1.1)
    alice.edit(first["id"], "drop")
    alice.ask("DELETE", f"/api/annotations/{second['id']}/")
    assert {"edited": 1, "retracted": 1} == desk.pull()["new"]
    desk.admin.ask("DELETE", f"/api/tasks/{numbers[5]}/")
    assert {} == desk.pull()["new"]
    assert {"task_deleted": 1} == desk.pull("--sweep")["new"]
    assert {} == desk.pull("--sweep")["new"]
    (kept,) = (e for e in events_of(desk) if e["kind"] == "edited")
    assert ("alice@example.test", 7.5, "drop", "open") == tuple(
        kept[k] for k in ("annotator", "lead_time", "decision", "control")
    )
    assert 20 == desk.push(20)["tasks"]["unchanged"] + 1  # the deleted one is not made again
    assert 19 == len(desk.tasks())


def test_with_the_log_lost_exactly_the_same_tasks_and_events_come_back(desk, people):
    desk.push(20)
    for number, _ in desk.task_of("open")[:4]:
        people["alice"].answer(number, "suggested")
    for number, _ in (*desk.task_of("blind"), *desk.task_of("known"), *desk.task_of("swapped")):
        people["bob"].answer(number, "keep")
    desk.pull()
    before = sorted(events_of(desk), key=lambda e: e["id"])
    kinds = Counter(kind for kind in ("open", "blind", "known", "swapped")
                    for _ in desk.task_of(kind))  # fmt: skip
    desk.forget()
    pushed = desk.push(20)

    assert (0, 20) == (pushed["tasks"]["created"], pushed["tasks"]["adopted"])
    assert 20 == len(desk.tasks())
    desk.pull()
    assert before == sorted(events_of(desk), key=lambda e: e["id"])
    assert kinds == Counter(k for k in kinds for _ in desk.task_of(k))
    desk.forget()
    desk.pull()
    assert before == sorted(events_of(desk), key=lambda e: e["id"])


@pytest.mark.parametrize("after", [1, 6])
def test_a_push_that_was_killed_goes_on_where_it_stood(desk, after):
    curator = Path(sys.executable).with_name("curator")
    command = [curator, "--quiet", "annotate", "push", "--budget", "12",
               "--project", desk.project, "--batch", "2"]  # fmt: skip
    running = subprocess.Popen(command, cwd=desk.folder, stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, env=os.environ.copy())  # fmt: skip
    log = desk.folder / ".curator/records"
    until = time.monotonic() + 60
    while len(list(log.glob("annotation-*/*"))) <= after + 1 and running.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == running.wait(), "it was done before it could be killed"
    desk.push(12)

    found = Counter(task["meta"]["row_id"] for task in desk.tasks())
    assert 12 == len(found)
    assert {1} == set(found.values())
    assert 0 == desk.push(12)["tasks"]["created"]


def test_of_two_pushes_at_once_one_is_told_to_wait(desk):
    from curator.annotating_push import one_pusher
    from curator.schema import hash_fields

    key = hash_fields(os.environ["LABEL_STUDIO_URL"], desk.project)
    with one_pusher(desk.store.cache, key):
        said = desk.push(20, code=1)

    assert "another push to this project is at work" in said.err
    assert 20 == desk.push(20)["tasks"]["created"]


HOLD = """
import pathlib, sqlite3, sys, time
records, base, before = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
while len(list(records.glob("annotation-*/*"))) <= before:
    time.sleep(.001)
held = sqlite3.connect(base, isolation_level=None, timeout=30)
held.execute("BEGIN IMMEDIATE")
time.sleep(7)
held.execute("COMMIT")
"""
"""Locks the server's database for a moment, from when a push has written its intent down."""


def test_predictions_that_a_locked_server_loses_are_given_back(desk, server):
    desk.push(4)
    records = desk.folder / ".curator/records"
    before = len(list(records.glob("annotation-*/*")))
    base = server.data / "label_studio.sqlite3"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, records, base, str(before)])
    done = desk.push(20)
    holder.wait()

    assert (16, 16) == (done["tasks"]["created"], done["tasks"]["repaired"]), (
        "the server no longer loses predictions: is the repair still needed?"
    )
    assert [1] * 20 == [t["total_predictions"] for t in desk.tasks()]
    assert 20 == len({t["meta"]["row_id"] for t in desk.tasks()})


def test_predictions_that_went_missing_later_are_found_by_the_next_push(desk):
    desk.push(6)
    for task in desk.tasks()[:2]:
        for number in [p["id"] for p in task["predictions"]]:
            desk.admin.ask("DELETE", f"/api/predictions/{number}/")

    assert 2 == desk.push(6)["tasks"]["repaired"]
    assert [1] * 6 == [t["total_predictions"] for t in desk.tasks()]
