"""A spike: a fifth of the guide's users, then all of them at once, then a fifth again.

`--users` is the height of the spike and `--run-time` the length of it all (default 1 min), a third for each part.

`locust -f watoto_infra/load/scenarios/spike.py --headless --host URL -u 500 -t 1m --sessions FILE`
"""

from __future__ import annotations

from locust import LoadTestShape

from watoto_infra.load.scenarios.guide import LMSUser

__all__ = ["LMSUser", "Spike"]
WHOLE_S = 60.0
CALM = 0.2
SHARES = (CALM, 1.0, CALM)


class Spike(LoadTestShape):  # type: ignore[misc]
    """How many users are there at each moment."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users, who come and go at once; None ends it."""
        options = self.runner.environment.parsed_options
        peak, whole = options.num_users or 100, float(options.run_time or WHOLE_S)
        part = int(self.get_run_time() / whole * len(SHARES))
        if part >= len(SHARES):
            return None
        return max(1, round(peak * SHARES[part])), float(peak)
