"""What is said when a stack has come up: where it answers, and what can be done with it from there."""

from __future__ import annotations

from collections.abc import Collection, Iterator


def next_steps(
    stack: str, stage: str, option: str, *, following: Collection[str], local: bool, url: str | None = None
) -> Iterator[str]:
    """Give the lines.

    ``option`` says which stack a command is about, ``following`` which stages come after its own; ``url`` is the
    running LMS's, if it is ours.
    """
    yield ""
    if url is not None:
        yield f"The LMS answers at {url}"
    yield f"Stack {stack} is at {stage}. From here:"
    steps = list(_steps(following, option, local=local, serving=url is not None))
    width = max(len(command) for command, _ in steps)
    yield from (f"  {command:<{width}}  {why}" for command, why in steps)


def _steps(following: Collection[str], option: str, *, local: bool, serving: bool) -> Iterator[tuple[str, str]]:
    if serving:
        yield f"watoto account{option} you@school.example --role admin", "somebody who can sign in there"
        yield f"watoto smoke{option}", "whether the LMS does what its users need"
    elif local:
        yield f"watoto start{option}", "the servers that stand for what is declared"
    if local:
        yield f"watoto status{option}", "everything declared and every local process"
    yield f"watoto outputs{option}", "addresses, names and ids"
    if local:
        yield f'eval "$(watoto env{option})"', "point boto3, the aws CLI and psql at it"
    for stage in following:
        yield f"watoto preview{option} --stage {stage}", "what the next stage would change"
    yield f"watoto drift{option}", "what was changed by hand"
