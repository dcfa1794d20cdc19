"""The local processes of a stack as a whole: what they are to be, and making it so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from watoto_infra.dataplane import configs, requirements
from watoto_infra.dataplane.control_plane import SERVICE_NAME
from watoto_infra.dataplane.converge import Convergence, Converger
from watoto_infra.dataplane.credentials import local_credentials
from watoto_infra.dataplane.local_endpoints import local_endpoints
from watoto_infra.dataplane.local_target import LocalTarget
from watoto_infra.dataplane.service import Service, Unit
from watoto_infra.dataplane.services import alertmanager, exporters, lms, nginx, prometheus
from watoto_infra.dataplane.sizing import Shares, share_out, this_machine
from watoto_infra.dataplane.topology import Topology
from watoto_infra.errors import MissingProgram
from watoto_infra.outputs import StackOutputs
from watoto_infra.rendering.inputs import Inputs, Places, Secrets
from watoto_infra.rendering.secrets import secrets_of
from watoto_infra.rendering.versions import Versions
from watoto_infra.settings import LoadedStage

MODULES = (lms, nginx, prometheus, alertmanager, exporters)
"""Each gives the units of one kind of server."""


class LocalDataPlane:
    """Implements ``deployment.DataPlane`` with real servers under the stack's supervisor."""

    def __init__(self, target: LocalTarget, loaded: LoadedStage) -> None:
        self._target = target
        self._loaded = loaded

    def ensure_possible(self) -> Shares:
        """Say how this machine would be shared out.

        Raises ``MissingProgram`` naming what is not installed, ``ServiceFailed`` when the stage is too big.
        """
        findings = requirements.check()
        missing = [finding.requirement.program for finding in findings if finding.path is None]
        if missing:
            raise MissingProgram(
                f"not installed: {', '.join(missing)}", hint=f"run `{requirements.install_command(findings)}`"
            )
        return share_out(self._loaded.settings, this_machine())

    def converge(self, exported: Mapping[str, Any], say: Callable[[str], None]) -> Convergence:
        """Make what runs equal to what the stack exports; what is already so is left alone.

        Raises ``CheckFailed`` when a server refuses its configuration, ``ServiceFailed`` when one does not come up;
        then what ran before goes on and nothing new is left half-up.
        """
        topology = self.topology(StackOutputs.from_outputs(exported), self.ensure_possible())
        configs.place(topology)
        converger = Converger(self._target.home, self._target.supervisor, say)
        return converger.converge(units(topology), keep=(SERVICE_NAME,))

    def services(self, exported: Mapping[str, Any]) -> tuple[Service, ...]:
        """Describe every process that is to run; nothing is started, and secrets are not read."""
        topology = self.topology(StackOutputs.from_outputs(exported), self.ensure_possible())
        return tuple(unit for unit in units(topology) if isinstance(unit, Service))

    def topology(self, outputs: StackOutputs, shares: Shares) -> Topology:
        """Gather what the processes follow from; reads the stack's secrets from its control plane."""
        target, home, identity = self._target, self._target.home, self._target.identity
        settings = self._loaded.settings
        secrets = secrets_of(outputs, target.endpoint)
        inputs = Inputs(
            stack=home.stack,
            stage=self._loaded.stage,
            settings=settings,
            endpoints=local_endpoints(outputs, settings, target.addresses, target.endpoint),
            versions=Versions(settings.versions),
            machine=shares.app,
            database_machine=shares.database,
            cache_machine=shares.cache,
            places=Places(
                config=str(home.run / "config"),
                run=str(home.sockets),
                data=str(identity.own_folder(home.root / "data")),
                logs=str(home.logs),
                os_user=identity.name,
                static=None,
            ),
            secrets=Secrets({**local_credentials(home, identity), **secrets.values}),
        )
        return Topology(home=home, identity=identity, outputs=outputs, inputs=inputs, addresses=target.addresses)


def units(topology: Topology) -> tuple[Unit, ...]:
    """Describe everything that runs, beside the control plane."""
    return tuple(unit for module in MODULES for unit in module.units(topology))
