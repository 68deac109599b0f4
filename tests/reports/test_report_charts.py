import re

from bs4 import BeautifulSoup

from reports.charts import effects


def row(step, verdict, low=None, effect=None, high=None):
    return {
        "step": step,
        "tier": "probe",
        "metric": "accuracy",
        "verdict": verdict,
        "low": low,
        "effect": effect,
        "high": high,
        "margin": 0.01,
    }


ROWS = [
    row("clean", "undecided", -0.02, 0.0, 0.03),
    row("leaks", "worse", -0.04, -0.03, -0.02),
    row("same", "identical"),
    row("labels", "better", 0.01, 0.02, 0.03),
]


def texts(svg):
    return [text.get_text() for text in BeautifulSoup(svg, "html.parser").find_all("text")]


def test_each_impact_is_named_and_its_verdict_stands_as_a_word_in_both_drawings():
    for narrow in (False, True):
        words = texts(effects(ROWS, narrow=narrow, svg_id="x"))

        assert [w for w in words if "probe" in w] == [
            "clean · probe",
            "leaks · probe",
            "same · probe",
            "labels · probe",
        ]
        assert {"Undecided", "Worse", "Identical", "Better"} <= set(words)


def test_verdicts_differ_in_shape_and_not_only_in_colour():
    svg = BeautifulSoup(effects(ROWS, narrow=False, svg_id="x"), "html.parser")
    marks = [path["d"] for path in svg.select(".mark-symbol path")]

    assert len(marks) == len(set(marks)) == 3


def test_the_marks_stand_where_the_effects_are():
    svg = BeautifulSoup(effects(ROWS, narrow=False, svg_id="x"), "html.parser")
    marks = svg.select(".mark-symbol path")
    x = [float(re.match(r"translate\(([-\d.]+)", m["transform"]).group(1)) for m in marks]

    zero, minus_three, two = x
    assert abs((zero - minus_three) / 3 - (two - zero) / 2) < 1e-6
    assert minus_three < zero < two


def test_the_drawing_scales_and_has_a_title_and_a_description():
    svg = BeautifulSoup(effects(ROWS, narrow=True, svg_id="x"), "html.parser").svg

    assert svg["viewbox"].startswith("0 0 ")
    assert svg["role"] == "img"
    assert [svg.find(id=name).name for name in svg["aria-labelledby"].split()] == ["title", "desc"]
    assert "clean · probe: Undecided." in svg.desc.get_text()


def test_nothing_measured_is_nothing_drawn():
    assert effects([row("same", "identical")], narrow=False, svg_id="x") == ""
    assert effects([], narrow=False, svg_id="x") == ""


def test_hostile_names_stay_text():
    name = "</svg><script>alert('1')</script>\"\\'"
    for narrow in (False, True):
        svg = effects([row(name, "better", 0.01, 0.02, 0.03)], narrow=narrow, svg_id="x")

        assert "<script" not in svg
        assert svg.count("</svg>") == 1
        assert any(text.startswith(name[:20]) for text in texts(svg))


def test_the_drawing_asks_for_nothing_outside_itself():
    assert not re.search(r"https?:|url\(|href|@import", effects(ROWS, narrow=False, svg_id="x"))
