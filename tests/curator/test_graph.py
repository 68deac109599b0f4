from curator.graph import graph, in_order


def entry(name, *parents, created=None, branches=(), tags=()):
    return {
        "version": name, "parents": parents, "step": "s", "rows": 2, "created": created,
        "branches": branches, "tags": tags,
    }  # fmt: skip


def test_a_line_is_drawn_newest_first_with_its_names():
    assert [
        "* b  s  2 rows  2026-01-02 10:00  (main, tag v1)",
        "* a  s  2 rows  2026-01-01 10:00",
    ] == graph(
        [
            entry("a", created="2026-01-01T10:00:01"),
            entry("b", "a", created="2026-01-02T10:00:00", branches=["main"], tags=["v1"]),
        ]
    )


def test_branches_that_were_never_merged_run_side_by_side():
    assert [
        "* c  s  2 rows  (main)",
        "| * d  s  2 rows  (other)",
        "|/",
        "* a  s  2 rows",
    ] == graph([entry("c", "a", branches=["main"]), entry("d", "a", branches=["other"]),
                entry("a")])  # fmt: skip


def test_a_merge_opens_a_lane_and_the_fork_closes_it():
    assert [
        "* m  s  2 rows",
        "|\\",
        "* | o  s  2 rows",
        "| * t  s  2 rows",
        "|/",
        "* a  s  2 rows",
    ] == graph([entry("m", "o", "t"), entry("o", "a"), entry("t", "a"), entry("a")])


def test_a_lane_that_closes_over_another_crosses_it():
    assert [
        "* c  s  2 rows",
        "| * x  s  2 rows",
        "| | * d  s  2 rows",
        "|_|/",
        "* | a  s  2 rows",
        " /",
        "* y  s  2 rows",
    ] == graph([entry("c", "a"), entry("x", "y"), entry("d", "a"), entry("a"), entry("y")])


def test_no_version_stands_above_a_child_of_its_own_whatever_the_clocks_said():
    late, early = "2026-02-01T00:00:00", "2026-01-01T00:00:00"
    versions = [entry("a", created=late), entry("b", "a", created=early)]

    assert ["b", "a"] == [e["version"] for e in in_order(versions)]


def test_every_version_stands_once():
    crossed = [entry("m2", "t", "o"), entry("m1", "o", "t"), entry("o", "a"), entry("t", "a"),
               entry("a")]  # fmt: skip
    drawn = [line.replace("*", "|") for line in graph(crossed) if "*" in line]

    assert ["m2", "m1", "o", "t", "a"] == [e["version"] for e in in_order(crossed)]
    assert 5 == len(drawn)
