"""``--only`` on the official engine takes patterns and what is needed, as it does on ours."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.harness import urn_of
from watoto_infra.engine.pulumi_targets import targets
from watoto_infra.errors import UsageError

GROUP, PROVIDER = urn_of("group", "test:index:Group"), urn_of("default", "pulumi:providers:mem")


def planned(*steps: str, **goal: Any) -> dict[str, Any]:
    return {"goal": goal, "steps": list(steps)}


WHOLE: dict[str, Any] = {
    "resourcePlans": {
        GROUP: planned("create"),
        PROVIDER: planned("create"),
        urn_of("there"): planned("update"),
        urn_of("first"): planned("create", parent=GROUP, provider=f"{PROVIDER}::[unknown]"),
        urn_of("second"): planned("create", dependencies=[urn_of("first")]),
        urn_of("third"): planned("create", propertyDependencies={"of": [urn_of("second"), urn_of("there")], "x": None}),
        urn_of("other"): planned("create"),
    }
}


@pytest.mark.parametrize("whole", [WHOLE, {"version": 1, "plan": WHOLE}])
def test_what_a_named_resource_needs_and_is_yet_to_be_made_is_taken(whole: dict[str, Any]):
    needed = {GROUP, PROVIDER, urn_of("first"), urn_of("second"), urn_of("third")}
    assert set(targets(whole, [], [urn_of("third")])) == needed


def test_a_pattern_matches_whole_urns_also_of_what_is_to_be_deleted():
    assert targets(WHOLE, [urn_of("gone")], ["*::gone", "*::there"]) == sorted([urn_of("gone"), urn_of("there")])


def test_a_name_that_matches_nothing_is_refused():
    with pytest.raises(UsageError, match=r"\*X"):
        targets(WHOLE, [], ["*X", urn_of("there")])
