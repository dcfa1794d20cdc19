"""Everything the local processes of a stack follow from, in one place, and the folders they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from watoto_infra.errors import ServiceFailed
from watoto_infra.rendering.endpoints import Endpoints
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.settings.stage import StageSettings
from watoto_infra.stack_home import StackHome
from watoto_infra.supervision.unix_user import UnixUser
from watoto_infra.values.addresses import Addresses
from watoto_infra.values.outputs import StackOutputs
from watoto_infra.whole_file import write_whole


@dataclass(frozen=True)
class Topology:
    """One stack as it is to run here: what it exports, what its files are rendered from, whose processes they are."""

    home: StackHome
    user: UnixUser
    outputs: StackOutputs
    inputs: Inputs
    addresses: Addresses

    @property
    def settings(self) -> StageSettings:
        return self.inputs.settings

    @property
    def endpoints(self) -> Endpoints:
        return self.inputs.endpoints

    @property
    def config(self) -> Path:
        """The rendered tree: one folder for each family."""
        return Path(self.inputs.places.config)

    @property
    def data(self) -> Path:
        """What must survive: only a confirmed ``destroy`` removes it."""
        return Path(self.inputs.places.data)

    @property
    def sockets(self) -> Path:
        return Path(self.inputs.places.run)

    def secret(self, name: str) -> str:
        """Give a secret by its name. Raises ``ServiceFailed`` when the stack has none of that name."""
        value = self.inputs.secrets.get(name)
        if value is None:
            raise ServiceFailed(
                f"stack {self.home.stack} has no secret {name}", hint="run `watoto up`: it makes what is missing"
            )
        return value

    def folder(self, *parts: str) -> Path:
        """Give a folder below ``data``, made for the processes' user alone."""
        path = self.data
        for part in parts:
            path = self.user.own_folder(path / part)
        return path

    def private_file(self, name: str, text: str) -> Path:
        """Write a file that only the processes' user may read, such as a password, and give its path."""
        path = self.user.own_folder(self.home.run / "private") / name
        if path.exists() and path.read_text() == text:
            return path
        write_whole(path, text, owner=(self.user.uid, self.user.gid))
        return path
