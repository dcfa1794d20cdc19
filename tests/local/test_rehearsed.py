"""A local server of another version than the declared one is named, and only then."""

from __future__ import annotations

import pytest

from watoto_infra.servers.registry import servers
from watoto_infra.servers.version_differences import version_differences
from watoto_infra.settings import load_stage


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"postgresql": (15, 18), "redis": (7, 1, 2), "rabbitmq": (3, 13, 7)}, ()),
        ({"postgresql": (17, 2)}, ("PostgreSQL: declared 15, rehearsed on 17.2",)),
        (
            {"redis": (7, 0, 15), "rabbitmq": (3, 10, 8)},
            (
                "RabbitMQ: declared 3.13, rehearsed on 3.10.8",
                "Redis: declared 7.1, rehearsed on 7.0.15",
            ),
        ),
        ({}, ()),
    ],
)
def test_what_is_declared_and_what_it_is_rehearsed_on_are_said_where_they_differ(here, said):
    releases = {release: name for name, server in servers().items() for release in server.releases.values()}
    settings = load_stage("phase2", target="local").settings
    assert version_differences(settings, lambda release: here.get(releases[release])) == said
