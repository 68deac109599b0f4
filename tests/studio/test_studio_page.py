"""The annotator's page in a real browser, worked by keyboard alone."""

import os
import shutil
import tempfile
import time

import pytest

pytestmark = [pytest.mark.studio, pytest.mark.browser, pytest.mark.slow]

SHOT = os.environ.get("STUDIO_SHOT")  # a file for a picture of the page, as docs/annotation.png


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


def test_an_annotator_judges_rows_by_keyboard_alone(desk, server, chrome, studio_module):
    from selenium.webdriver.common.keys import Keys

    desk.push(20)
    chrome.get(f"{server.url}/user/login")
    chrome.find_element("name", "email").send_keys(studio_module.ADMIN)
    chrome.find_element("name", "password").send_keys(studio_module.PASSWORD + Keys.RETURN)
    until(lambda: "login" not in chrome.current_url, "nobody is logged in")
    chrome.get(f"{server.url}/projects/{desk.number}/data?labeling=1")
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
    if SHOT:
        chrome.save_screenshot(SHOT)
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
