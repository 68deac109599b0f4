import base64
import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from reports import write
from reports.facts import ClassFacts, ExampleFacts


def chinese_facts(build):
    run = build.facts()
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
    return build.facts(
        name="客服意图 CIC", language="zh", issues=found, corpus=build.corpus(classes=classes)
    )


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


def shoot(chrome, target, width, height):
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    given = {"clip": clip, "captureBeyondViewport": True}
    shot = chrome.execute_cdp_cmd("Page.captureScreenshot", given)
    target.write_bytes(base64.b64decode(shot["data"]))


HEADINGS = [
    "Is the data fit for use?",
    "What was found",
    "What was changed, and why",
    "What each change brought",
    "What to do next",
    "Details",
]


@pytest.mark.browser
def test_the_page_reads_well_without_javascript_at_desktop_and_phone_width(build, tmp_path):
    keep = os.environ.get("REPORT_SHOTS")  # a folder for pictures of the whole page, to look at
    runs = {"en": build.facts(), "zh": chinese_facts(build), "hostile": build.hostile()}
    pages = [write(run, tmp_path / f"{name}.html")[0] for name, run in runs.items()]
    unfolded = tmp_path / "unfolded.html"
    unfolded.write_text(pages[1].read_text("utf-8").replace("<details", "<details open"), "utf-8")

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chrome = browser(folder)
        try:
            for page in (*pages, unfolded):
                for width, height in ((1280, 900), (390, 844), (360, 740)):
                    size, asked = look(chrome, page, width, height)
                    if keep:
                        shoot(chrome, Path(keep, f"{page.stem}-{width}.png"), width, size["height"])

                    assert size["width"] <= width, f"{page.stem} scrolls sideways at {width}"
                    assert asked == {page.as_uri()}
                    shown = chrome.find_elements("css selector", "h2")
                    assert [h.text for h in shown if h.is_displayed()] == HEADINGS
        finally:
            chrome.quit()


@pytest.mark.browser
def test_the_browser_of_these_tests_runs_no_javascript(tmp_path):
    page = tmp_path / "script.html"
    page.write_text("<title>still</title><script>document.title = 'moved'</script>", "utf-8")

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chrome = browser(folder)
        try:
            chrome.get(page.as_uri())

            assert chrome.title == "still"
        finally:
            chrome.quit()
