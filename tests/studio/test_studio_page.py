"""The annotator's page in a real browser, worked by keyboard alone."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.studio, pytest.mark.browser, pytest.mark.slow]

SHOT = os.environ.get("STUDIO_SHOT")  # docs/annotation.png: where pictures of pages go


@pytest.fixture
def chrome():
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        message = "needs the Debian packages chromium and chromium-driver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--window-size=1280,860", f"--user-data-dir={folder}",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        ):  # fmt: skip
            options.add_argument(flag)
        found = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield found
        finally:
            found.quit()


def until(ready, what, seconds=60):
    """Wait until something holds; gives what it gave."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.2)
    pytest.fail(f"after {seconds} s: {what}")


def press(chrome, *keys):
    """Press keys one after another; a tuple is pressed together."""
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        actions = ActionChains(chrome)
        held = key if isinstance(key, tuple) else (key,)
        for one in held[:-1]:
            actions.key_down(one)
        actions.send_keys(held[-1])
        for one in held[:-1]:
            actions.key_up(one)
        actions.perform()
        time.sleep(0.4)


def body(chrome):
    return chrome.find_element("tag name", "body").text


def open_project(chrome, server, studio_module, desk):
    """Log in and begin to label."""
    from selenium.webdriver.common.keys import Keys

    chrome.get(f"{server.url}/user/login")
    chrome.find_element("name", "email").send_keys(studio_module.ADMIN)
    chrome.find_element("name", "password").send_keys(studio_module.PASSWORD + Keys.RETURN)
    until(lambda: "login" not in chrome.current_url, "nobody is logged in")
    chrome.get(f"{server.url}/projects/{desk.number}/data?labeling=1")


def shoot(chrome, name):
    """Keep a picture of the page where one is asked for."""
    if SHOT:
        chrome.save_screenshot(Path(SHOT).with_name(name))


def test_an_annotator_judges_rows_by_keyboard_alone(desk, server, chrome, studio_module):
    from selenium.webdriver.common.keys import Keys

    desk.push(20)
    open_project(chrome, server, studio_module, desk)
    tasks = {t["data"]["text"]: t["id"] for t in desk.tasks()}
    order = [t["data"]["text"] for t in sorted(desk.tasks(), key=lambda t: -t["data"]["priority"])]
    submit = (Keys.CONTROL, Keys.RETURN)
    judged = []

    def shown():
        return next((text for text in tasks if text in body(chrome)), None)

    def judge(*keys):
        before = until(shown, "no row is shown")
        judged.append(before)
        press(chrome, *keys)
        until(lambda: shown() not in (None, before), f"{keys} did not lead to another row")

    until(shown, "no row is shown")
    time.sleep(1)
    page = body(chrome)
    assert all(word in page for word in ("Given label", "Suggested label", "Why this row"))
    shoot(chrome, "annotation.png")
    judge("1", submit)
    judge("3", (Keys.SHIFT, "f"), "topic03", Keys.RETURN, Keys.TAB, submit)
    judge("4", submit)
    judge("5", submit)
    judge((Keys.CONTROL, " "))

    desk.pull()
    from curator.annotate import state_of

    events = state_of(desk.store, desk.project).events
    said = [(e["task"], e["decision"], e["kind"]) for e in events]
    decisions = ["keep", "other", "ambiguous", "drop", None]
    kinds = ["created"] * 4 + ["skipped"]
    assert [(tasks[t], d, k) for t, d, k in zip(judged, decisions, kinds, strict=True)] == said
    assert "topic03" == events[1]["value"]
    assert order[0] == judged[0], "the tab does not begin with the row that is worth most"


INTENTS = [f"{what}_{why}" for what in ("card", "transfer", "fee", "limit", "app", "pin", "loan")
           for why in ("lost", "late", "refused", "charged", "unknown", "blocked", "asked",
                       "pending", "wrong", "copied", "closed")]  # fmt: skip
WIDE = """\
name: wide
language: en
labels: labels.yaml
sources:
  - {from: "file:train.csv", split: train}
steps: [clean]
"""


def test_one_of_77_labels_is_found_by_a_few_letters(desk, server, chrome, studio_module):
    from selenium.webdriver.common.keys import Keys

    labels = [*(f"topic{k:02}" for k in range(4)), *INTENTS[:73]]
    lines = "".join(f"{one}: {{definition: Rows about {one}.}}\n" for one in labels)
    (desk.folder / "labels.yaml").write_text(lines, "utf-8")
    (desk.folder / "wide.yaml").write_text(WIDE, "utf-8")
    desk.push(5, "--recipe", "wide.yaml")
    open_project(chrome, server, studio_module, desk)
    until(lambda: "Given label" in body(chrome), "no row is shown")
    time.sleep(1)
    press(chrome, "3")
    until(lambda: "loan_late" in body(chrome), "the labels are not shown")
    assert all(label in body(chrome) for label in labels)
    press(chrome, (Keys.SHIFT, "f"), "late")
    until(lambda: "pin_lost" not in body(chrome), "the letters find nothing")
    shoot(chrome, "annotation-77.png")
    press(chrome, "\ue003" * 4, "loan_la", Keys.RETURN, Keys.TAB, (Keys.CONTROL, Keys.RETURN))
    until(lambda: desk.pull()["events"], "nothing was saved")

    from curator.annotate import state_of

    (event,) = state_of(desk.store, desk.project).events
    assert ("other", "loan_late") == (event["decision"], event["value"])
