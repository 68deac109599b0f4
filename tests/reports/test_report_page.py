import dataclasses
import json
import re

import pytest
from bs4 import BeautifulSoup

from reports import ReportError, render, twin, write
from reports.facts import ClassFacts, ExampleFacts, StepFacts
from reports.quality import describe


def parsed(page):
    return BeautifulSoup(page, "html.parser")


def at(values, path):
    for key in path.split("."):
        values = values[int(key)] if isinstance(values, list) else values[key]
    return values


def number_in(shown):
    return re.fullmatch(r"(?:under |over )?([+−]?)([\d,]+(?:\.\d+)?)( %)?", shown).groups()


def assert_shown(element, values):
    """The element's machine value is the twin's, and what is read is that value rounded."""
    value = at(values, element["data-fact"])
    shown = element.get_text()
    if element.name != "data":
        whole = "".join(c if ord(c) > 31 or c in "\t\n" else chr(0x2400 + ord(c)) for c in value)
        assert whole == shown or (shown.endswith("…") and whole.startswith(shown[:-1]))
        return
    assert json.dumps(value) == element["value"]
    if shown in ("yes", "no"):
        assert value is (shown == "yes")
        return
    sign, digits, percent = number_in(shown)
    read = float(digits.replace(",", "")) * (-1 if sign == "−" else 1)
    half_a_step = 0.51 * 10.0 ** -len(digits.partition(".")[2])
    if shown.startswith(("under", "over")):
        half_a_step *= 2
    scales = (100,) if percent or sign else (1, 100)  # points and shares, counts and sizes
    assert any(abs(read - scale * value) <= half_a_step for scale in scales), (shown, value)


def test_each_value_on_the_page_equals_the_json_at_its_path(build):
    run = build.facts()
    values = json.loads(json.dumps(twin(run)))

    elements = parsed(render(run)).find_all(attrs={"data-fact": True})

    assert len(elements) > 200
    for element in elements:
        assert_shown(element, values)


def test_no_digit_on_the_page_stands_outside_a_traced_value_or_a_chart(build):
    soup = parsed(render(build.facts()))
    for element in soup.find_all(attrs={"data-fact": True}) + soup.find_all(
        ["svg", "style", "title"]
    ):
        element.decompose()

    assert re.findall(r".{0,30}\d.{0,30}", soup.get_text(" ")) == []


def test_the_twin_is_plain_json_and_keeps_the_floats(build):
    values = twin(build.facts())

    assert values == json.loads(json.dumps(values, allow_nan=False))
    assert values["impacts"][4]["effect"] == 0.0241


def test_the_same_facts_make_the_same_bytes(build):
    assert render(build.facts()) == render(build.facts())


def test_hostile_text_is_escaped_everywhere_and_adds_no_element(build):
    tame = parsed(render(build.hostile_facts("word " * 2_100)))
    wild = parsed(render(build.hostile()))

    assert wild.find_all("script") == []
    assert [e.name for e in tame.find_all()] == [e.name for e in wild.find_all()]
    assert not any(name.startswith("on") for e in wild.find_all() for name in e.attrs)


def test_hostile_text_is_read_back_as_it_was_given(build):
    run = build.hostile()
    values = twin(run)

    for element in parsed(render(run)).find_all(attrs={"data-fact": True}):
        assert_shown(element, values)


def test_long_text_is_shortened_and_its_id_stands_beside_it(build):
    long = parsed(render(build.facts())).find(attrs={"data-fact": "issues.3.examples.1.text"})

    assert long.get_text().endswith("…")
    assert len(long.get_text()) <= 280
    assert "c1e87a449a41c0de77c1be02f5d0a6b1" in long.find_parent("li").get_text()


def test_a_lone_surrogate_is_shown_as_a_replacement_character(build):
    page = render(build.facts(recipe_text="broken \ud800 text"))

    assert "broken \ufffd" in page
    page.encode()


def test_the_page_refers_to_nothing_outside_itself(build):
    page = render(build.facts())

    assert re.findall(r"https?:|src=|@import|url\(|<script|<link|<iframe", page) == []
    assert "default-src 'none'" in page
    assert {a["href"][0] for a in parsed(page).find_all("a")} == {"#"}


def test_no_id_appears_twice_and_each_reference_has_its_target(build):
    soup = parsed(render(build.facts()))
    ids = [e["id"] for e in soup.find_all(id=True)]
    named = [e.get("aria-labelledby", "").split() for e in soup.find_all()]

    assert len(set(ids)) == len(ids)
    assert {i for names in named for i in names} <= set(ids)
    assert {a["href"][1:] for a in soup.find_all("a")} <= set(ids)


def test_every_count_of_an_issue_names_the_command_that_lists_its_rows(build):
    soup = parsed(render(build.facts()))

    for article in soup.find("section", id="found").find_all("article")[:-1]:
        assert article.find("code", string=re.compile("^curator rows"))
    for item in soup.select("#changed .acts li"):
        assert item.find("code", string=re.compile("^curator rows"))


def test_what_was_looked_for_and_not_found_is_said(build):
    last = parsed(render(build.facts())).find("section", id="found").find_all("article")[-1]

    assert "Looked for and not found" in last.get_text()
    assert describe("empty")[0] in last.get_text()


def big_facts(build):
    text = "<\"&'>" * 3_000
    example = ExampleFacts(id="f" * 32, text=text, label=text, reason=text, partner_text=text)
    names = [f"step_{n}" for n in range(50)]
    act = build.actions("drop", 1, "a reason")
    acts = tuple(dataclasses.replace(act, reason=f"reason {n} {text}") for n in range(30))
    return build.facts(
        recipe_text=text * 100,
        versions=tuple(build.version(name, n) for n, name in enumerate(names)),
        corpus=build.corpus(
            classes=tuple(
                ClassFacts(name=f"class {n} {text}", train=30, validation=3, test=3)
                for n in range(2_000)
            )
        ),
        issues=tuple(
            build.issue(f"type_{n}", 10**9, share=0.5, examples=[example] * 400, done=acts)
            for n in range(12)
        ),
        changes=tuple(
            StepFacts(step=n, sentence="s", version="0" * 64, actions=acts, command="c")
            for n in names
        ),
        impacts=tuple(
            build.impact(name, tier, "better", 0.02, 0.01)
            for name in names
            for tier in ("probe", "top-layers")
        ),
    )


def test_many_classes_steps_and_examples_stay_under_two_megabytes(build):
    page = render(big_facts(build))

    assert len(page.encode()) < 2_000_000
    assert "1,600</data> classes are" in page


def test_a_page_over_the_limit_is_refused_with_its_size(build):
    step = StepFacts(step="s", sentence="<" * 1_000, version="0", actions=(), command="c")

    with pytest.raises(
        ReportError, match=r"would take \d,\d+,\d+ bytes, over the limit of 2,000,000"
    ):
        render(build.facts(changes=(step,) * 500))


def test_without_impacts_the_page_says_why_nothing_was_measured(build):
    page = render(build.facts(impacts=(), not_measured="The recipe asks for no measurement."))

    assert "The recipe asks for no measurement." in page
    assert "<svg" not in page


def test_without_impacts_and_without_a_reason_there_is_no_report(build):
    with pytest.raises(ReportError, match="`not_measured` must say why"):
        render(build.facts(impacts=()))


def test_a_run_in_which_nothing_could_be_measured_has_words_and_no_chart(build):
    page = render(build.facts(impacts=build.impacts()[6:8]))

    assert "<svg" not in page
    assert "There is no encoder for this language." in page
    assert "It added no row, so both trainings are one." in page


def test_a_bare_run_renders(build):
    lock = dataclasses.replace(
        build.facts().lock,
        digest=None,
        test_rows=0,
        smallest_effect=None,
        margin=None,
        first_used=None,
        made_here=False,
    )
    page = render(
        build.facts(
            issues=(),
            changes=(),
            impacts=(),
            not_measured="There are no test rows.",
            next_steps=(),
            commands=(),
            lock=lock,
        )
    )

    assert "Not yet: 1 reason to stop." in page
    assert "Nothing is left to do." in page


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_with_its_path(build, number):
    lock = dataclasses.replace(build.facts().lock, smallest_effect=number)

    with pytest.raises(ReportError, match=r"lock\.smallest_effect"):
        twin(build.facts(lock=lock))


def test_examples_are_refused_where_the_recipe_keeps_them_out(build):
    with pytest.raises(ReportError, match="examples_shown is 'none'"):
        twin(build.facts(examples_shown="none"))


def test_counts_that_contradict_each_other_are_refused(build):
    bad = dataclasses.replace(build.issues()[3], open=500)

    with pytest.raises(ReportError, match="open 500 is not between 0 and count 212"):
        twin(build.facts(issues=(bad,)))


def test_write_leaves_the_page_and_its_twin_side_by_side(build, tmp_path):
    page, beside = write(build.facts(), tmp_path / "new" / "report.html")

    assert page.read_text("utf-8") == render(build.facts())
    assert json.loads(beside.read_text("utf-8")) == twin(build.facts())
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.json"]


def test_write_keeps_the_old_report_when_the_new_one_cannot_be_made(build, tmp_path):
    path = tmp_path / "report.html"
    write(build.facts(), path)

    with pytest.raises(ReportError):
        write(build.facts(impacts=()), path)

    assert path.read_text("utf-8") == render(build.facts())


def test_write_says_which_file_it_cannot_write(build, tmp_path):
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(ReportError, match=r"cannot write the report .*choose another place"):
        write(build.facts(), tmp_path / "file" / "report.html")


def test_write_asks_for_a_name_that_ends_in_html(build, tmp_path):
    with pytest.raises(ReportError, match=r"ends in \.html"):
        write(build.facts(), tmp_path / "report.json")
