"""The store on S3, Google Cloud Storage or Azure: the same four functions over obstore.

The one idea: "put if absent" is a request that the server itself decides, so two writers race on
the server and one of them is told. Nothing of what a server or a library says about a fault is
repeated word for word, as such messages can hold keys; the reason is named in our own words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from curator.errors import StoreError
from curator.versions.objects import Stored

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

SCHEMES = ("s3", "gs", "az")
"""What the address of a remote store may start with."""

# A Path keeps one slash of the two.
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):/{1,2}(?P<bucket>[^/]*)/*(?P<path>.*)")
_RETRY = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3)},
}
_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (for another server than "
    "Amazon's also AWS_ENDPOINT_URL)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS (a key file)",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
# Without one of these the library would ask the machine's metadata service.
_NAMED = {
    "s3": (
        "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_METADATA_ENDPOINT",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SKIP_SIGNATURE",
    ),
    "gs": (
        "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH",
        "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_SKIP_SIGNATURE", "GCE_METADATA_HOST",
    ),
    "az": (
        "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN", "AZURE_STORAGE_CLIENT_ID",
        "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_STORAGE_USE_EMULATOR",
        "AZURE_SKIP_SIGNATURE", "IDENTITY_ENDPOINT", "MSI_ENDPOINT",
    ),
}  # fmt: skip
# What servers answer, by the code in their reply; the first that fits.
_REASONS = (
    ("no keys", ("169.254.169.254", "metadata.google.internal", "InstanceCredential")),
    ("bucket", ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")),
    (
        "keys",
        (
            "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken",
            "AuthFailure", "AuthenticationFailed", "invalid_grant", "AuthorizationHeaderMalformed",
            "InvalidClientTokenId",
        ),
    ),
    ("allowed", ("AccessDenied", "AuthorizationPermissionMismatch", "403 Forbidden")),
    ("full", ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge")),
    (
        "network",
        ("error sending request", "dns error", "connect", "timed out", "Connection", "timeout"),
    ),
)  # fmt: skip


def is_remote(address: str) -> bool:
    """Tell whether an address names an object store, not a path."""
    found = _ADDRESS.fullmatch(address)
    # One letter and a colon is a drive.
    return found is not None and len(found["scheme"]) > 1


class RemoteFolder:
    """A prefix in a bucket, each name below it immutable bytes."""

    __slots__ = ("_bucket", "_prefix", "_scheme", "_store")

    def __init__(self, address: str) -> None:
        """Connect to nothing yet: the first request does.

        Args:
            address: `s3://bucket/path`, `gs://bucket/path` or `az://container/path`. Keys come
                from the environment.

        Raises:
            StoreError: The address is none of these, or the environment has a wrong setting.
        """
        found = _ADDRESS.fullmatch(address)
        if found is None or found["scheme"] not in SCHEMES or not found["bucket"]:
            known = ", ".join(f"{scheme}://bucket/path" for scheme in SCHEMES)
            raise StoreError(f"{address}: not an address of a store; use a folder, or {known}")
        self._scheme, self._bucket = found["scheme"], found["bucket"]
        path = found["path"].strip("/")
        self._prefix = f"{path}/" if path else ""
        with self._as_store_error(""):
            self._store = _connect(self._scheme, self._bucket)

    @property
    def address(self) -> str:
        """The address as people write it."""
        return f"{self._scheme}://{self._bucket}/{self._prefix}".rstrip("/")

    def put_new(self, name: str, data: bytes) -> bool:
        """Create an object unless its name is taken; the server decides between two writers.

        Returns:
            True when written; False when the name exists. Also False when our own first attempt
            was written but its answer was lost, and the second found the name taken.

        Raises:
            StoreError: The bucket, the permission, the keys or the network are not there.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._as_store_error(name):
            try:
                obstore.put(self._store, self._prefix + name, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """Read an object, or length bytes of it from start; None when there is none.

        Raises:
            StoreError: The bucket, the permission, the keys or the network are not there.
        """
        import obstore

        path = self._prefix + name
        with self._as_store_error(name):
            try:
                if length is not None:
                    data = obstore.get_range(self._store, path, start=start, length=length)
                elif start:
                    options: Any = {"range": {"offset": start}}
                    data = obstore.get(self._store, path, options=options).bytes()
                else:
                    data = obstore.get(self._store, path).bytes()
            except FileNotFoundError as fault:
                if _reason(fault) == "bucket":
                    raise
                return None
        return data.to_bytes()

    def replace(self, name: str, data: bytes) -> None:
        """Put other bytes under a name: for erasure alone.

        Raises:
            StoreError: As `put_new`.
        """
        import obstore

        with self._as_store_error(name):
            obstore.put(self._store, self._prefix + name, data)

    def list(self, prefix: str) -> tuple[Stored, ...]:
        """List every object below a prefix such as `refs/heads`, sorted by name.

        Raises:
            StoreError: The bucket, the permission, the keys or the network are not there.
        """
        import obstore

        below = f"{self._prefix}{prefix}".rstrip("/") or None
        found = []
        with self._as_store_error(prefix):
            for batch in obstore.list(self._store, prefix=below):
                for facts in batch:
                    name = facts["path"].removeprefix(self._prefix)
                    modified = facts["last_modified"].timestamp()
                    found.append(Stored(name, facts["size"], modified))
        return tuple(sorted(found, key=lambda stored: stored.name))

    def delete(self, name: str) -> None:
        """Remove an object; a name that does not exist is fine.

        Raises:
            StoreError: The bucket, the permission, the keys or the network are not there.
        """
        import obstore

        with self._as_store_error(name):
            try:
                obstore.delete(self._store, self._prefix + name)
            except FileNotFoundError as fault:
                if _reason(fault) == "bucket":
                    raise

    @contextmanager
    def _as_store_error(self, name: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError) as fault:
            # Without a cause: the library's own words can repeat what the server said of a key.
            raise StoreError(self._told(name, fault)) from None

    def _told(self, name: str, fault: Exception) -> str:
        where = f"{self.address}/{name}".rstrip("/")
        reason = _reason(fault)
        told = {
            "bucket": f"the bucket {self._bucket!r} does not exist; make it, or name another one "
            "with --store",
            "keys": "the server refused the credentials; check the environment variables "
            f"{_KEYS[self._scheme]} (their values are never shown)",
            "no keys": "no credentials were found; set the environment variables "
            f"{_KEYS[self._scheme]}",
            "allowed": "no permission; these credentials need the right to read, list, write and "
            f"delete below {self.address}",
            "full": "the server has no room left for this; nothing is half-written and every "
            "committed version is whole",
            "network": f"the server of {self._scheme}://{self._bucket} cannot be reached; check "
            "the network and the endpoint, then run again: nothing is half-written",
        }
        if not hasattr(self, "_store"):  # no server was asked yet
            told[""] = (
                "the credentials or settings cannot be read; check the environment variables "
                f"{_KEYS[self._scheme]} (their values are never shown)"
            )
        unknown = f"the server answered with a fault of another kind ({type(fault).__name__}"
        code = re.search(r"<Code>(\w{1,60})</Code>", str(fault))
        unknown += f", {code[1]})" if code else ")"
        return f"{where}: {told.get(reason or '', unknown)}"


def _connect(scheme: str, bucket: str) -> S3Store | GCSStore | AzureStore:
    from obstore.store import AzureStore, GCSStore, S3Store

    retry: Any = _RETRY
    options: Any = {"timeout": timedelta(seconds=120), "connect_timeout": timedelta(seconds=5)}
    if not any(name in os.environ for name in _NAMED[scheme]):
        raise ValueError("InstanceCredential")  # nobody is asked who was not named
    if scheme == "gs":
        return GCSStore(bucket, client_options=options, retry_config=retry)
    if scheme == "az":
        return AzureStore(bucket, client_options=options, retry_config=retry)
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    if endpoint.startswith("http://"):  # the user named a server without TLS
        options["allow_http"] = True
    return S3Store(bucket, client_options=options, retry_config=retry)


def _reason(fault: Exception) -> str | None:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    told = str(fault).partition("\n\nDebug source:")[0]
    for reason, marks in _REASONS:
        if any(mark in told for mark in marks):
            return reason
    if isinstance(fault, PermissionDeniedError):
        return "allowed"
    return "keys" if isinstance(fault, UnauthenticatedError) else None
