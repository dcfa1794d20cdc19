"""The JSON documents that commands print: the contract of ``--json``, from which docs/reference/json.md is made.

A class with a ``schema_version`` is a document, and comes into the page; the others are parts of documents. Readers
ignore fields they do not know. A change that could break a reader raises ``SCHEMA_VERSION``.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

SCHEMA_VERSION = 1


class ChangeDocument(TypedDict):
    """One property's difference; a secret shows as `[secret]`, a value not known yet as `[unknown]`."""

    path: str
    kind: str
    before: Any
    after: Any


class StepDocument(TypedDict):
    """What is done to one resource. `op` is named as Pulumi names it; `may_replace`: only the run itself can tell."""

    op: str
    urn: str
    type: str
    parent: str | None
    changes: list[ChangeDocument]
    may_replace: bool
    data_bearing: bool
    notes: list[str]


class PlanDocument(TypedDict):
    """`watoto preview --format json`."""

    schema_version: int
    stack: str
    stage: str
    steps: list[StepDocument]
    outputs: list[ChangeDocument]
    summary: dict[str, int]
    policy: list[Any]
    digest: str


class DriftDocument(PlanDocument):
    """`watoto drift --json`: what is not as it was last declared and applied.

    `last_applied` is when an `up` last ended well, `last_read` when the resources were last read into the state.
    """

    last_applied: str | None
    last_read: str | None


class OperationDocument(StepDocument):
    """A step that was executed. `seconds` is wall time; `simulated`: the local control plane does not implement it."""

    seconds: float
    error: str | None
    simulated: bool


class ResultDocument(TypedDict):
    """`watoto up --json`, `refresh --json` and `destroy --json`. `left_behind` is what AWS keeps too."""

    schema_version: int
    stack: str
    stage: str
    operations: list[OperationDocument]
    summary: dict[str, int]
    seconds: float
    outputs: dict[str, Any]
    simulated: list[str]
    left_behind: list[str]
    interrupted: bool
    digest: str


class ThingDocument(TypedDict):
    """One declared resource; `since` is when it was last changed (ISO 8601)."""

    urn: str
    type: str
    id: str | None
    state: str
    since: str | None
    error: str | None


class ProcessDocument(TypedDict):
    """One local process and what it stands for; `since` is when it was started (ISO 8601)."""

    name: str
    stands_for: str
    state: str
    address: str | None
    pid: int | None
    since: str | None
    error: str | None


class StatusDocument(TypedDict):
    """`watoto status --json`. `notes` says where the rehearsal is not what is declared."""

    schema_version: int
    stack: str
    stage: str
    target: str
    things: list[ThingDocument]
    processes: list[ProcessDocument]
    notes: list[str]


class StackDocument(TypedDict):
    """One stack. `stage` is the one last applied, null where it was only previewed or its state is damaged (`problem`).

    `running` counts its processes that run, `disk_bytes` what all its files take; `last_run` is ISO 8601.
    """

    name: str
    stage: str | None
    problem: str | None
    running: int
    disk_bytes: int
    last_run: str | None


class StacksDocument(TypedDict):
    """`watoto stacks --json`, by name."""

    schema_version: int
    stacks: list[StackDocument]


class AlertDocument(TypedDict):
    """One alert that fires; `since` is ISO 8601, `server` what it is about where that is one server."""

    name: str
    severity: str
    since: str
    server: str | None
    summary: str
    description: str


class AlertsDocument(TypedDict):
    """`watoto status --alerts --json`: the alerts that fire, the worst first."""

    schema_version: int
    alerts: list[AlertDocument]


class RunDocument(TypedDict):
    """One run: when it began (ISO 8601), which command, how it ended, how long it took, how many steps of each kind.

    `result` is `done`, `failed`, `interrupted` or `killed`; a killed run has only `when`, `kind`, `stage` and `result`.
    """

    when: str
    kind: str
    stage: str | None
    result: str
    seconds: NotRequired[float]
    summary: NotRequired[dict[str, int]]
    digest: NotRequired[str | None]


class HistoryDocument(TypedDict):
    """`watoto history --json`, the oldest run first."""

    schema_version: int
    runs: list[RunDocument]


class HeldDocument(TypedDict):
    """One resource in the state. `delete`: the old half of a replacement; `simulated`: see the result document."""

    urn: str
    type: str
    id: str | None
    parent: str | None
    provider: str | None
    dependencies: list[str]
    protect: bool
    delete: bool
    simulated: bool
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class PendingDocument(TypedDict):
    """An operation that a killed run began: creating, updating, deleting or reading."""

    operation: str
    urn: str


class StateDocument(TypedDict):
    """`watoto state show --json`; secrets show as `[secret]`. For another tool use `watoto state export`."""

    schema_version: int
    stack: str
    stage: str | None
    resources: list[HeldDocument]
    pending: list[PendingDocument]


class ValueDocument(TypedDict):
    """One setting and where its value comes from."""

    path: str
    value: Any
    origin: str


class SettingsDocument(TypedDict):
    """`watoto settings --json`: the merged settings, and each value with its origin."""

    schema_version: int
    stage: str
    target: str
    settings: dict[str, Any]
    values: list[ValueDocument]


class ProgramDocument(TypedDict):
    """A program a stack needs, where it was found (null: missing), and the package that brings it."""

    program: str
    path: str | None
    package: str
    purpose: str


class DoctorDocument(TypedDict):
    """`watoto doctor --json`. `install` is the command that installs what is missing, null when nothing is."""

    schema_version: int
    python: str
    programs: list[ProgramDocument]
    install: str | None


class CheckDocument(TypedDict):
    """One check of the LMS. `result` is `ok`, `failed` or `skipped`; `detail` says what was seen, or why."""

    name: str
    result: str
    detail: str
    seconds: float


class SmokeDocument(TypedDict):
    """`watoto smoke --json`. `passed`: no check failed; `left` names what the run made and did not remove again."""

    schema_version: int
    url: str
    passed: bool
    checks: list[CheckDocument]
    left: list[str]


class AccountDocument(TypedDict):
    """`watoto account --json`; `password` is null unless one was made up here."""

    schema_version: int
    id: int
    email: str
    role: str
    url: str
    password: str | None


class AlertDrillDocument(TypedDict):
    """`watoto drill alert --json`: seconds from cause to pending and to Alertmanager, and from its end to resolved."""

    schema_version: int
    alert: str
    cause: str
    pending_seconds: float
    fired_seconds: float
    resolved_seconds: float


class EndpointDocument(TypedDict):
    """Requests of one kind. `failures`: not answered, or with a status of 400 and more. Times are in ms."""

    name: str
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class LoadDocument(TypedDict):
    """`watoto load --json`, and what the history keeps.

    `id` is when the run began (UTC); `total` is over all endpoints; `per_second` counts answers;
    `intended_per_second` is null where simulated users wait for their answers; `generator_cpu` is in processors;
    `errors` say what failed and how often, `missed` which objectives were missed; `sent_again` counts requests whose
    kept-alive connection the server closed before the answer began, and which were therefore sent again.
    """

    schema_version: int
    id: str
    url: str
    stage: str
    tool: str
    profile: str
    load: str
    seconds: float
    intended_per_second: float | None
    per_second: float
    generator_cpu: float
    sent_again: int
    total: EndpointDocument
    endpoints: list[EndpointDocument]
    errors: list[str]
    missed: list[str]


class LoadHistoryDocument(TypedDict):
    """`watoto load --history --json`, the oldest run first."""

    schema_version: int
    runs: list[LoadDocument]


class DifferenceDocument(TypedDict):
    """One figure of two runs; `change` is the second over the first, null where the first is zero or missing."""

    figure: str
    before: float | None
    after: float | None
    change: float | None


class ComparisonDocument(TypedDict):
    """`watoto load --compare A --compare B --json`."""

    schema_version: int
    before: str
    after: str
    differences: list[DifferenceDocument]
