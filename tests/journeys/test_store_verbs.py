"""verify, gc and a store in a bucket, as a person calls them."""

import json
import time

import pytest


def test_verify_of_a_whole_store_says_so(curator, finished):
    said = curator(finished.folder, "verify")

    assert 0 == said.code
    assert "hashed again: all is as committed" in said.out
    assert [] == curator(finished.folder, "verify", "--json").json()["faults"]


def test_verify_lists_every_fault_and_exits_1(curator, finished_copy):
    store = finished_copy.folder / ".curator"
    part = max((store / "objects").rglob("*/*"), key=lambda path: path.stat().st_size)
    part.write_bytes(part.read_bytes()[:-1])
    next((store / "locks").iterdir()).unlink()
    said = curator(finished_copy.folder, "verify")
    told = curator(finished_copy.folder, "verify", "--json")

    assert 1 == said.code == told.code
    assert "this object was altered: its bytes do not hash to it" in said.out
    assert "the record of this test lock is missing" in said.out
    assert len(told.json()["faults"]) == sum(": " in line for line in said.out.splitlines()) - 1


def test_gc_tells_first_and_removes_what_is_old(curator, finished_copy):
    left = finished_copy.folder / ".curator/objects/ab/.tmp-1-left"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    young = curator(finished_copy.folder, "gc")
    dry = curator(finished_copy.folder, "gc", "--dry-run", "--grace", "0s")

    assert "1  kept, as they are younger than the grace period" in young.out
    assert "1         4 B  temporary files that nothing leads to" in dry.out
    assert left.exists()
    done = curator(finished_copy.folder, "gc", "--grace", "0s", "--json").json()
    assert {"temporary files": {"names": 1, "bytes": 4}} == done["removed"]
    assert not left.exists()
    assert 0 == curator(finished_copy.folder, "verify").code


@pytest.mark.parametrize("grace", ["1", "soon", "-1d", "5y"])
def test_a_grace_period_that_is_none_is_refused(curator, finished, grace):
    said = curator(finished.folder, "gc", f"--grace={grace}")

    assert 1 == said.code
    assert "write a number and s, m, h or d, such as 30m, 12h or 7d" in said.err


def test_every_verb_works_on_a_store_in_a_bucket(curator, corpus, s3, tmp_path):
    made, address = corpus(), s3.new_address()

    def call(*arguments):
        said = curator(made.folder, "--store", address, "--cache", tmp_path / "cache", *arguments)
        assert 0 == said.code, said.err
        return said

    first = call("run", "recipe.yaml", "--no-measure", "--json").json()
    again = call("run", "recipe.yaml", "--no-measure", "--json").json()
    log = call("log", "--json").json()

    assert [v["version"] for v in first["versions"]] == [v["version"] for v in again["versions"]]
    assert all(v["cached"] for v in again["versions"])
    assert 6 == len(log)
    assert call("diff", "main~2", "main", "--json").json()["counts"]
    row = call("rows", "main", "--json").json()[0]["id"]
    for arguments in (("why", row), ("tag", "v1"), ("branch", "try"), ("show",), ("verify",),
                      ("restore", "main~1"), ("gc", "--grace", "0s"), ("report",),
                      ("export", "v1", "--out", "out"), ("measure", "main~1", "main"),
                      ("check", "main")):  # fmt: skip
        call(*arguments)
    assert not (made.folder / ".curator").exists()
    assert (tmp_path / "cache/objects").is_dir()


def test_a_bucket_that_does_not_exist_is_said_without_a_traceback(curator, corpus, s3):
    said = curator(corpus().folder, "--store", "s3://nowhere/x", "run", "recipe.yaml")

    assert 1 == said.code
    assert "error: s3://nowhere/x/FORMAT: the bucket 'nowhere' does not exist" in said.err
    assert not any(value in said.err for value in s3.environment.values())


def test_a_lease_of_another_machine_can_be_broken(curator, finished_copy):
    facts = {"work": "write", "who": "process 7 on elsewhere", "expires": time.time() + 300}
    lease = finished_copy.folder / ".curator" / "leases" / "write-killed" / "000001"
    lease.parent.mkdir(parents=True)
    lease.write_text(json.dumps(facts), "utf-8")
    refused = curator(finished_copy.folder, "gc", "--grace", "0s")
    done = curator(finished_copy.folder, "gc", "--grace", "0s", "--break-lease")

    assert 1 == refused.code
    assert "`curator gc --break-lease` ends its lease now" in refused.err
    assert 0 == done.code
    assert "ended the lease of process 7 on elsewhere (write)" in done.err
