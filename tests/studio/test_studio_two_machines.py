"""Two machines with stores of their own, one project: no row is asked twice, no answer is lost."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import connectors
from curator.annotate import state_of
from curator.annotating_push import Task, reconcile, send, sweep_doubles
from curator.annotating_site import site_of

pytestmark = pytest.mark.studio


def test_what_two_machines_doubled_is_undone_and_answers_stay(desk, desk_of, people, server):
    desk.push(4)
    folder = Path(shutil.copytree(desk.folder, desk.folder.parent / "other"))
    other, *_ = desk_of(folder, desk.project)
    token = server.tokens["admin@example.test"]
    labels = [f"topic{n:02}" for n in range(4)]
    with connectors.Studio(server.url, token) as studio:
        site = site_of(desk.store, studio, studio.project(desk.number))
        there, told = reconcile(site, labels=labels)
        assert 6 == other.push(10)["tasks"]["created"]  # while this machine is about to send
        pages = {t["id"]: t["data"] for t in desk.tasks()}
        theirs = state_of(other.store, desk.project).asked
        mine = [Task(replace(a, task=None), pages[a.task])
                for row, a in theirs.items() if row not in there]  # fmt: skip
        send(site, mine, told, model_version="m", batch=250)
        assert 16 == len(desk.tasks())
        answered = max(t["id"] for t in desk.tasks())
        people["alice"].answer(answered, "keep")
        sweep_doubles(site, there, told, labels=labels)

    found = desk.tasks()
    assert {1} == set(Counter(t["meta"]["row_id"] for t in found).values())
    assert 10 == len(found)
    assert answered in {t["id"] for t in found}  # the younger one, as a person has begun with it
    assert 6 == told.deleted
    for one in (other, desk):
        assert {"created": 1} == one.pull()["new"]
        assert 0 == one.push(10)["tasks"]["created"]
    assert 10 == len(desk.tasks())


def test_a_push_that_was_cut_short_is_waited_for_and_that_is_said(desk, server):
    desk.push(2)
    with connectors.Studio(server.url, server.tokens["admin@example.test"]) as studio:
        site = site_of(desk.store, studio, studio.project(desk.number))
        (one, *_) = site.state.asked.values()
        unsent = [replace(one, row_id=f"r{n}", task=None) for n in range(4)]
        site.keep("sending", rows=[asked.as_dict() for asked in unsent])  # then the power went
    said = desk("annotate", "push", "--budget", 6, "--project", desk.project, "--settle", 25)

    assert "the last push was cut short, and the server may still make 4 of its tasks" in said.err
    assert "s more at most" in said.err
    assert "for a push that was cut short" in said.out
    assert 6 == len(desk.tasks())
