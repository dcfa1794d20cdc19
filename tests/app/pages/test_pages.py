"""The pages over HTTP: what they may load, who may keep them, and that they are in nobody's way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from lms_app import pages
from lms_app.app import create_app
from lms_app.observability import metrics
from lms_app.settings import load_settings
from tests.app.conftest import services_of
from tests.app.platform.conftest import environment

MOST_BYTES = 60_000
FILE = f"/pages/{pages.VERSION}"
SCRIPTS = sorted(name for name in pages.FILES if name.endswith(".js"))


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    app = create_app(load_settings(environment()))
    yield app
    services_of(app).databases.close()


@pytest.fixture(scope="module")
def client(app: Flask) -> FlaskClient:
    return app.test_client()


class Elements(HTMLParser):
    """The elements of a page, and the text that is in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in {"script", "style"}:
            self.inline += data.strip()


def test_the_shell_is_asked_for_again_each_time_and_may_load_only_what_is_its_own(client):
    answer = client.get("/")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.headers["Cache-Control"] == "no-cache"
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert client.get("/", headers={"If-None-Match": f"W/{answer.headers['ETag']}"}).status_code == 304, "compressed"
    head = client.head("/")
    assert (head.data, head.headers["Content-Length"]) == (b"", str(len(answer.data)))


def test_nothing_stands_in_the_shell_that_its_policy_would_refuse(client):
    shell = Elements(client.get("/").text)
    assert shell.inline == ""
    for _, attributes in shell.found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    loaded = [attributes.get("src") or attributes.get("href") for tag, attributes in shell.found if tag != "a"]
    for address in filter(None, loaded):
        assert address.startswith(f"{FILE}/"), address
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("name", sorted(pages.FILES))
def test_a_file_is_kept_for_good_under_its_version_and_by_nobody_under_another(client, name):
    answer = client.get(f"{FILE}/{name}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.mimetype == {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[name.split(".")[1]]
    known = client.get(f"{FILE}/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")
    other = client.get(f"/pages/{'0' * 12}/{name}")
    assert (other.data, other.headers["Cache-Control"]) == (answer.data, "no-store")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_module_imports_only_files_that_are_there_and_makes_no_markup_of_text(name):
    text = pages.FILES[name].body.decode()
    imported = set(re.findall(r'(?:from|import\()\s*"\./([^"]+)"', text))
    assert imported <= set(pages.FILES)
    assert text.count("import") >= len(imported)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|https?:", text)


def test_it_all_weighs_less_than_a_picture():
    assert len(pages.SHELL.body) + sum(len(page.body) for page in pages.FILES.values()) < MOST_BYTES


def test_the_pages_have_two_routes_and_none_of_the_api(app):
    rules = [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("pages.")]
    assert rules == ["/", "/pages/<string(length=12):version>/<name>"]


def test_requests_for_pages_are_counted_under_the_template_of_their_route(app, client):
    def counted(endpoint: str) -> float:
        return float(metrics.http_requests.labels("GET", endpoint, "200")._value.get())

    template = "/pages/<string(length=12):version>/<name>"
    before = counted("/"), counted(template)
    client.get("/")
    for name in ("main.js", "ui.js"):
        client.get(f"{FILE}/{name}")
    assert (counted("/"), counted(template)) == (before[0] + 1, before[1] + 2)


HOSTILE = [
    "/api/none",
    "/api/",
    "/none",
    "/index.html",
    "/pages",
    "/pages/",
    f"{FILE}/",
    f"{FILE}/none.js",
    f"{FILE}/__init__.py",
    f"{FILE}/../__init__.py",
    f"{FILE}/..%2f__init__.py",
    f"{FILE}/%2e%2e/%2e%2e/app.py",
    f"{FILE}/..%5cshell.html",
    f"{FILE}/main.js%00.css",
    f"{FILE}/main.js/",
    "/pages/..%2f..%2f/main.js",
    "/pages/short/main.js",
    f"/pages/{'é' * 12}/none",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_what_is_no_page_stays_a_problem_document(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert "immutable" not in answer.headers["Cache-Control"]


@given(st.text(max_size=40))
def test_no_name_reaches_a_file_that_is_not_a_page(client, name):
    answer = client.get(f"{FILE}/{name}")
    assert answer.status_code in {200, 304, 308, 404}
    assert answer.status_code != 200 or name.split("?")[0].split("#")[0] in pages.FILES


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_page_cannot_be_written_to(client, method):
    for path in ("/", f"{FILE}/main.js"):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
