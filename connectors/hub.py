"""Data sets of the Hugging Face hub, through the `datasets` library.

The one idea: this is the only source that leaves the machine, so it says so and never hangs: before
the library is asked, the hub must answer on its port within five seconds. With HF_HUB_OFFLINE=1 the
hub is not contacted, and a copy that was downloaded earlier is used.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from .address import parse_address
from .columnar import number_batches, plain_batch
from .errors import SourceError, closest
from .frames import arrow_batches
from .records import Options, require_columns

_TIMEOUT_S = 5.0


def read_hub(address: str, _base: Path, options: Options) -> Iterator[pa.RecordBatch]:
    """Read one split of a data set of the hub; class numbers become class names.

    Args:
        address: `hf:NAME#SPLIT`, `hf:NAME?split=SPLIT`, with `&config=CONFIG` where a data set
            has several configurations; `hf:NAME` where it has one split only.
        options: As for files; format, encoding, delimiter and sheet do not apply.

    Raises:
        SourceError: The hub does not answer, or has no such data set, configuration or split.
    """
    name, split, config = _parts(address)
    found = _load(address, name, config)
    batches = map(plain_batch, arrow_batches(_choose(found, split, address)))
    first = next(batches, None)
    if first is None:
        raise SourceError(f"{address}: the split has no records")
    require_columns(first.schema.names, options.strings, where=address)
    yield from number_batches(_chain(first, batches), address, options)


def _chain(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from others


def _parts(address: str) -> tuple[str, str | None, str | None]:
    path = parse_address(address).path
    match = re.fullmatch(r"([\w.-]+(?:/[\w.-]+)?)(?:#([\w.-]+)|\?([\w.=&-]+))?", path)
    if match is None:
        raise SourceError(f"{address}: is not the name of a data set; write hf:OWNER/NAME#SPLIT")
    options = dict(part.partition("=")[::2] for part in (match[3] or "").split("&") if part)
    if unknown := sorted(set(options) - {"split", "config"}):
        raise SourceError(f"{address}: no option {unknown}; there are split and config")
    return match[1], match[2] or options.get("split"), options.get("config")


def _load(address: str, name: str, config: str | None) -> Any:
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    if not offline:
        _must_answer(address)
    import datasets

    try:
        return datasets.load_dataset(name, config)
    except Exception as error:  # the library raises dozens of kinds, with the hub's own words
        where = "no copy of it was downloaded earlier" if offline else "the hub refused"
        raise SourceError(f"{address}: cannot be read, {where}: {error}") from error


def _must_answer(address: str) -> None:
    import huggingface_hub.constants

    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        return  # only the proxy can tell
    hub = urlsplit(huggingface_hub.constants.ENDPOINT)
    host, port = hub.hostname or "", hub.port or (80 if hub.scheme == "http" else 443)
    faults = ["no answer"]

    def knock() -> None:
        try:
            socket.create_connection((host, port), timeout=_TIMEOUT_S).close()
            faults.clear()
        except (OSError, RuntimeError) as error:
            faults[0] = str(error) or type(error).__name__

    # A name server that does not answer can block far longer than a socket's own timeout.
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S + 1)
    if faults:
        raise SourceError(
            f"{address}: {host} cannot be reached ({faults[0]}); connect to the network, or set "
            f"HF_HUB_OFFLINE=1 to use a copy downloaded earlier, or save the data as a file and "
            f"name it as file:PATH"
        )


def _choose(found: Any, split: str | None, address: str) -> Any:
    splits = list(found)
    if split is None:
        if len(splits) > 1:
            raise SourceError(
                f"{address}: has the splits {splits}; name one, as {address}#{splits[0]}"
            )
        split = splits[0]
    if split not in splits:
        raise SourceError(
            f"{address}: no split {split!r}; there are {splits}{closest(split, splits)}"
        )
    return found[split]
