"""A real Label Studio server, people who answer through its API, and a corpus to ask them about."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from curator.versions import open_store

RECIPE = """\
name: tiny
language: en
sources:
  - {from: "file:train.csv", split: train}
  - {from: "file:test.csv", split: test}
steps: [clean]
measure: {model: tfidf, tiers: [probe]}
"""


def load(name, path):
    """Load a module of the suite that lies in no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def studio_module():
    """The module that starts servers, once one is installed."""
    module = load("studio_server", Path(__file__).with_name("studio_server.py"))
    patience = 900 if os.environ.get("CI") else 0
    if not module.wait_for_install(patience):
        pytest.skip("needs Label Studio: python tests/studio/studio_server.py install")
    return module


@pytest.fixture(scope="session")
def server(studio_module, tmp_path_factory):
    """One server for all tests of this process; each test makes projects of its own."""
    made = studio_module.StudioServer.fresh(tmp_path_factory.mktemp("studio") / "data")
    yield made
    made.stop()


@dataclass
class Person:
    """Somebody who works with the server's API: an annotator, or the administrator."""

    url: str
    token: str
    http: httpx.Client = field(init=False)

    def __post_init__(self):
        headers = {"Authorization": f"Token {self.token}"}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def ask(self, method, path, code=None, **what):
        found = self.http.request(method, path, **what)
        assert found.is_success if code is None else found.status_code == code, found.text
        return found.json() if found.content else None

    def tasks(self, project):
        """List tasks with all they have, by id."""
        page = self.ask("GET", "/api/tasks/", params={
            "project": project, "fields": "all", "page_size": 10_000,
        })  # fmt: skip
        return sorted(page["tasks"], key=lambda task: task["id"])

    def answer(self, task, decision, label=None, lead_time=12.0):
        """Answer as the page would; gives the annotation."""
        return self.ask("POST", f"/api/tasks/{task}/annotations/", json={
            "result": result_of(decision, label), "lead_time": lead_time,
        })  # fmt: skip

    def edit(self, annotation, decision, label=None):
        self.ask("PATCH", f"/api/annotations/{annotation}/", json={
            "result": result_of(decision, label)
        })  # fmt: skip

    def skip(self, task):
        return self.ask("POST", f"/api/tasks/{task}/annotations/", json={
            "result": [], "was_cancelled": True
        })  # fmt: skip


def result_of(decision, label=None):
    """Give what the server keeps of an answer."""
    chosen = {"decision": decision} | ({"label": label} if label else {})
    return [
        {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": [key]}}
        for name, key in chosen.items()
    ]


@dataclass
class Desk:
    """A corpus with its store, and the command line over it."""

    folder: Path
    call: object
    admin: Person
    project: str

    def __call__(self, *arguments, code=0):
        said = self.call(self.folder, *arguments)
        assert code == said.code, said.out + said.err
        return said

    @property
    def store(self):
        return open_store(self.folder / ".curator", create=False)

    def push(self, budget=20, *more, code=0):
        arguments = ("annotate", "push", "--budget", budget, "--project", self.project)
        said = self("--quiet", *arguments, "--settle", 8, *more, "--json", code=code)
        return said.json() if code == 0 else said

    def pull(self, *more, code=0):
        said = self("--quiet", "annotate", "pull", "--project", self.project, *more, "--json",
                    code=code)  # fmt: skip
        return said.json() if code == 0 else said

    def decide(self, *more, code=0):
        return self("annotate", "decide", "--project", self.project, *more, "--json",
                    code=code).json()  # fmt: skip

    def tasks(self):
        """List the tasks of the project on the server."""
        return self.admin.tasks(self.number)

    @property
    def number(self):
        found = self.admin.ask("GET", "/api/projects/", params={"page_size": 100})["results"]
        return next(p["id"] for p in found if p["title"] == self.project)

    def task_of(self, kind="open"):
        """Give the first tasks of a control kind, as (task id, what the store remembers)."""
        from curator.annotate import state_of

        asked = state_of(self.store, self.project).asked.values()
        found = [(one.task, one) for one in asked if one.control == kind]
        return sorted(found, key=lambda pair: pair[0])

    def forget(self):
        """Delete the log of the project."""
        for path in self.folder.glob(".curator/records/annotation-*/*"):
            path.unlink()


@pytest.fixture
def people(server):
    """Persons by first name: admin, alice, bob, carol."""
    made = {who.partition("@")[0]: Person(server.url, token)
            for who, token in server.tokens.items()}  # fmt: skip
    yield made
    for person in made.values():
        person.http.close()


@pytest.fixture(scope="session")
def doubted(tmp_path_factory):
    """A small corpus with eight wrong labels; recipe and checks have run. Only to be copied."""
    builders = load("builders", Path(__file__).parents[1] / "conftest.py")
    made = builders.build_corpus(
        tmp_path_factory.mktemp("doubted") / "corpus", classes=4, train=20, test=3, plants=False
    )
    for row in made.train[:40:5]:
        row["label"] = f"topic{(int(row['label'][-2:]) + 1) % 4:02}"
    made.write().say(RECIPE)
    for command in (["run", "recipe.yaml", "--no-measure"], ["check", "main"]):
        said = builders.call_curator(made.folder, "--quiet", *command)
        assert 0 == said.code, said.err
    return made.folder


@pytest.fixture
def desk_of(curator, people, server, monkeypatch):
    """Sit down at a corpus: `desk_of(folder, title)` -> (desk, people, command line)."""
    monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.tokens["admin@example.test"])
    return lambda folder, title: (Desk(folder, curator, people["admin"], title), people, curator)


@pytest.fixture
def desk(doubted, desk_of, request, tmp_path):
    """A copy of the small corpus, and a project name of its own."""
    folder = Path(shutil.copytree(doubted, tmp_path / "desk"))
    return desk_of(folder, request.node.name[-50:])[0]


@pytest.fixture(scope="session")
def true_label():
    """Say which class a text of the small corpus was made from."""
    builders = load("builders", Path(__file__).parents[1] / "conftest.py")
    words = {name: set(builders.words_of(name)) for name in (f"topic{k:02}" for k in range(4))}
    return lambda text: max(words, key=lambda name: len(words[name] & set(text.split())))
