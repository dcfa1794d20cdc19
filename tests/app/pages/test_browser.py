"""What people do with the pages, done in a real browser through the real gateway, against a real LMS and database."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.common.keys import Keys
from werkzeug.serving import make_server

from lms_app.domain import accounts, passwords
from lms_app.domain.identity import Role
from lms_app.domain.seeding import School, seed
from tests.app.conftest import PASSWORD, Cluster, services_of, start_cluster
from tests.app.pages import browsing
from tests.app.pages.browsing import Person
from tests.app.servers.moto import MotoServer
from tests.app.servers.postgres import Server
from tests.render.nginx_server import front
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.settings import load_stage

pytestmark = pytest.mark.local

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
COURSES = 30
HEAD, TEACHER, STUDENT = "head@school.example", "teacher@school.example", "student@school.example"


@dataclass(frozen=True)
class AppServer:
    """The LMS as the gateway knows it."""

    port: int
    name: str = "lms"


@pytest.fixture(scope="module", autouse=True)
def _a_browser(require_binary: Callable[[str], Path]) -> None:
    """Looked for before anything is started."""
    for program in ("chromium", "chromedriver"):
        require_binary(program)


@pytest.fixture(scope="module")
def cluster(postgres_bin: Path, template: Server) -> Iterator[Cluster]:
    """A small school of which three people can sign in with a password."""
    cluster = start_cluster(postgres_bin, template, with_replica=False)
    try:
        databases = services_of(cluster.app()).databases
        seed(databases, School(users=20, courses=COURSES, password_hash=passwords.UNUSABLE))
        for email, name, role in (
            (HEAD, "Grace", Role.ADMIN),
            (TEACHER, "Otieno", Role.TEACHER),
            (STUDENT, "Amina", Role.STUDENT),
        ):
            accounts.register(databases, email=email, password=PASSWORD, name=name, role=role)
        yield cluster
    finally:
        cluster.close_apps()
        cluster.servers.close()


@pytest.fixture(scope="module")
def site(cluster: Cluster, file_store: MotoServer, require_binary: Callable[[str], Path]) -> Iterator[str]:
    """The LMS behind nginx, as a browser reaches it."""
    require_binary("nginx")
    app = cluster.app(media_bucket=file_store.bucket, s3_endpoint_url=file_store.url)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        inputs = for_stage("phase2", load_stage("phase2").settings)
        with tempfile.TemporaryDirectory(prefix="watoto-test-") as name:
            Path(name).chmod(0o755)
            with front(inputs, Path(name), [AppServer(server.server_port)], files=False) as nginx:
                yield f"http://127.0.0.1:{nginx.port}"
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(site: str, require_binary: Callable[[str], Path]) -> Iterator[Person]:
    chromium, driver = require_binary("chromium"), require_binary("chromedriver")
    with tempfile.TemporaryDirectory(prefix="watoto-test-", ignore_cleanup_errors=True) as profile:
        started = browsing.start(chromium, driver, Path(profile))
        try:
            yield Person(started, site)
        finally:
            started.quit()


@pytest.fixture
def person(browser: Person) -> Iterator[Person]:
    """Somebody new at the browser; at the end it must not have complained of anything."""
    browser.arrive()
    yield browser
    assert browser.complaints() == []


def test_a_student_signs_in_enrols_gets_on_and_signs_out(person: Person):
    assert len(person.all(".card")) == 24
    person.press("Show more")
    person.see("History 4")
    person.settle()
    assert len(person.all(".card")) == COURSES
    person.sign_in(STUDENT, PASSWORD)
    person.see("Welcome, Amina.", "#status")
    person.see("You are not in any course yet.")
    person.go("#/courses/4")
    person.press("Enrol")
    person.see("You are in: History 4.", "#status")
    person.settle()
    person.press("Lesson 1")
    person.see("Module 1 of 10")
    person.press("Mark as done")
    person.see("10 %")
    person.settle()
    assert person.all("progress")[0].get_attribute("value") == "10"
    person.go("#/courses/4")
    person.driver.refresh()  # it is the LMS that remembers, not the page
    person.see("Done", ".modules li:first-child")
    assert ["Done" in one.text for one in person.all(".modules li")] == [True] + [False] * 9
    person.go("#/learning")
    assert "10 %" in person.see("History 4", ".card").text
    person.press("Sign out")
    person.see("You are signed out.", "#status")
    person.settle()
    person.go("#/learning")
    person.see("Sign in", "h1")


def test_a_teacher_makes_a_course_and_a_student_sees_it_with_its_file(person: Person, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("Read, try, ask.")
    person.sign_in(TEACHER, PASSWORD)
    person.see("Welcome, Otieno.", "#status")
    person.go("#/teaching/new")
    person.write("Title", "Beekeeping")
    person.press("Make the course")
    person.see("The course is there.", "#status")
    for title in ("Hives", "Honey"):
        person.write("Title of the module", title)
        person.press("Add the module")
        person.see(f"Added: {title}.", "#status")
    person.settle()
    person.press("Move “Honey” up")
    person.see("“Honey” is number 1 now.", "#status")
    person.write("File", str(tmp_path / "notes.txt"))
    person.press("Upload the file")
    person.see("notes.txt is uploaded.", "#status")
    person.settle()
    person.press("Published: everybody sees it and may enrol", "input")
    person.press("Save")
    person.see("Saved.", "#status")
    person.settle()
    course = person.driver.current_url.rpartition("/")[2]
    person.press("Sign out")
    person.see("You are signed out.", "#status")
    person.sign_in(STUDENT, PASSWORD)
    person.see("Welcome", "#status")
    person.go(f"#/courses/{course}")
    person.press("Enrol")
    person.see("notes.txt", ".files")
    person.settle()
    assert [one.text for one in person.all(".modules a")] == ["Honey", "Hives"]
    for title in ("Honey", "Hives"):
        person.go(f"#/courses/{course}")
        person.press(title)
        person.see(title, "h1")
        person.press("Mark as done")
    person.see("the course is done!", "#status")
    person.sign_in(TEACHER, PASSWORD)
    person.see("Welcome", "#status")
    person.go(f"#/teaching/{course}/report")
    assert "100 %" in person.see("Amina", "tbody tr").text


def test_a_hostile_title_is_text_and_nothing_else(person: Person):
    person.sign_in(TEACHER, PASSWORD)
    person.see("Welcome", "#status")
    person.go("#/teaching/new")
    person.write("Title", HOSTILE)
    person.write("What it is about", HOSTILE)
    person.press("Published: everybody sees it and may enrol", "input")
    person.press("Make the course")
    person.see(HOSTILE, "h1")
    person.write("Title of the module", HOSTILE)
    person.press("Add the module")
    person.see(HOSTILE, ".modules")
    course = person.driver.current_url.rpartition("/")[2]
    for address in ("#/teaching", f"#/courses/{course}"):
        person.go(address)
        person.see(HOSTILE, "main")
        assert person.all("main img, main script") == []
    assert person.driver.title == f"{HOSTILE} · Watoto LMS"


def test_markup_from_a_script_and_inline_scripts_are_refused_by_the_browser(person: Person):
    with pytest.raises(JavascriptException, match="TrustedHTML"):
        person.driver.execute_script("document.body.innerHTML = '<b>taken</b>'")
    with pytest.raises(JavascriptException, match="TrustedScript"):
        person.driver.execute_script("document.createElement('script').textContent = 'window.taken = 1'")
    assert len([line for line in person.complaints() if "TrustedHTML" in line or "TrustedScript" in line]) == 2


def test_an_administrator_makes_an_account_and_takes_it_away(person: Person):
    person.sign_in(HEAD, PASSWORD)
    person.see("Welcome, Grace.", "#status")
    person.go("#/people")
    person.write("Name", "Njeri")
    person.write("E-mail address", STUDENT)
    person.write("Role", "Teacher")
    person.write("First password", PASSWORD)
    person.press("Make the account")
    person.see("This address has an account already.", "form .problem")
    assert ["409" in line for line in person.complaints()] == [True]
    person.write("E-mail address", "njeri@school.example")
    person.press("Make the account")
    person.see("Njeri can sign in now.", "#status")
    entry = person.see("njeri@school.example", ".line")
    assert "teacher" in entry.text
    person.press("Deactivate", within=entry)
    person.agree()
    person.see("Njeri cannot sign in any more.", "#status")
    person.see("deactivated", ".line")
    person.press("Sign out")
    person.see("You are signed out.", "#status")
    person.sign_in("njeri@school.example", PASSWORD)
    person.see("The address or the password is wrong.", "form .problem")
    assert ["401" in line for line in person.complaints()] == [True]


def test_notifications_are_counted_and_read(person: Person, cluster: Cluster):
    tell = (
        "INSERT INTO notifications (user_id, kind, message) SELECT id, 'announcement', %s FROM users WHERE email = %s"
    )
    for message in ("Saturday is free", HOSTILE):
        cluster.primary.query(tell, message, STUDENT)
    person.sign_in(STUDENT, PASSWORD)
    person.see("2", ".count")
    person.go("#/notifications")
    person.press("Mark as read", within=person.see("Saturday is free", ".card"))
    person.see("1", ".count")
    person.go("#/notifications/unread")
    person.see(HOSTILE, ".card")
    assert len(person.all(".card")) == 1


def test_a_session_that_was_ended_elsewhere_leads_to_the_sign_in_and_back(person: Person, cluster: Cluster):
    person.sign_in(STUDENT, PASSWORD)
    person.see("Welcome", "#status")
    forged = (
        "sessionStorage.setItem('lms-session', sessionStorage.getItem('lms-session').replace('student.', 'teacher.'))"
    )
    person.driver.execute_script(forged)
    person.driver.execute_script("location.hash = '#/notifications'; location.reload()")
    person.see("Your session has ended. Sign in again.", "#status")
    assert {"401" in line for line in person.complaints()} == {True}
    person.write("E-mail address", STUDENT)
    person.write("Password", PASSWORD + Keys.ENTER)
    person.see("Notifications", "h1")


def test_the_keyboard_and_a_screen_reader_are_led_to_what_is_new(person: Person):
    person.focused().send_keys(Keys.TAB)
    assert person.focused().accessible_name == "Skip to the content"
    person.focused().send_keys(Keys.ENTER)
    assert person.focused().tag_name == "main"
    person.press("Sign in")
    person.see("Sign in", "h1")
    person.settle()
    assert person.focused().tag_name == "h1"
    person.focused().send_keys(Keys.TAB)
    person.focused().send_keys(STUDENT, Keys.TAB)
    person.focused().send_keys(PASSWORD, Keys.ENTER)
    assert person.see("Welcome, Amina.", "#status").aria_role == "status"
    person.settle()
    assert person.focused().text == "My courses"
    for element in person.all("input, select, textarea, button, a, progress, nav, img:not([alt=''])"):
        assert element.accessible_name or not element.is_displayed(), element.get_attribute("outerHTML")


def test_no_page_is_wider_than_a_small_telephone(person: Person):
    person.sign_in(HEAD, PASSWORD)
    person.see("Welcome", "#status")
    addresses = ["#/", "#/courses/4", "#/learning", "#/notifications", "#/account", "#/people", "#/sign-in"]
    addresses += ["#/teaching", "#/teaching/new", "#/teaching/4", "#/teaching/4/report"]

    def widths() -> dict[str, int]:
        found = {}
        for address in addresses:
            person.go(address)
            found[address] = person.sideways()
        return found

    assert {address for address, beyond in person.at_width(320, widths).items() if beyond > 0} == set()
