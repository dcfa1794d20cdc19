"""Accounts and sessions through the API, from end to end."""

from __future__ import annotations

import pytest

from tests.app.conftest import (
    ADMIN,
    PASSWORD,
)
from tests.app.school import outbox

pytestmark = pytest.mark.local


def test_a_new_user_registers_is_greeted_signs_in_by_token_or_cookie_and_signs_out(school_app, call_as, school_cluster):
    visitor = call_as(None)
    account = {"email": "Amina@School.example", "password": PASSWORD, "name": "Amina"}
    made = visitor.post("/api/auth/register", account)
    assert (made.status_code, made.json["role"], made.json["email"]) == (201, "student", "amina@school.example")
    assert visitor.post("/api/auth/register", account).status_code == 409
    greeting = {"user_id": made.json["id"], "email": "amina@school.example"}
    assert greeting in outbox(school_cluster, "welcome_email")
    wrong = {"email": "amina@school.example", "password": "not this one"}
    assert visitor.post("/api/auth/sign-in", wrong).status_code == 401
    session = visitor.post("/api/auth/sign-in", {"email": "AMINA@school.example", "password": PASSWORD})
    assert session.status_code == 200
    cookie = next(c for c in session.headers.getlist("Set-Cookie") if c.startswith("lms_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert visitor.get("/api/users/me").json["name"] == "Amina", "the cookie is enough"
    bearer = {"Authorization": f"Bearer {session.json['token']}"}
    assert call_as(None).get("/api/users/me", headers=bearer).status_code == 200
    assert visitor.post("/api/auth/sign-out").status_code == 204
    assert call_as(None).get("/api/users/me", headers=bearer).status_code == 401


def test_a_registration_that_died_half_way_is_finished_by_the_next_one(call_as, school_cluster):
    sql = "INSERT INTO accounts (email) VALUES ('half@school.example') RETURNING user_id"
    ((user_id,),) = school_cluster.primary.query(sql)
    account = {"email": "half@school.example", "password": PASSWORD, "name": "Half"}
    made = call_as(None).post("/api/auth/register", account)
    assert (made.status_code, made.json["id"]) == (201, user_id)


def test_another_role_a_new_password_or_a_deactivation_ends_the_sessions(school_app, call_as):
    admin = call_as(ADMIN)
    for n, change in enumerate(({"role": "teacher"}, {"is_active": False}, None)):
        visitor = call_as(None)
        account = {"email": f"p{n}@school.example", "password": PASSWORD, "name": "P"}
        user_id = visitor.post("/api/auth/register", account).json["id"]
        visitor.post("/api/auth/sign-in", {"email": account["email"], "password": PASSWORD})
        assert visitor.get("/api/users/me").status_code == 200
        if change:
            assert admin("PATCH", f"/api/users/{user_id}", change).status_code == 200
        else:
            new = {"current_password": PASSWORD, "new_password": "a quite different one"}
            assert visitor("PUT", "/api/users/me/password", new).status_code == 204
        assert visitor.get("/api/users/me").status_code == 401
        back = visitor.post("/api/auth/sign-in", {"email": account["email"], "password": PASSWORD})
        assert back.status_code == (200 if change == {"role": "teacher"} else 401)
