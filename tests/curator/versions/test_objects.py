import errno
import hashlib
import os
import sys
import threading

import pytest

from curator.errors import StoreError
from curator.versions.local import LocalFolder
from curator.versions.objects import canonical_json, get_object, names, object_path, put_object
from curator.versions.parts import in_memory


@pytest.fixture
def folder(tmp_path):
    return LocalFolder(tmp_path)


def fail_with(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def test_what_is_put_is_what_is_got(folder):
    assert folder.put_new("a/b/c", b"bytes")

    assert b"bytes" == folder.get("a/b/c")


def test_a_name_that_is_taken_keeps_its_bytes(folder):
    folder.put_new("a", b"first")

    assert not folder.put_new("a", b"second")
    assert b"first" == folder.get("a")


def test_no_temporary_name_is_left_or_listed(folder, tmp_path):
    folder.put_new("top/a", b"1")
    folder.put_new("top/a", b"2")
    (tmp_path / "top" / ".tmp-left-by-a-killed-writer").write_bytes(b"half")

    assert ("top/a",) == names(folder, "top")
    assert 2 == len(list((tmp_path / "top").iterdir()))


def test_listing_goes_to_any_depth_and_an_absent_folder_is_empty(folder):
    folder.put_new("refs/heads/main/1", b"")
    folder.put_new("refs/tags/v1", b"")

    assert ("refs/heads/main/1", "refs/tags/v1") == names(folder, "refs")
    assert () == folder.list("nothing")


def test_deleting_twice_is_fine(folder):
    folder.put_new("a", b"")
    folder.delete("a")
    folder.delete("a")

    assert folder.get("a") is None


def test_of_many_threads_that_create_one_name_exactly_one_wins(folder):
    won = []

    def write(number):
        if folder.put_new("refs/7", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(won)
    assert str(won[0]).encode() == folder.get("refs/7")


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_is_said_and_leaves_nothing_behind(folder, tmp_path, monkeypatch, call):
    folder.put_new("here/before", b"1")
    monkeypatch.setattr(os, call, fail_with(errno.ENOSPC))

    with pytest.raises(StoreError, match="no space left on the disk; nothing is half-written"):
        folder.put_new("here/after", b"2")
    assert ["before"] == [path.name for path in (tmp_path / "here").iterdir()]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_hard_links_is_named(folder, monkeypatch, code):
    monkeypatch.setattr(os, "link", fail_with(code))

    with pytest.raises(StoreError, match=r"this file system has no hard links .* put the store on"):
        folder.put_new("a", b"")


def test_a_folder_that_may_not_be_written_is_said(folder, monkeypatch):
    monkeypatch.setattr(os, "open", fail_with(errno.EACCES))

    with pytest.raises(StoreError, match=r"no permission .* give this user the right"):
        folder.put_new("a", b"")


def test_an_object_is_named_by_its_bytes(folder):
    name = put_object(folder, b"bytes")

    assert hashlib.sha256(b"bytes").hexdigest() == name
    assert b"bytes" == get_object(folder, name)


def test_an_altered_object_is_found_when_read_and_when_written_again(folder, tmp_path):
    name = put_object(folder, b"bytes")
    (tmp_path / object_path(name)).write_bytes(b"bytez")

    for call in (lambda: get_object(folder, name), lambda: put_object(folder, b"bytes")):
        with pytest.raises(StoreError, match=f"{name}: this object was altered after it was"):
            call()


def test_a_missing_object_is_named(folder):
    with pytest.raises(StoreError, match=f"objects/ab/{'ab' * 32}: this object is missing"):
        get_object(folder, "ab" * 32)


def test_json_has_one_form():
    assert '{"a":[1,null],"字":"ü"}'.encode() == canonical_json({"字": "ü", "a": [1, None]})


def test_not_a_number_has_no_form():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


@pytest.mark.parametrize("data", [b"", b"PAR1 and more", bytes(range(256)) * 4_000])
def test_threads_that_read_a_table_hold_nothing_of_python(data):
    held = sys.getrefcount(data)

    reader = in_memory(data)

    assert held == sys.getrefcount(data)
    assert data == reader.read()
