"""What people are shown: no personal data unless they ask for it."""

import pyarrow as pa
import pytest

from curator.errors import RecipeError
from curator.masking import Shown, own_kinds, shown
from curator.recipe import from_mapping

SECRETS = ("bob@site.example", "13800138000", "4111 1111 1111 1111", "E-4711")
ROWS = """\
text,label
"mail bob@site.example now",a
"ring 13800138000 again",b
"my card 4111 1111 1111 1111",a
"badge E-4711 lost",b
"nothing personal here",a
"and nothing there",b
"""
RECIPE = """\
name: shown
sources:
  - {from: "file:rows.csv", columns: {text: text, label: label}}
split: {test: 0.3}
steps:
  - personal_data: {own: {badge: "E-[0-9]{4}"}}
measure: false
report: report.html
"""


def filled(folder, recipe=RECIPE):
    (folder / "rows.csv").write_text(ROWS, "utf-8")
    (folder / "recipe.yaml").write_text(recipe, "utf-8")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory, builders):
    """Give a folder with a finished run; no test here changes it."""
    folder = filled(tmp_path_factory.mktemp("shown"))
    _, call = builders
    assert call(folder, "run", "recipe.yaml").code == 0
    return folder


def leaked(said):
    return [secret for secret in SECRETS if secret in said]


def test_masked_is_the_default_and_full_is_asked_for():
    assert shown("bob@site.example", "masked") == "[EMAIL]"
    assert shown("bob@site.example", "none") == "(not shown)"
    assert shown("bob@site.example", "full") == "bob@site.example"
    assert shown(None, "none") is None


def test_own_kinds_of_steps_are_masked_too():
    own = own_kinds([{"own": {"badge": "E-[0-9]{4}"}}, {}])
    assert Shown("masked", own)("badge E-4711 lost") == "badge [BADGE] lost"


def test_only_text_columns_of_a_table_are_changed():
    table = pa.table({"text": ["a@b.example"], "mail": ["a@b.example"], "n": [1]})
    assert Shown().table(table).to_pylist() == [{"text": "[EMAIL]", "mail": "a@b.example", "n": 1}]


def test_values_are_masked_wherever_they_stand():
    told = {"events": ({"before": {"text": "a@b.example"}, "version": "1"},), "text": "a@b.example"}
    assert Shown().values(told) == {
        "events": ({"before": {"text": "[EMAIL]"}, "version": "1"},),
        "text": "[EMAIL]",
    }


def test_a_policy_that_does_not_exist_is_refused():
    with pytest.raises(RecipeError, match="examples"):
        from_mapping({"sources": [{"from": [{"text": "a", "label": "b"}]}], "examples": "some"})


@pytest.mark.parametrize(
    "arguments",
    [
        ("rows", "main", "--limit", "0"),
        ("rows", "main", "--json"),
        ("rows", "main~1..main", "--limit", "0"),
        ("rows", "main~1..main", "--json"),
        ("diff", "main~1", "main"),
        ("show", "main"),
        ("log",),
        ("rebuild", "main", "--json"),
        ("revert", "personal_data", "--preview", "--json"),
    ],
    ids=" ".join,
)
def test_no_verb_shows_personal_data(store, curator, arguments):
    said = curator(store, *arguments)
    assert said.code == 0, said.err
    assert [] == leaked(said.out + said.err)


def test_check_and_init_show_none_either(store, curator):
    for arguments in (("check", "rows.csv"), ("check", "rows.csv", "--json"),
                      ("init", "rows.csv", "--out", "other.yaml")):  # fmt: skip
        said = curator(store, *arguments)
        assert [] == [s for s in leaked(said.out + said.err) if s != "E-4711"]


def test_why_of_every_row_shows_none(store, curator):
    rows = curator(store, "rows", "main", "--json").json()
    for row in rows:
        for arguments in (("why", row["id"]), ("why", row["id"], "--json")):
            assert [] == leaked(curator(store, *arguments).out)


def test_full_shows_the_texts_as_they_are(store, curator):
    said = curator(store, "--examples", "full", "rows", "main~1", "--limit", "0")
    assert list(SECRETS) == leaked(said.out)


def test_report_and_twin_show_none(store):
    for name in ("report.html", "report.json"):
        assert [] == leaked((store / name).read_text("utf-8"))


def test_a_report_without_examples_has_no_text_at_all(tmp_path, curator):
    filled(tmp_path, RECIPE + "examples: none\n")
    assert curator(tmp_path, "run", "recipe.yaml").code == 0
    assert "nothing personal" not in (tmp_path / "report.json").read_text("utf-8")
    assert "[EMAIL]" not in (tmp_path / "report.json").read_text("utf-8")
