"""Which statements the API sends where, and which index serves them, at the size of a real school."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection, Executable

from lms_app.db.database import Database
from lms_app.db.slow_queries import slowest
from lms_app.domain import accounts, courses, enrollments, modules
from lms_app.domain.identity import Role
from tests.app.conftest import COURSE, STUDENT, Caller, Cluster, services_of

pytestmark = pytest.mark.local


def explained(database: Database, statement: Executable, parameters: dict[str, Any]) -> str:
    """The plan of the statement as the driver sends it: parameters are bound, not written in."""

    def explain(connection: Connection) -> str:
        compiled = statement.compile(connection.engine)  # type: ignore[attr-defined]
        plan = connection.exec_driver_sql(
            "EXPLAIN (FORMAT JSON) " + str(compiled), compiled.construct_params(parameters)
        ).scalar_one()
        return json.dumps(plan)

    return database.read_primary(explain)


@pytest.mark.parametrize(
    ("index", "statement", "parameters", "how"),
    [
        (
            "idx_enrollments_user_progress",
            enrollments.BY_PROGRESS,
            {"user_id": STUDENT, "limit": 3},
            '"Index Scan"',
        ),
        (
            "idx_user_courses_covering",
            enrollments.PROGRESS,
            {"user_id": STUDENT, "after": 0, "limit": 21},
            '"Index Only Scan"',
        ),
        ("idx_course_modules_course_sequence", courses.DETAIL, {"course_id": COURSE}, "Scan"),
        ("idx_course_modules_course_sequence", modules.IN_ORDER, {"course_id": COURSE}, "Scan"),
        ("idx_active_users", accounts.NEWEST_ACTIVE, {"limit": 21}, '"Scan Direction": "Backward"'),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("idx") else "",
)
def test_the_apis_own_query_uses_the_index_made_for_it(school_cluster, index, statement, parameters, how):
    database = services_of(school_cluster.app()).databases.catalogue
    plan = explained(database, statement, parameters)
    assert f'"Index Name": "{index}"' in plan, plan
    assert how in plan, plan
    assert "Seq Scan" not in plan, plan


def test_at_least_95_percent_of_list_and_detail_statements_run_on_the_replica(school_cluster: Cluster):
    """The guide's mix: three lists, two details, one enrolment; the cache is off."""
    app = school_cluster.app()
    for server in (school_cluster.primary, school_cluster.replica):
        server.query("SELECT pg_stat_statements_reset()")
    students = [Caller(app, user_id, Role.STUDENT) for user_id in range(7001, 7011)]
    answers = []
    for turn in range(20):
        for n, student in enumerate(students):
            answers += [student.get("/api/courses").status_code for _ in range(3)]
            answers += [student.get(f"/api/courses/{turn % 5 + 1}").status_code for _ in range(2)]
            answers.append(student.post("/api/enrollments", {"course_id": (turn * 10 + n) % 200 + 1}).status_code)
    assert set(answers) <= {200, 201}
    assert answers.count(201) > 100
    sql = "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements WHERE query LIKE 'SELECT%FROM courses%'"
    (on_primary,), (on_replica,) = school_cluster.primary.query(sql)[0], school_cluster.replica.query(sql)[0]
    assert on_replica + on_primary >= 1000, "each request reached a database"
    assert on_replica / (on_replica + on_primary) >= 0.95


@pytest.mark.parametrize(("path", "count"), [("/api/courses", 1), ("/api/courses/1", 1), ("/api/enrollments", 1)])
def test_a_page_costs_one_statement_whatever_its_length(school_cluster: Cluster, path: str, count: int):
    student = Caller(school_cluster.app(), STUDENT)
    student.get(path)
    sql = (
        "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements"
        " WHERE query LIKE 'SELECT%FROM courses%' OR query LIKE 'SELECT%FROM enrollments%'"
    )
    (before,) = school_cluster.replica.query(sql)[0]
    assert student.get(f"{path}?limit=100" if path != "/api/courses/1" else path).status_code == 200
    assert school_cluster.replica.query(sql)[0][0] - before == count


def test_slow_queries_are_listed_by_their_mean_time(school_cluster: Cluster):
    school_cluster.primary.query("SELECT pg_sleep(0.2)")
    engine = services_of(school_cluster.app()).databases.catalogue.primary
    found = slowest("main/primary", engine, limit=5)
    assert found == sorted(found, key=lambda query: query.mean_ms, reverse=True)
    assert any("pg_sleep" in query.query and query.mean_ms >= 200 for query in slowest("main", engine, limit=50))
