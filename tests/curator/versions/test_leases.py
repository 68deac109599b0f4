"""Leases: a writer waits for a collector, a collector gives way, and a killed one stops nobody."""

import json
import threading
import time

import pytest

from curator.errors import StoreError
from curator.versions import leases
from curator.versions.leases import Lease, clear_old, every

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


@pytest.fixture
def folder(store):
    return store.folder


def left_behind(folder, work, *, expires_in):
    """Write the lease of a process that was killed."""
    facts = {"work": work, "who": "process 1 on elsewhere", "expires": time.time() + expires_in}
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
