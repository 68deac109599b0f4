"""The four functions of a store behave alike on a disk and on a real S3 protocol server."""

import os
import threading
import traceback

import pytest

from curator.errors import StoreError
from curator.versions import cache_of, open_store
from curator.versions.kept import KeptFolder
from curator.versions.local import LocalFolder
from curator.versions.objects import names, object_path, put_object
from curator.versions.opening import is_store
from curator.versions.remote import RemoteFolder

both = pytest.mark.parametrize("place", ["disk", "s3"], indirect=True)


@pytest.fixture
def folder(place, tmp_path):
    return RemoteFolder(place) if "://" in place else LocalFolder(tmp_path / "store")


@both
def test_what_is_put_is_what_is_got_whole_or_in_part(folder):
    assert folder.put_new("a/b/c", b"0123456789")

    assert b"0123456789" == folder.get("a/b/c")
    assert b"234" == folder.get("a/b/c", 2, 3)
    assert b"89" == folder.get("a/b/c", 8)
    assert folder.get("a/b") is None


@both
def test_a_name_that_is_taken_keeps_its_bytes(folder):
    folder.put_new("a", b"first")

    assert not folder.put_new("a", b"second")
    assert b"first" == folder.get("a")


@both
def test_a_listing_goes_to_any_depth_sorted_with_sizes_and_times(folder):
    for name in ("refs/tags/v1", "refs/heads/main/2", "refs/heads/main/1", "refs-not"):
        folder.put_new(name, b"12")

    assert ("refs/heads/main/1", "refs/heads/main/2", "refs/tags/v1") == names(folder, "refs")
    assert () == folder.list("nothing")
    assert 4 == len(folder.list(""))
    assert {2} == {stored.bytes for stored in folder.list("refs")}
    assert all(stored.modified > 1_700_000_000 for stored in folder.list("refs"))


@both
def test_deleting_twice_is_fine(folder):
    folder.put_new("a", b"")
    folder.delete("a")
    folder.delete("a")

    assert folder.get("a") is None


@both
def test_of_six_writers_of_one_name_exactly_one_wins_each_time(folder):
    won = []

    def write(writer):
        won.extend(
            (number, writer)
            for number in range(10)
            if folder.put_new(f"refs/{number}", str(writer).encode())
        )

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(dict(won)) == sorted(number for number, _ in won) == list(range(10))
    assert {f"refs/{n}": str(w).encode() for n, w in won} == {
        name: folder.get(name) for name in names(folder, "refs")
    }


def test_addresses_of_one_store_are_written_in_one_way(s3):
    address = s3.new_address()

    for told in (address, f"{address}/", address.replace("://", ":/")):
        assert address == RemoteFolder(told).address
        assert cache_of(address) == cache_of(told)


@pytest.mark.parametrize("address", ["ftp://host/x", "s3:///x", "http://host/x"])
def test_an_address_of_no_known_kind_is_refused_with_those_there_are(address):
    with pytest.raises(StoreError, match=r"not an address of a store; use a folder, or s3://buck"):
        open_store(address, create=False)


NO_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


@pytest.fixture
def no_keys(monkeypatch):
    """An environment that names no keys of any cloud."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "GCE_", "AZURE_", "IDENTITY_", "MSI_")):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize("scheme", NO_KEYS)
def test_without_keys_the_variables_to_set_are_named_and_no_machine_is_asked(scheme):
    with pytest.raises(StoreError, match=f"no credentials were found; .*{NO_KEYS[scheme]}"):
        RemoteFolder(f"{scheme}://corpora/x")


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        ("gs", {"GOOGLE_SKIP_SIGNATURE": "true"}),
        ("az", {"AZURE_STORAGE_ACCOUNT_NAME": "kim", "AZURE_STORAGE_ACCOUNT_KEY": "a2ltCg=="}),
    ],
)
def test_an_address_at_google_or_azure_is_written_in_one_way(monkeypatch, scheme, settings):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    for told in (f"{scheme}://corpora/x/y", f"{scheme}://corpora/x/y/", f"{scheme}:/corpora/x/y"):
        assert f"{scheme}://corpora/x/y" == RemoteFolder(told).address


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        ("gs", {"GOOGLE_SERVICE_ACCOUNT_KEY": '{"private_key": "SHOULDSTAYHIDDEN"'}),
        ("gs", {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/SHOULDSTAYHIDDEN.json"}),
        (
            "az",
            {"AZURE_STORAGE_ACCOUNT_NAME": "kim",
             "AZURE_STORAGE_ACCOUNT_KEY": "no base64 SHOULDSTAYHIDDEN"},
        ),
    ],
    ids=["a key that is cut", "a key file that is not there", "a key that is none"],
)  # fmt: skip
def test_keys_of_google_or_azure_that_are_none_are_refused_and_not_shown(
    monkeypatch, scheme, settings
):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    told, shown = told_by(lambda _: RemoteFolder(f"{scheme}://corpora/x"), None)

    assert told.startswith(f"{scheme}://corpora/x: ")
    assert "environment variables" in told
    assert "SHOULDSTAYHIDDEN" not in shown


ACTIONS = {
    "put_new": lambda folder: folder.put_new("a", b"1"),
    "get": lambda folder: folder.get("a"),
    "range": lambda folder: folder.get("a", 0, 1),
    "list": lambda folder: folder.list("a"),
    "delete": lambda folder: folder.delete("a"),
}
all_functions = pytest.mark.parametrize("act", ACTIONS.values(), ids=ACTIONS)


def told_by(act, folder):
    """Everything a fault would show, its whole traceback included."""
    with pytest.raises(StoreError) as caught:
        act(folder)
    return str(caught.value), "".join(traceback.format_exception(caught.value))


@all_functions
@pytest.mark.usefixtures("s3")
def test_a_bucket_that_does_not_exist_is_said(act):
    told, _ = told_by(act, RemoteFolder("s3://no-such-bucket/path"))

    assert "the bucket 'no-such-bucket' does not exist; make it, or name another one" in told


@all_functions
@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_keys_are_said_and_never_shown(s3, monkeypatch, act, wrong):
    with s3.strict() as keys:
        for name, value in (keys | {wrong: "AKIASHOULDSTAYHIDDEN"}).items():
            monkeypatch.setenv(name, value)
        told, shown = told_by(act, RemoteFolder(s3.new_address()))

    assert "the server refused the credentials; check the environment variables" in told
    assert not any(value in shown for value in ("AKIASHOULDSTAYHIDDEN", *keys.values()))


@all_functions
def test_keys_without_permission_are_said_and_never_shown(s3, monkeypatch, act):
    with s3.strict() as keys:
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        told, shown = told_by(act, RemoteFolder(s3.new_address()))

    assert "no permission; these credentials need the right to read, list, write and" in told
    assert not any(value in shown for value in keys.values())


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("act", [ACTIONS["put_new"], ACTIONS["list"]], ids=["put_new", "list"])
def test_a_server_that_cannot_be_reached_is_said(monkeypatch, act):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    told, _ = told_by(act, RemoteFolder("s3://corpora/x"))

    assert "the server of s3://corpora cannot be reached; check the network" in told


@pytest.mark.usefixtures("s3")
def test_without_keys_nobody_is_asked_for_some(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(StoreError, match=r"no credentials were found; set .*AWS_ACCESS_KEY_ID"):
        RemoteFolder("s3://corpora/x")


@both
def test_a_store_is_found_only_where_there_is_one(place):
    assert not is_store(place)
    with pytest.raises(StoreError, match=f"{place}: there is no store here; `curator run RECIPE`"):
        open_store(place, create=False)
    open_store(place, create=True)

    assert is_store(place)
    assert place == open_store(place, create=False).address


@both
def test_a_store_of_a_newer_curator_is_refused(place, folder):
    folder.put_new("FORMAT", b"2\n")

    with pytest.raises(StoreError, match=r"has format 2, made by a newer Curator; .* up to 1"):
        open_store(place, create=True)


def test_an_object_is_fetched_once_and_a_spoilt_copy_is_fetched_again(s3, tmp_path):
    source = RemoteFolder(s3.new_address())
    folder = KeptFolder(source, tmp_path)
    name = put_object(folder, b"bytes")
    copy = tmp_path / "objects" / name
    source.delete(object_path(name))

    assert b"bytes" == copy.read_bytes() == folder.get(object_path(name))
    assert folder.get(object_path(name), 0, 1) is None, "whether it exists is asked of the server"
    source.put_new(object_path(name), b"bytes")
    copy.write_bytes(b"spoilt")
    assert b"bytes" == folder.get(object_path(name)) == copy.read_bytes()


def test_the_oldest_copies_go_when_there_are_too_many(s3, tmp_path):
    folder = KeptFolder(RemoteFolder(s3.new_address()), tmp_path)
    for number in range(3):
        put_object(folder, bytes([number]) * 100)
    folder.shrink(250)

    assert 2 == len(list((tmp_path / "objects").iterdir()))


def test_caches_of_a_remote_store_lie_where_the_user_says(s3, tmp_path):
    address = s3.new_address()

    assert tmp_path / "here" == open_store(address, create=True, cache=tmp_path / "here").cache
    assert tmp_path / "home/.cache/corpus-curator" == cache_of(address).parent
    assert cache_of(address) != cache_of(s3.new_address())
