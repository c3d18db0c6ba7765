"""`visualdl --logdir=log`, looked at in a browser, and asked for its numbers."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workspace import Workspace

USERS_KNOW = {"Train loss": 6, "Learning rate": 6, "Test cer": 2}
"""Three tags and how many points each has after two epochs of six batches."""
TAGS = {*USERS_KNOW, "Gradient norm", "Hours per hour", "Waiting share", "Memory MB"}

OPEN_GROUPS = """
for (const title of document.querySelectorAll('h3')) {
    if (!title.parentElement.parentElement.querySelector('canvas')) title.parentElement.click();
}
"""

# How many pixels of each group's canvas have the colour that the list of runs gives the run.
DRAWN = """
const marks = document.querySelectorAll('.run-item i');
if (!marks.length) return {};
const colour = getComputedStyle(marks[0]).backgroundColor.match(/[0-9]+/g).map(Number);
const drawn = {};
for (const title of document.querySelectorAll('h3')) {
    const canvas = title.parentElement.parentElement.querySelector('canvas');
    if (!canvas) continue;
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
        const near = [0, 1, 2].every(c => Math.abs(data[i + c] - colour[c]) < 40);
        if (near && data[i + 3] > 200) count += 1;
    }
    drawn[title.textContent] = count;
}
return drawn;
"""


class Browser:
    """A page in headless chromium, driven through chromedriver (W3C WebDriver over HTTP)."""

    def __init__(self, driver: str, chromium: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._driver = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._address = f"http://127.0.0.1:{port}"
        options = {
            "binary": chromium,
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1600"],
        }
        # The page asks a server on the Internet for its statistics: do not wait for that.
        wanted = {"goog:chromeOptions": options, "pageLoadStrategy": "none"}
        try:
            wait_for(self._is_ready, "chromedriver")
            asked = {"capabilities": {"alwaysMatch": wanted}}
            self._session = f"/session/{self._call('POST', '/session', asked)['sessionId']}"
        except BaseException:
            self._driver.kill()
            raise

    def open(self, address: str) -> None:
        """Go to a page."""
        self._call("POST", f"{self._session}/url", {"url": address})

    def run(self, script: str) -> Any:
        """What a script on the page returns."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def screenshot(self) -> bytes:
        """The page as a PNG."""
        return base64.b64decode(self._call("GET", f"{self._session}/screenshot"))

    def close(self) -> None:
        """Close chromium and its driver."""
        with contextlib.suppress(OSError):
            self._call("DELETE", self._session)
        self._driver.terminate()
        self._driver.wait()

    def _is_ready(self) -> bool:
        try:
            return bool(self._call("GET", "/status")["ready"])
        except OSError:
            return False

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._address + path,
            data=data,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
    return result


@pytest.fixture
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    chromium = chromium or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt install chromium-driver)")
    page = Browser(driver, chromium)
    yield page
    page.close()


def test_each_group_shows_its_curve(
    trained: Workspace, visualdl: Callable[[Path], str], browser: Browser, tmp_path: Path
) -> None:
    browser.open(f"{visualdl(trained / 'log')}/app/scalar")
    titles = "return [...document.querySelectorAll('h3')].map(title => title.textContent)"
    wait_for(lambda: set(browser.run(titles)) == TAGS, "the groups")
    browser.run(OPEN_GROUPS)  # the page opens the first one alone
    try:
        wait_for(lambda: is_drawn(browser.run(DRAWN)), "the curves")
    finally:
        (tmp_path / "visualdl.png").write_bytes(browser.screenshot())


def is_drawn(pixels: dict[str, int]) -> bool:
    # Lines from one side to the other, not dots.
    return set(pixels) == TAGS and min(pixels.values()) > 100


def test_the_numbers_are_those_of_the_run(
    trained: Workspace, visualdl: Callable[[Path], str]
) -> None:
    address = visualdl(trained / "log")

    def ask(path: str, **query: str) -> Any:
        url = f"{address}/app/api/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]

    [run] = (trained / "log").iterdir()
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert {row["tag"] for row in rows} == TAGS
    tags = {name for name, kind in ask("tags").items() if kind == "scalar"}
    assert tags == {f"log/{run.name}/{tag}" for tag in TAGS}
    for tag, steps in USERS_KNOW.items():
        logged = {row["step"]: row["value"] for row in rows if row["tag"] == tag}
        shown = {
            step: value for _, step, value in ask("scalar/list", run=f"log/{run.name}", tag=tag)
        }
        assert shown == pytest.approx(logged, rel=1e-6) and len(shown) == steps  # VisualDL: float32
