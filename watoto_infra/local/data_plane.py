"""The local processes of a stack as a whole: what they are to be, and making it so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from filelock import FileLock, Timeout

from watoto_infra.errors import MissingProgram, StackLocked
from watoto_infra.local import configs
from watoto_infra.local.control_plane import SERVICE_NAME
from watoto_infra.local.credentials import local_credentials
from watoto_infra.local.endpoints import local_endpoints
from watoto_infra.local.sizing import Shares, share_out, this_machine
from watoto_infra.local.target import LocalTarget
from watoto_infra.rendering.inputs import Places, Secrets
from watoto_infra.rendering.secrets import secrets_of
from watoto_infra.servers import requirements
from watoto_infra.servers.alertmanager import server as alertmanager
from watoto_infra.servers.alertmanager.alerts import Alert, firing
from watoto_infra.servers.postgresql.psql_environment import client_environment, place_password_file
from watoto_infra.servers.registry import units
from watoto_infra.servers.stage_inputs import for_stage
from watoto_infra.servers.topology import Topology
from watoto_infra.servers.version_differences import version_differences
from watoto_infra.settings import LoadedStage
from watoto_infra.supervision import expected_processes
from watoto_infra.supervision.converge import Convergence, Converger
from watoto_infra.values.addresses import UNDECLARED
from watoto_infra.values.outputs import StackOutputs
from watoto_infra.values.status import LocalProcess


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
        shares = self.ensure_possible()
        with self._alone():
            for note in self.notes():
                say(note)
            topology = self.topology(StackOutputs.from_outputs(exported), shares)
            configs.place(topology)
            place_password_file(topology)
            converger = Converger(self._target.home, self._target.supervisor, say)
            return converger.converge(units(topology), keep=(SERVICE_NAME,))

    def processes(self) -> tuple[LocalProcess, ...]:
        """Look at the control plane and at every server that is meant to run; nothing is started or read in clear."""
        control = [
            expected_processes.Entry(service.name, service.stands_for, service.address)
            for service in self._target.services()
        ]
        return expected_processes.process_states(
            self._target.supervisor, [*control, *expected_processes.read(self._target.home)]
        )

    def client_environment(self, exported: Mapping[str, Any]) -> dict[str, str]:
        """Give the variables that point psql at the LMS's database; nothing while no server was ever started."""
        return client_environment(self._target.home, StackOutputs.from_outputs(exported), self._loaded.settings)

    def alerts(self) -> tuple[Alert, ...]:
        """Give the alerts that fire. Raises ``ServiceFailed`` when Alertmanager does not answer."""
        return firing(self._target.addresses.reserve(UNDECLARED, alertmanager.WEB.kind))

    def notes(self) -> tuple[str, ...]:
        """Say where what runs here is not what is declared: sizes and versions."""
        settings = self._loaded.settings
        return (share_out(settings, this_machine()).note, *version_differences(settings))

    def stop(self) -> None:
        """Stop every process of the stack, the control plane included; data stay where they are."""
        with self._alone():
            if self._target.supervisor.is_alive():
                for names in expected_processes.stop_order(expected_processes.read(self._target.home)):
                    self._target.supervisor.stop_together(names)
            self._target.supervisor.shutdown()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from changing the servers meanwhile. Raises ``StackLocked`` when somebody else does already."""
        lock = FileLock(self._target.run_folder() / "servers.lock", mode=0o600, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise StackLocked(
                f"another command starts or stops the servers of stack {self._target.home.stack}",
                hint="wait until it has ended",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def topology(self, outputs: StackOutputs, shares: Shares) -> Topology:
        """Gather what the processes follow from; reads the stack's secrets from its control plane."""
        target, home, user = self._target, self._target.home, self._target.user
        settings = self._loaded.settings
        secrets = secrets_of(outputs, target.endpoint).values
        declared = for_stage(
            self._loaded.stage,
            settings,
            stack=home.stack,
            outputs=outputs,
            secrets=Secrets({**local_credentials(home, user), **secrets}),
        )
        inputs = replace(
            declared,
            endpoints=local_endpoints(outputs, settings, target.addresses, target.endpoint),
            machine=shares.app,
            database_machine=shares.database,
            cache_machine=shares.cache,
            queue_machine=shares.queue,
            balancer_machine=this_machine(),
            places=Places(
                config=str(home.run / "config"),
                run=str(home.sockets),
                data=str(user.own_folder(home.root / "data")),
                logs=str(home.logs),
                os_user=user.name,
                access_log="/dev/stdout",  # to the supervisor, which bounds every log
                static=None,
            ),
        )
        return Topology(home=home, user=user, outputs=outputs, inputs=inputs, addresses=target.addresses)
