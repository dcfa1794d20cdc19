"""moto's server as the local target runs it: with the faults mended that the program would meet.

Run as a file, copied into the stack's own folder: its process may not be able to read this checkout. So it imports
nothing of watoto.

Mended in moto 5.2.5: user data of a launch template's second and later versions is kept undecoded, which an auto
scaling group that grows cannot read (``LaunchTemplateVersion.user_data`` asserts it was decoded).
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.utils import parse_user_data
from moto.server import main


def mend_user_data() -> None:
    """Decode user data whichever request brought it."""
    make = LaunchTemplateVersion.__init__

    def decoding(self: Any, template: Any, number: int, data: dict[str, Any], *rest: Any, **named: Any) -> None:
        if isinstance(data.get("UserData"), str):
            data = data | {"UserData": parse_user_data(data["UserData"])}
        make(self, template, number, data, *rest, **named)

    LaunchTemplateVersion.__init__ = decoding


if __name__ == "__main__":
    mend_user_data()
    main()
