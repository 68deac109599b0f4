"""Leases: a writer waits for a collector, a collector gives way, and a killed one stops nobody."""

import json
import subprocess
import sys
import threading
import time

import pytest

from curator.errors import StoreError
from curator.versions import leases
from curator.versions.leases import Lease, break_all, clear_old, every

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


@pytest.fixture
def folder(store):
    return store.folder


def left_behind(folder, work, *, expires_in, process=None):
    """Write the lease of a process that was killed."""
    facts = {"work": work, "who": "process 1 on elsewhere", "expires": time.time() + expires_in}
    facts["process"] = process
    folder.put_new(f"leases/{work}-killed/000001", json.dumps(facts).encode())


@both
def test_a_lease_stands_while_its_work_lasts(folder):
    with Lease(folder, "write") as lease:
        (told,) = every(folder)

        assert (lease.writer, "write") == (told.writer, told.work)
        assert told.is_fresh(time.time())
        lease.check()
    assert [] == every(folder)


@both
def test_a_lease_is_renewed_before_it_runs_out(folder):
    with Lease(folder, "write", lifetime_s=0.6) as lease:
        time.sleep(1.2)
        lease.check()

        assert all(told.expires > time.time() for told in every(folder))
    assert [] == every(folder)


def test_a_process_that_stood_still_is_told(folder, monkeypatch):
    with Lease(folder, "write") as lease:
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + leases.LIFETIME_S + 1)

        with pytest.raises(StoreError, match="stood still for longer than its lease"):
            lease.check()


@both
def test_a_collector_gives_way_to_a_writer_and_to_another_collector(folder):
    for work in ("write", "gc"):
        with (
            Lease(folder, work),
            pytest.raises(StoreError, match=r"1 other\(s\) are at work .*nothing was deleted"),
            Lease(folder, "gc"),
        ):
            pass
        assert [] == every(folder), "the refused collector leaves no lease"


def test_writers_do_not_wait_for_each_other(folder):
    with Lease(folder, "write"), Lease(folder, "write"):
        assert 2 == len(every(folder))


def test_a_writer_waits_until_the_collector_is_done(folder):
    order = []
    collector = Lease(folder, "gc")
    collector.__enter__()

    def write():
        with Lease(folder, "write"):
            order.append("writer")

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.3)
    order.append("collector")
    collector.__exit__(None, None, None)
    thread.join()

    assert ["collector", "writer"] == order


def test_a_writer_that_waits_too_long_is_told_until_when(folder, monkeypatch):
    monkeypatch.setattr(leases, "WAIT_S", 0.1)
    left_behind(folder, "gc", expires_in=60)

    with (
        pytest.raises(StoreError, match=r"a `gc` is at work .* or was killed; nothing was written"),
        Lease(folder, "write"),
    ):
        pass


def test_a_lease_of_a_killed_process_runs_out_and_is_cleared(folder):
    left_behind(folder, "write", expires_in=-leases.SKEW_S - 1)

    with Lease(folder, "gc"):
        assert 1 == clear_old(folder)
    assert [] == every(folder)


def test_clocks_may_differ_a_little(folder):
    left_behind(folder, "write", expires_in=-leases.SKEW_S / 2)

    with pytest.raises(StoreError, match="process 1 on elsewhere"), Lease(folder, "gc"):
        pass


@pytest.mark.parametrize("data", [b"{}", b"nothing", b'{"work":"gc","who":"x","expires":"soon"}'])
def test_a_file_that_is_no_lease_stops_a_collector(folder, data):
    folder.put_new("leases/x/1", data)

    with pytest.raises(StoreError, match=r"leases/x/1: not "), Lease(folder, "gc"):
        pass


def killed_here():
    """Give what a lease says of a process of this machine that has ended."""
    code = (
        "import json; from curator.versions.leases import process_here; "
        "print(json.dumps(process_here()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(leases.process_here() is None, reason="no /proc: leases run out by themselves")
@pytest.mark.parametrize("work", ["write", "gc"])
def test_a_lease_whose_process_ended_on_this_machine_stops_nobody(folder, work):
    left_behind(folder, work, expires_in=300, process=killed_here())

    with Lease(folder, "write"):
        pass
    with Lease(folder, "gc"):
        assert 1 == clear_old(folder)


@pytest.mark.skipif(leases.process_here() is None, reason="no /proc: leases run out by themselves")
def test_a_process_is_known_by_its_machine_and_its_start_too():
    machine, number, started = leases.process_here()
    gone = killed_here()
    told = [
        leases.Told("n", "w", "write", "who", time.time() + 60, process)
        for process in (
            (machine, number, started), (machine, number, "1"), ("other", *gone[1:]), tuple(gone),
            None,
        )
    ]  # fmt: skip

    assert [False, True, False, True, False] == [one.is_gone for one in told]


def test_a_refusal_says_how_long_and_how_to_break_the_lease(folder):
    left_behind(folder, "write", expires_in=90)

    with (
        pytest.raises(StoreError, match=r"\(in [12] min \d+ s\)\. If you know .* --break-lease"),
        Lease(folder, "gc"),
    ):
        pass


@both
def test_a_broken_lease_stops_its_holder_before_it_commits(folder):
    with Lease(folder, "write") as lease:
        assert [lease.writer] == [told.writer for told in break_all(folder)]
        lease.renew()

        with pytest.raises(StoreError, match=r"ended by `gc --break-lease`.*nothing was committed"):
            lease.check()
    assert [] == every(folder)
