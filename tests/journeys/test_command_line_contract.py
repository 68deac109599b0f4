"""What scripts rely on: names, shapes, columns and exit codes of the command line."""

from __future__ import annotations

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

STEPS = ["augment", "label_errors", "leaks", "duplicates", "clean", "import"]
FINDINGS = [
    "row_id", "issue_type", "score", "suggestion", "partner_id", "evidence", "check", "flagged",
    "split", "source", "source_row", "p_wrong", "p_fix",
]  # fmt: skip
IMPACT = {
    "metric", "effect", "low", "high", "verdict", "seeds", "test_rows", "margin", "mde", "tier",
    "cost_cpu_s", "slices", "screens",
}  # fmt: skip
VERDICTS = {"better", "worse", "equivalent", "undecided", "identical", "not_measurable"}


def test_log_lists_versions_newest_first_under_stable_names(curator, finished):
    listed = curator(finished.folder, "log", "--json").json()

    assert STEPS == [entry["step"] for entry in listed]
    assert {"version", "parents", "step", "rows", "created", "tags"} <= set(listed[0])
    assert [[e["version"]] for e in listed[1:]] == [e["parents"] for e in listed[:-1]]
    assert sorted((e["created"] for e in listed), reverse=True) == [e["created"] for e in listed]


def test_run_says_in_json_what_it_made_and_where_the_report_is(curator, finished_copy):
    said = curator(finished_copy.folder, "run", "recipe.yaml", "--json").json()

    assert STEPS[::-1] == [v["step"] for v in said["versions"]]
    assert all(v["cached"] for v in said["versions"])
    assert ["clean", "duplicates", "leaks", "label_errors", "augment", "whole chain"] == [
        impact["step"] for impact in said["impacts"]
    ]
    assert str(finished_copy.folder / "report.html") == said["report"]
    assert {} == said["redelivery"]


def test_progress_goes_to_stderr_so_that_stdout_is_json_alone(curator, corpus):
    said = curator(corpus().folder, "run", "recipe.yaml", "--no-measure", "--json")

    assert 0 == said.code
    assert "tiny" == said.json()["name"]
    assert "step    clean (done)" in said.err


def test_quiet_says_nothing_on_stderr(curator, corpus):
    said = curator(corpus().folder, "--quiet", "run", "recipe.yaml", "--no-measure")

    assert "" == said.err


def test_show_counts_the_rows_of_a_version_by_split_and_class(curator, finished):
    shown = curator(finished.folder, "show", "main~5", "--json").json()

    assert {"test": 96, "train": 151, "validation": 0} == shown["splits"]
    assert shown["rows"] == sum(entry["rows"] for entry in shown["classes"])
    assert 64 == len(shown["lock"])
    assert [] == shown["transforms"]


def test_diff_counts_by_operation_and_reason_and_lists_the_rows(curator, finished, tmp_path):
    out = tmp_path / "rows.parquet"

    counts = curator(finished.folder, "diff", "main~5", "main~1", "--json", "--rows", out).json()

    assert {
        "counts": {
            "dropped": {
                "too short": 1,
                "exact duplicate": 1,
                "near-duplicate": 1,
                "near-duplicate of a frozen row": 1,
                "suspected label error": 1,
            },
            "edited": {"markup removed": 1},
        }
    } == counts
    rows = pq.read_table(out)
    assert ["id", "op", "reason", "step", "before", "after"] == rows.column_names
    assert 6 == rows.num_rows


def test_check_lists_one_row_per_flagged_row_and_issue(curator, finished, tmp_path):
    out = tmp_path / "findings.parquet"

    curator(finished.folder, "check", "main~5", "--findings", out)

    findings = pq.read_table(out)
    assert FINDINGS == findings.column_names
    assert [True] == findings["flagged"].unique().to_pylist()
    planted = ["exact_duplicate", "html", "label", "leak", "near_duplicate", "too_short"]
    found = findings["issue_type"].to_pylist()
    assert planted == sorted(issue for issue in found if issue in planted)


def test_check_lists_one_row_per_scored_row_with_all(curator, finished, tmp_path):
    out = tmp_path / "findings.parquet"

    curator(finished.folder, "check", "main~5", "--all", "--findings", out)

    findings = pq.read_table(out)
    assert FINDINGS == findings.column_names
    by_type = findings.group_by("issue_type").aggregate([("row_id", "count_distinct")])
    counts = dict(zip(*(by_type[n].to_pylist() for n in by_type.column_names), strict=True))
    assert 151 == counts["label"]
    assert 2 == counts["label_conflict"]


def test_label_conflicts_show_in_the_summary_though_no_row_of_them_is_flagged(curator, finished):
    issues = curator(finished.folder, "check", "main~5", "--json").json()["issues"]

    assert 2 == next(i["count"] for i in issues if i["issue_type"] == "label_conflict")


def test_findings_of_a_file_name_its_record(curator, finished, tmp_path):
    out = tmp_path / "findings.parquet"

    curator(finished.folder, "check", "train.csv", "--findings", out)

    short = next(f for f in pq.read_table(out).to_pylist() if f["issue_type"] == "too_short")
    assert ("train", "train.csv", 150) == (
        short["split"], short["source"], short["source_row"],
    )  # fmt: skip


def test_check_of_a_file_changes_nothing_beside_its_cache(curator, corpus):
    made = corpus()
    before = {p.name: p.read_bytes() for p in made.folder.iterdir()}

    curator(made.folder, "check", "train.csv")

    after = {p.name: p.read_bytes() for p in made.folder.iterdir() if p.is_file()}
    assert before == after
    assert not (made.folder / ".curator" / "FORMAT").exists()


def test_fail_on_exits_3_and_says_what_was_found(curator, finished):
    said = curator(finished.folder, "check", "train.csv", "--fail-on", "exact_duplicate")

    assert 3 == said.code
    assert "--fail-on says no: 1 exact_duplicate" in said.err


def test_fail_on_what_is_not_there_exits_0(curator, finished):
    assert 0 == curator(finished.folder, "check", "train.csv", "--fail-on", "unicode").code


def test_fail_on_an_unknown_issue_is_told_before_anything_is_checked(curator, finished):
    said = curator(finished.folder, "check", "train.csv", "--fail-on", "leek")

    assert 1 == said.code
    assert "" == said.out
    assert "no issue type 'leek'" in said.err
    assert "Did you mean 'leak'?" in said.err


def test_measure_says_all_that_scripts_rely_on_in_fractions(curator, finished):
    said = curator(finished.folder, "measure", "main~5", "main", "--json").json()

    assert set(said) >= IMPACT
    assert said["verdict"] in VERDICTS
    assert -1 <= said["low"] <= said["effect"] <= said["high"] <= 1
    assert 0 < said["margin"] < 0.1
    assert said["seeds"] in ([0, 1, 2], [0, 1, 2, 3, 4], list(range(8)))
    # One test row has its twin in the training rows of main~5.
    assert 95 == said["test_rows"]
    assert "all test rows" == said["slices"][0]["name"]
    assert 96 == said["slices"][0]["rows"]


def test_a_look_is_announced_with_its_price_written_down_once_and_told(curator, finished_copy):
    folder = finished_copy.folder
    before = curator(folder, "show", "main", "--json").json()["test_uses"]

    first = curator(folder, "measure", "main~4", "main", "--json")
    again = curator(folder, "measure", "main~4", "main", "--json")

    used, told = first.json()["test_uses"], first.json()
    looks = [look for look in told["looks"] if look["used"]]
    assert "will be charged 0.50 % of alpha to lock" in first.err
    assert before["looks"] + len(looks) == used["looks"]
    assert before["comparisons"] + 1 == used["comparisons"]
    assert used == again.json()["test_uses"]
    assert "will be charged" not in again.err
    assert "alpha charged so far" in curator(folder, "show", "main").out


def test_a_dearer_tier_has_the_cheaper_ones_as_screens(curator, finished):
    said = curator(
        finished.folder, "measure", "main~1", "main", "--tier", "top-layers", "--json"
    ).json()

    assert "not_measurable" == said["verdict"]
    assert ["probe"] == [screen["tier"] for screen in said["screens"]]
    assert None is said["mde"]


def test_why_speaks_json_too(curator, finished):
    row = curator(finished.folder, "rows", "main", "--json").json()[0]

    told = curator(finished.folder, "why", row["id"], "--json").json()

    assert row["id"] == told["row_id"]
    assert row["text"] == told["state"]["text"]


def test_every_version_a_branch_ever_led_to_stands_in_the_whole_log(curator, finished_copy):
    folder = finished_copy.folder
    before = {e["version"] for e in curator(folder, "log", "--json").json()}
    finished_copy.train.append({"text": "one row more than before", "label": "topic00"})
    finished_copy.write()
    curator(folder, "run", "recipe.yaml", "--no-measure")

    after = curator(folder, "log", "--all", "--json").json()

    assert before < {e["version"] for e in after}
    assert sorted((e["created"] for e in after), reverse=True) == [e["created"] for e in after]


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("frobnicate",), ("log", "--frob"), ("measure", "main"), ("rows", "--limit", "x")],
    ids=["no recipe", "no such verb", "no such option", "one version", "no number"],
)
def test_wrong_usage_exits_2(curator, finished, arguments):
    said = curator(finished.folder, *arguments)

    assert 2 == said.code
    assert "Usage: curator" in said.err
    assert "" == said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "no.yaml"), "no.yaml: there is no such recipe; `curator init FILE` writes one"),
        (("show", "mian"), "no version, branch or tag is called 'mian'; did you mean 'main'?"),
        (("check", "no.csv"), "'no.csv' is neither a file in"),
        (("why", "zz"), "no row was ever called 'zz'"),
        (("measure", "main~1", "main", "--tier", "prob"), "Did you mean 'probe'?"),
        (("export", "main", "--to", "jsn"), "--to 'jsn' is not one of ['parquet', 'jsonl',"),
        (("measure", "main", "main~9"), "'main~9': main has only 5 version(s) before it"),
    ],
    ids=["recipe", "version", "file", "row", "tier", "format", "ancestor"],
)
def test_a_fault_the_user_can_mend_exits_1_with_one_message(curator, finished, arguments, message):
    said = curator(finished.folder, *arguments)

    assert 1 == said.code
    assert message in said.err
    assert said.err.startswith("error: ")
    assert "" == said.out


def test_without_a_store_a_verb_says_what_makes_one(curator, tmp_path):
    said = curator(tmp_path, "log")

    assert 1 == said.code
    assert "error: .curator: there is no store here; `curator run RECIPE` makes one\n" == said.err


def test_the_real_process_keeps_its_streams_and_codes_apart(finished):
    """Everything else here runs in this process; once, the real thing."""
    command = [sys.executable, "-c", "from curator.cli import main; main()"]

    good = subprocess.run(
        [*command, "log", "--json"], cwd=finished.folder, capture_output=True, text=True, check=True
    )
    bad = subprocess.run(
        [*command, "run", "no.yaml"], cwd=finished.folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert good.stdout.startswith("[")
    assert "" == good.stderr
    assert (1, "") == (bad.returncode, bad.stdout)
    assert "Traceback" not in bad.stderr
