"""What goes wrong between a desk and a server: said clearly, with nothing lost or doubled."""

import http.server
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.studio


def each_once(desk, count):
    found = Counter(task["meta"]["row_id"] for task in desk.tasks() if "row_id" in task["meta"])
    return count == len(found) and {1} == set(found.values())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:9", "no server answers there"),
        ("127.0.0.1:8080", "is no address of a Label Studio server"),
        ("http://user:pass@127.0.0.1", "without a user or a token"),
        ("http://studio.example", "may not leave this machine for 'studio.example'"),
    ],
)
def test_a_wrong_address_is_told_before_anything_is_sent(desk, url, told):
    said = desk.push(10, "--url", url, code=1)

    assert told in said.err


def test_a_path_that_is_not_label_studio_is_told(desk, server):
    said = desk.push(10, "--url", f"{server.url}/nowhere", code=1)

    assert "there is none" in said.err


@pytest.mark.parametrize(
    ("token", "told"),
    [("", "no token in the environment variable LABEL_STUDIO_API_KEY"), ("x" * 40, "not taken")],
)
def test_a_wrong_token_is_told_and_not_printed(desk, monkeypatch, token, told):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
    said = desk.push(10, code=1)

    assert told in said.err
    assert not token or token not in said.err + said.out


def test_a_personal_token_works_until_it_is_withdrawn(desk, people, monkeypatch):
    carol = people["carol"]
    token = carol.ask("POST", "/api/token/")["token"]
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
    assert 10 == desk.push(10)["tasks"]["created"]
    assert {} == desk.pull()["new"]
    carol.ask("POST", "/api/token/blacklist/", json={"refresh": token})
    said = desk.push(10, code=1)

    assert "token is not taken" in said.err
    assert "Account & Settings" in said.err
    assert token not in said.err + said.out
    assert each_once(desk, 10)


def test_disabled_legacy_tokens_are_told_with_what_to_do(desk, people, server):
    admin = people["admin"]
    token = admin.ask("POST", "/api/token/")["token"]
    on = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
    access = httpx.post(f"{server.url}/api/token/refresh/", json={"refresh": token}).json()
    bearer = {"Authorization": f"Bearer {access['access']}"}
    try:
        admin.ask("POST", "/api/jwt/settings", json={**on, "legacy_api_tokens_enabled": False})
        said = desk.push(10, code=1)
    finally:
        back = httpx.post(f"{server.url}/api/jwt/settings", json=on, headers=bearer)
        assert back.is_success, back.text
        admin.ask("POST", "/api/token/blacklist/", json={"refresh": token})

    assert "legacy token authentication has been disabled" in said.err
    assert "personal access token" in said.err


def test_a_server_that_goes_down_in_the_middle_costs_nothing_but_time(desk, server):
    desk.push(2)
    before = len(list((desk.folder / ".curator/records").glob("annotation-*/*")))
    curator = Path(sys.executable).with_name("curator")
    command = [curator, "--quiet", "annotate", "push", "--budget", "20", "--batch", "2",
               "--project", desk.project]  # fmt: skip
    running = subprocess.Popen(command, cwd=desk.folder, env=os.environ.copy(), text=True,
                               stderr=subprocess.PIPE)  # fmt: skip
    while len(list((desk.folder / ".curator/records").glob("annotation-*/*"))) < before + 4:
        time.sleep(0.002)
    server.kill()
    _, said = running.communicate()
    assert 1 == running.returncode, said
    assert "error: " in said
    assert "run" in said.lower()
    server.start()

    desk.push(20)
    assert each_once(desk, 20)


def test_a_project_that_was_deleted_is_told_and_its_events_are_safe(desk, people):
    desk.push(10)
    number, _ = desk.task_of("open")[0]
    people["alice"].answer(number, "suggested")
    desk.pull()
    desk.admin.ask("DELETE", f"/api/projects/{desk.number}/")
    said = desk.pull(code=1)

    assert "is no longer on" in said.err
    assert "the 1 events pulled before are safe" in said.err
    assert {"label": 1} == desk.decide()["verdicts"]
    assert 10 == desk.push(10)["tasks"]["created"]  # a new project of the same name
    assert each_once(desk, 10)


def test_a_configuration_changed_by_hand_is_not_overwritten(desk):
    desk.push(10)
    path = f"/api/projects/{desk.number}/"
    config = desk.admin.ask("GET", path)["label_config"]
    renamed = config.replace('alias="topic01"', 'alias="subject01"')
    desk.admin.ask("PATCH", path, json={"label_config": renamed})
    said = desk.push(12, code=1)

    assert "changed by hand and lacks label 'topic01'" in said.err
    assert renamed == desk.admin.ask("GET", path)["label_config"]
    assert each_once(desk, 10)
    assert 2 == desk.push(12, "--put-back")["tasks"]["created"]
    assert config == desk.admin.ask("GET", path)["label_config"]


def test_a_harmless_change_of_the_configuration_is_kept_and_said(desk):
    desk.push(10)
    path = f"/api/projects/{desk.number}/"
    config = desk.admin.ask("GET", path)["label_config"]
    friendly = config.replace("Ambiguous", "I cannot tell")
    desk.admin.ask("PATCH", path, json={"label_config": friendly})
    done = desk.push(12)

    assert 2 == done["tasks"]["created"]
    assert "changed by hand and is left as it is" in " ".join(done["notes"])
    assert "changed by hand" in " ".join(desk.pull()["notes"])


def test_a_label_renamed_on_the_server_makes_invalid_answers_not_new_classes(desk, people):
    desk.push(10)
    (number, _), *_ = desk.task_of("open")
    people["alice"].answer(number, "other", "subject01")
    done = desk.pull()

    assert {"invalid": 1} == done["new"]
    assert "found ['subject01']" in " ".join(done["notes"])
    assert {} == desk.decide()["verdicts"]


def test_an_annotator_who_answers_twice_counts_once_with_the_last_answer(desk, people):
    desk.push(10)
    number, asked = desk.task_of("open")[0]
    people["alice"].answer(number, "keep")
    people["alice"].answer(number, "suggested")
    people["bob"].answer(number, "suggested")
    desk.pull()
    desk.decide()

    (row,) = desk.store.find("reviews", [asked.row_id]).values()
    assert asked.suggested == row["label"]
    (found,) = desk.store.findings("reviews").to_pylist()
    assert "2 of 2 annotators" in found["evidence"]


def test_two_who_disagree_leave_a_row_open(desk, people):
    desk.push(10, "--overlap", 2)
    number, _ = desk.task_of("open")[0]
    people["alice"].answer(number, "keep")
    people["bob"].answer(number, "suggested")
    desk.pull()

    assert {"open": 1} == desk.decide("--consensus", "majority")["verdicts"]


def test_tasks_of_others_are_counted_and_left_alone(desk, people):
    desk.push(10)
    alice = people["alice"]
    alice.ask("POST", f"/api/projects/{desk.number}/import",
              json=[{"data": desk.tasks()[0]["data"]}])  # fmt: skip
    foreign = next(t for t in desk.tasks() if not t["meta"])
    alice.answer(foreign["id"], "drop")

    assert 1 == desk.push(10)["tasks"]["foreign"]
    assert {} == desk.pull()["new"]
    assert 11 == len(desk.tasks())


def test_a_new_class_joins_the_configuration(desk):
    desk.push(10)
    (row,) = desk.store.rows("main").filter(
        [s == "train" for s in desk.store.rows("main")["split"].to_pylist()]
    ).slice(0, 1).to_pylist()  # fmt: skip
    desk("edits", "export", f"id = '{row['id']}'", "--to", "csv", "--out", "one.csv")
    sheet = desk.folder / "one.csv"
    sheet.write_text(sheet.read_text("utf-8").replace(row["label"], "topic99"), "utf-8")
    desk("edits", "apply", "one.csv", "--by", "ann", "--reason", "new", "--new-label", "topic99")
    desk("merge", "reviews")
    done = desk.push(12)

    assert "brought up to date" in " ".join(done["notes"])
    config = desk.admin.ask("GET", f"/api/projects/{desk.number}/")["label_config"]
    assert 'alias="topic99"' in config
    assert each_once(desk, 12)


def test_verdicts_about_rows_that_changed_or_left_are_held_and_listed(desk, people):
    desk.push(12)
    (one, first), (two, second), (three, _), *_ = desk.task_of("open")
    for number in (one, two, three):
        people["alice"].answer(number, "suggested")
    desk.pull()
    desk("edits", "export", f"id = '{first.row_id}'", "--to", "csv", "--out", "one.csv")
    sheet = desk.folder / "one.csv"
    text = desk.store.find("main", [first.row_id])[first.row_id]["text"]
    sheet.write_text(sheet.read_text("utf-8").replace(text, text + " and more"), "utf-8")
    desk("edits", "apply", "one.csv", "--by", "ann", "--reason", "typo", "--branch", "desk")
    desk("merge", "desk")
    desk("erase", second.row_id, "--by", "dpo", "--reason", "asked for")
    done = desk.decide(code=1)

    assert {"relabel": 1} == done["changes"]
    told = {c["row_id"]: c["ours_reason"] for c in done["conflicts"]}
    assert "the row changed meanwhile" == told[first.row_id]


class Under(http.server.BaseHTTPRequestHandler):
    """Passes what is asked under /label-studio on to a server that knows nothing of it."""

    upstream = ""

    def pass_on(self):
        if not self.path.startswith("/label-studio/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {k: v for k, v in self.headers.items()
                if k.lower() in ("authorization", "content-type")}  # fmt: skip
        found = httpx.request(self.command, self.upstream + self.path[len("/label-studio"):],
                              content=body, headers=kept, timeout=60)  # fmt: skip
        self.send_response(found.status_code)
        self.send_header("Content-Type", found.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(found.content)))
        self.end_headers()
        self.wfile.write(found.content)

    do_GET = do_POST = do_PATCH = do_DELETE = pass_on  # noqa: N815

    def log_message(self, *_):
        pass


def test_a_server_under_a_path_works_with_both_kinds_of_token(desk, people, server, monkeypatch):
    handler = type("Here", (Under,), {"upstream": server.url})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{proxy.server_port}/label-studio"
        assert 10 == desk.push(10, "--url", url)["tasks"]["created"]
        token = people["bob"].ask("POST", "/api/token/")["token"]
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
        again = desk.push(10, "--url", f"{url}/")
        proxy.shutdown()

    assert 10 == again["tasks"]["unchanged"]
    assert each_once(desk, 10)
