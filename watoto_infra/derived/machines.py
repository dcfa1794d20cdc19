"""What a machine has: from the name of an AWS instance type, as AWS sizes them, or from what a pod is promised.

Per size (https://aws.amazon.com/ec2/instance-types/): ``large`` has 2 vCPU, ``xlarge`` 4, ``Nxlarge`` 4 N; families c,
m and r have 2, 4 and 8 GiB a vCPU. Types t have 2 vCPU up to ``large`` and 1, 2, 4 and 8 GiB from ``micro`` on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil

from watoto_infra.errors import RenderError
from watoto_infra.settings.app import AppSettings, Platform

GIB = 1024
_BURSTABLE_GIB = {"nano": 0.5, "micro": 1, "small": 2, "medium": 4, "large": 8}
_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8, "t": 4, "x": 16}
_TYPE = re.compile(r"(?:(?:db|cache|mq)\.)?(?P<family>[a-z])[a-z0-9-]*\.(?P<size>[a-z0-9]+)")


@dataclass(frozen=True)
class Machine:
    """What a server may use of the machine it runs on; sizes follow from it by formula."""

    cores: int
    memory_mib: int


def of_app_server(app: AppSettings) -> Machine:
    """Give what an app server may use: its instance, or what its pod is promised. Raises as ``of_instance_type``."""
    if app.platform is Platform.KUBERNETES:
        return Machine(ceil(app.kubernetes.cpu_millicores / 1_000), app.kubernetes.memory_mib)
    return of_instance_type(app.instance_types[0])


def of_instance_type(name: str) -> Machine:
    """Give vCPUs and memory of a type such as ``db.r7g.2xlarge``. Raises ``RenderError`` for an unknown one."""
    match = _TYPE.fullmatch(name)
    family, size = (match["family"], match["size"]) if match else ("", "")
    if family == "t" and size in _BURSTABLE_GIB:
        return Machine(2, int(_BURSTABLE_GIB[size] * GIB))
    times = re.fullmatch(r"(\d*)xlarge", size)
    cores = 1 if size == "medium" else 2 if size == "large" else 4 * int(times[1] or 1) if times else 0
    if not cores or family not in _GIB_PER_VCPU:
        raise RenderError(
            f"the size of instance type {name!r} is not known, so nothing can be sized for it",
            hint="use a type of the families c, m, r, t or x",
        )
    return Machine(cores, cores * _GIB_PER_VCPU[family] * GIB)
