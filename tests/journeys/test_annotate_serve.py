"""The ML backend on loopback: what it is asked, what it answers, and what is never printed."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from connectors import StudioProject
from curator.annotating_log import Asked, Log, keep_project
from curator.annotating_serve import Backend, server_of
from curator.errors import CuratorError, StoreError
from curator.versions import open_store


@pytest.fixture
def store(corpus, curator):
    made = corpus(classes=2, train=4, test=0, plants=False)
    made.say("name: tiny\nlanguage: en\nsources: [{from: 'file:train.csv', split: train}]\n"
             "steps: [clean]\nmeasure: false\n")  # fmt: skip
    assert 0 == curator(made.folder, "run", "recipe.yaml").code
    found = open_store(made.folder / ".curator", create=False)
    keep_project(found, "key", "http://127.0.0.1:1", StudioProject(7, "t", "<View/>", 1, "2026"))
    log = Log(found, "key")
    state = log.fold()
    asked = [Asked(f"r{n}", "open", "a", "b", "h", "i", "v" * 64, 0.9 - n / 10, n) for n in (1, 2)]
    log.append(state, "sent", rows=[one.as_dict() for one in asked])
    return found


@pytest.fixture
def served(store):
    """A backend that serves: ask(path, body) -> (code, answer); pulls, said: what it did."""
    pulls, said = threading.Semaphore(0), []

    def pull():
        pulls.release()
        if len(said) == 0:
            raise StoreError("server is down")
        return "pulled: 1 created"

    backend = Backend(store, None, pull=pull, say=said.append, quiet_s=0.05)
    server = server_of(backend, 0)
    backend.start()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def ask(path, body=None):
        url = f"http://127.0.0.1:{server.server_address[1]}{path}"
        data = (
            None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as found:
                return found.status, json.loads(found.read())
        except urllib.error.HTTPError as fault:
            with fault:
                return fault.code, json.loads(fault.read())

    yield ask, pulls, said
    server.shutdown()
    server.server_close()
    backend.stop()
    thread.join()


def test_it_is_healthy_set_up_and_predicts_worth_and_no_answer(served, capfd):
    ask, _, said = served
    secret = "0123456789abcdef-the-creators-token"

    assert "UP" == ask("/health")[1]["status"]
    setup = {"project": "7.1", "schema": "<View/>", "hostname": "http://x", "access_token": secret}
    assert {"model_version": "curator-vvvvvvvvvvvv"} == ask("/setup", setup)[1]
    tasks = [{"id": 2, "meta": {"row_id": "r2"}}, {"id": 9, "meta": {"row_id": "no"}}, {"id": 1}]
    code, told = ask("/predict", {"tasks": tasks, "project": "7.1", "params": {}})
    assert 200 == code
    assert [0.7, 0.0, 0.0] == [pytest.approx(one["score"]) for one in told["results"]]
    assert [[], [], []] == [one["result"] for one in told["results"]]  # nothing is ticked
    assert ["curator-vvvvvvvvvvvv"] == ask("/versions")[1]["versions"]
    assert secret not in "".join(capfd.readouterr()) + str(said)


def test_a_burst_of_hints_is_one_pull_and_a_failed_one_is_told_and_tried_again(served):
    ask, pulls, said = served
    for _ in range(5):
        assert 200 == ask("/webhook", {"action": "ANNOTATION_CREATED"})[0]
    assert pulls.acquire(timeout=10)
    assert not pulls.acquire(timeout=0.3)
    assert ["pull failed, the next hint tries again: server is down"] == said
    ask("/webhook", {})
    assert pulls.acquire(timeout=10)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [("/predict", {"tasks": 3}, 400), ("/predict", b"[1]", 400), ("/predict", b"{", 400),
     ("/train", {}, 404), ("/nothing", None, 404)],
)  # fmt: skip
def test_what_it_does_not_know_is_refused(served, path, body, code):
    assert code == served[0](path, body)[0]


def test_a_taken_port_is_said(store):
    backend = Backend(store, None, pull=str, say=print)
    server = server_of(backend, 0)
    with server, pytest.raises(CuratorError, match="choose another --port"):
        server_of(backend, server.server_address[1])
