"""Findings that an earlier release stored have fewer columns; they are read with nulls in them."""

import pyarrow as pa

from curator import schema
from curator.versions.verify import verify

EARLIER = schema.FINDING_SCHEMA.names[:8]


def test_earlier_findings_get_the_later_columns_empty():
    stored = schema.findings([{"row_id": "a", "issue_type": "leak", "check": "c"}]).select(EARLIER)

    assert schema.FINDING_SCHEMA == schema.lifted_findings(stored).schema
    assert [None] == schema.lifted_findings(stored)["p_wrong"].to_pylist()


def test_a_store_of_an_earlier_release_is_read_and_sound(store, commit, rows_of, monkeypatch):
    now = schema.FINDING_SCHEMA
    earlier = pa.schema([now.field(name) for name in EARLIER])
    monkeypatch.setattr(schema, "FINDING_SCHEMA", earlier)
    version = commit(rows_of({"id": "a", "text": "1"}), found=[{"row_id": "a", "issue_type": "x"}])
    monkeypatch.setattr(schema, "FINDING_SCHEMA", now)

    assert now == store.findings(version).schema
    assert [] == list(verify(store).faults)
