"""A real browser, driven as a person uses it: it sees names, labels and texts, and nothing but this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.app.platform.processes import wait_until

T = TypeVar("T")
ARGUMENTS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1100,900",
)
SETTLED = "return !!document.querySelector('h1') && !document.querySelector('[aria-busy]')"
SHOWING = """
const [where, text] = arguments;
return [...document.querySelectorAll(where)].find((one) => one.innerText.includes(text)) ?? null;
"""
NAMED = """
const [within, selector, name] = arguments;
const nameOf = (one) => (one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.innerText).trim();
return [...(within ?? document).querySelectorAll(selector)].find((one) => nameOf(one) === name) ?? null;
"""
SECONDS = 10
WIDER = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


def start(browser: Path, driver: Path, folder: Path) -> webdriver.Chrome:
    """Start the browser with a profile in `folder`."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser)
    for argument in (*ARGUMENTS, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    if os.getuid() == 0:
        options.add_argument("--no-sandbox")  # it refuses to run as root with one
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(str(driver)))


class Person:
    """Somebody at the browser."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def arrive(self) -> None:
        """Come as somebody of whom the browser remembers nothing."""
        self.driver.delete_all_cookies()
        self.driver.get(f"{self.url}/")
        self.driver.execute_script("sessionStorage.clear()")
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/")
        self.see("Courses", "h1")
        self.driver.get_log("browser")

    def sign_in(self, email: str, password: str) -> None:
        self.go("#/sign-in")
        self.write("E-mail address", email)
        self.write("Password", password)
        self.press("Sign in", "form button")

    def go(self, address: str) -> None:
        self.driver.execute_script("location.hash = arguments[0]", address)
        self.settle()

    def settle(self) -> None:
        """Wait until a page is drawn and nothing is under way."""
        wait_until(lambda: bool(self.driver.execute_script(SETTLED)), SECONDS)

    def see(self, text: str, where: str = "body") -> WebElement:
        """Wait until the text is shown, and give the element it is in."""
        found: list[WebElement | None] = [None]

        def look() -> bool:
            found[0] = self.driver.execute_script(SHOWING, where, text)
            return found[0] is not None

        try:
            wait_until(look, SECONDS)
        except AssertionError:
            raise AssertionError(f"{text!r} is not in {where}; there is: {self.text()}") from None
        assert found[0] is not None
        return found[0]

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, text: str, selector: str = "button, a", *, within: WebElement | None = None) -> None:
        """Press the button or follow the link that has this name."""
        self.named(text, selector, within).click()

    def named(self, name: str, selector: str, within: WebElement | None = None) -> WebElement:
        """Wait for the element that people know by this name, and give it."""
        self.settle()
        found: WebElement | None = self.driver.execute_script(NAMED, within, selector, name)
        assert found is not None, f"there is no {name!r}; there is: {self.text()}"
        return found

    def agree(self) -> None:
        """Say yes to the browser's own question."""
        self.driver.switch_to.alert.accept()

    def write(self, label: str, text: str) -> None:
        """Fill in the field with this label."""
        field = self.named(label, "input, textarea, select")
        if field.get_attribute("type") != "file" and field.tag_name != "select":
            field.clear()
        field.send_keys(text)

    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def at_width(self, pixels: int, look: Callable[[], T]) -> T:
        """Look at a screen of this width."""
        size = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            return look()
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def sideways(self) -> int:
        """How many pixels of the page lie beyond the right edge."""
        return int(self.driver.execute_script(WIDER))

    def complaints(self) -> list[str]:
        """What the browser complained of since the last time: errors, and whatever the page's policy refused."""
        log = self.driver.get_log("browser")
        return [
            entry["message"] for entry in log if entry["level"] in {"SEVERE", "WARNING"} or "policy" in entry["message"]
        ]
