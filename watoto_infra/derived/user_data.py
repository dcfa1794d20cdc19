"""What both contexts of an app server's user data can say: that of the program, and that of rendering."""

from __future__ import annotations

from collections.abc import Mapping

ECR = ".amazonaws.com"


class FirstBoot:
    """``image`` is the LMS's; ``jobs`` work beside its app server, by name with what ``flask`` is told."""

    image: str
    region: str
    jobs: Mapping[str, tuple[str, ...]]

    @property
    def sign_in(self) -> str:
        """The command that lets docker pull from a registry on ECR; nothing for any other registry."""
        registry = self.image.partition("/")[0]
        if not registry.endswith(ECR):
            return "true"
        password = f"aws ecr get-login-password --region {self.region}"
        return f"{password} | docker login --username AWS --password-stdin {registry}"

    @property
    def containers(self) -> tuple[tuple[str, bool, tuple[str, ...]], ...]:
        """Name, whether it answers requests, and command (none: the image's own) of each container of a server."""
        beside = ((f"lms-{name}", False, ("flask", *arguments)) for name, arguments in self.jobs.items())
        return (("lms", True, ()), *beside)
