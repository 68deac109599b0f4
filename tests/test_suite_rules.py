"""The suite keeps its own rules: no network in any process, no silent skip in CI."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

RULES = Path(__file__).resolve().parents[1] / "conftest.py"
REACH = "import socket; socket.create_connection(({host!r}, 9), timeout=1)"


def test_the_test_process_reaches_this_machine_only():
    with (
        socket.socket() as probe,
        pytest.warns(UserWarning, match=r"192\.0\.2\.1"),
        pytest.raises(SocketConnectBlockedError),
    ):
        probe.connect(("192.0.2.1", 9))


@pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid"])
def test_a_child_process_reaches_this_machine_only(host):
    code = REACH.format(host=host)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert f"a test tried to reach {host}: only this machine may be reached" in done.stderr


def test_a_child_process_may_talk_to_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection({server.getsockname()!r})"
        assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


@pytest.mark.parametrize(
    ("ci", "markers", "outcome"),
    [
        ("true", ["wordnet"], "failed"),
        ("true", ["browser"], "failed"),
        ("true", ["model"], "failed"),
        ("true", ["data"], "skipped"),
        ("true", ["data", "model"], "skipped"),
        ("", ["wordnet"], "skipped"),
    ],
)
def test_in_ci_a_skip_for_a_missing_tool_fails(ci, markers, outcome, monkeypatch, request):
    spec = importlib.util.spec_from_file_location("rules", RULES)
    rules = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rules)
    monkeypatch.setenv("CI", ci)
    for marker in markers:
        request.node.add_marker(marker)
    report = pytest.TestReport(
        "test", ("test.py", 1, "test"), {}, "skipped", ("test.py", 1, "no such tool"), "call"
    )

    hook = rules.pytest_runtest_makereport(request.node)
    next(hook)
    with pytest.raises(StopIteration) as done:
        hook.send(report)

    assert outcome == done.value.value.outcome
    assert "no such tool" in str(done.value.value.longrepr)
