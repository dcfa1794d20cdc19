"""Kubernetes manifests come from what a program declared, through the engine and its state, and from nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue

from tests.engine import states
from tests.render.families import families
from watoto_infra.engine.embedded.engine import EmbeddedEngine
from watoto_infra.engine.embedded.state.model import ResourceState
from watoto_infra.engine.embedded.state.values import from_plain
from watoto_infra.errors import RenderError
from watoto_infra.rendering import use_cases
from watoto_infra.rendering.model import Verdict
from watoto_infra.servers.kubernetes import config as kubernetes

LABELS = {"app": "watoto-backend"}


def deployment(image: str = "registry.example/lms@sha256:0", **metadata: Any) -> dict[str, Any]:
    container = {"name": "lms", "image": image, "ports": [{"containerPort": 8000}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "watoto-backend", **metadata},
        "spec": {
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}},
        },
    }


def autoscaler() -> dict[str, Any]:
    def below(resource: str, percent: int) -> dict[str, Any]:
        target = {"type": "Utilization", "averageUtilization": percent}
        return {"type": "Resource", "resource": {"name": resource, "target": target}}

    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "watoto-backend-hpa"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "watoto-backend"},
            "minReplicas": 3,
            "maxReplicas": 20,
            "metrics": [below("cpu", 70), below("memory", 80)],
        },
    }


RESOURCES = (
    ("pulumi:providers:kubernetes", {"kubeconfig": "[secret]"}),
    ("kubernetes:apps/v1:Deployment", deployment()),
    ("aws:kms/key:Key", {"description": "x"}),
    ("kubernetes:helm.sh/v3:Release", {"chart": "x"}),
    ("kubernetes:autoscaling/v2:HorizontalPodAutoscaler", autoscaler()),
)


def rendered(stage_inputs, templates, *resources: tuple[str, Mapping[str, Any]]):
    exported = [{"type": token, "inputs": inputs} for token, inputs in resources]
    return rendered_from(stage_inputs, templates, exported)


def rendered_from(stage_inputs, templates, exported: list[dict[str, Any]]):
    inputs = replace(stage_inputs(), objects=kubernetes.declared(exported))
    return inputs, use_cases.render(families("kubernetes"), inputs, templates)


def test_declared_objects_are_written_one_a_file_in_the_order_to_apply_them_in(stage_inputs, templates):
    _, files = rendered(stage_inputs, templates, *RESOURCES)
    assert [file.path for file in files] == [
        "kubernetes/01-deployment-watoto-backend.yaml",
        "kubernetes/02-horizontalpodautoscaler-watoto-backend-hpa.yaml",
    ]
    assert [yaml.safe_load(file.text) for file in files] == [deployment(), autoscaler()]


def test_a_stage_alone_declares_none(stage_inputs, templates):
    assert use_cases.render(families("kubernetes"), stage_inputs("phase3"), templates) == ()


def test_pulumis_notes_to_itself_are_left_out(stage_inputs, templates):
    notes = {"pulumi.com/autonamed": "true", "school": "watoto"}
    inputs = {**deployment(annotations=notes), "__defaults": []}
    _, (file,) = rendered(stage_inputs, templates, ("kubernetes:apps/v1:Deployment", inputs))
    assert yaml.safe_load(file.text) == deployment(annotations={"school": "watoto"})


def test_a_secret_value_is_masked_and_that_is_said(stage_inputs, templates):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lms"}, "stringData": {"key": "[secret]"}}
    _, (file,) = rendered(stage_inputs, templates, ("kubernetes:core/v1:Secret", secret))
    assert "# [secret] stands for a value that is kept in no manifest." in file.text
    assert yaml.safe_load(file.text) == secret


def test_the_apis_own_schema_takes_declared_objects_and_finds_what_is_none_of_it(stage_inputs, templates):
    inputs, files = rendered(stage_inputs, templates, *RESOURCES)
    (finding,) = use_cases.check(families("kubernetes"), files, inputs)
    assert finding.verdict is Verdict.VALID, finding.detail
    for good, bad in (("containerPort", "containerPorts"), ("maxReplicas: 20", "maxReplicas: many")):
        broken = [replace(file, text=file.text.replace(good, bad)) for file in files]
        assert use_cases.check(families("kubernetes"), broken, inputs)[0].refused, bad


def test_a_custom_resource_is_valid_only_where_there_is_a_schema_of_it(stage_inputs, templates):
    spec = {"serviceRef": {"name": "lms", "port": 80}, "targetGroupARN": "arn:aws:elasticloadbalancing:x"}
    bound = {
        "apiVersion": "eks.amazonaws.com/v1",
        "kind": "TargetGroupBinding",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    other = {**bound, "apiVersion": "example.org/v1", "kind": "School"}
    inputs, files = rendered(stage_inputs, templates, ("kubernetes:x:B", bound), ("kubernetes:x:S", other))
    known, unknown = use_cases.check(families("kubernetes"), files, inputs)
    assert (known.verdict, known.files) == (Verdict.VALID, (files[0].path,))
    assert (unknown.verdict, unknown.files) == (Verdict.NOT_VALIDATED, (files[1].path,))
    assert "example.org/v1 School" in unknown.detail
    broken = [replace(files[0], text=files[0].text.replace("serviceRef", "serviceReference"))]
    (finding,) = use_cases.check(families("kubernetes"), broken, inputs)
    assert finding.refused
    assert f"{files[0].path}: spec.serviceReference: is no property" in finding.detail


def test_the_objects_of_a_stack_come_out_of_its_state_without_its_secrets(tmp_path, stage_inputs, templates):
    def kept(name: str, token: str, inputs: Mapping[str, Any], **attributes: Any) -> ResourceState:
        properties = {key: from_plain(value) for key, value in inputs.items()}
        return states.thing(name, type=token, inputs=properties, **attributes)

    secret = kept(
        "lms", "kubernetes:core/v1:Secret", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lms"}}
    )
    hidden = {"stringData": PropertyValue({"key": PropertyValue("hunter2", is_secret=True)})}
    old = kept("old", "kubernetes:apps/v1:Deployment", deployment(), delete=True)
    store = states.applied(
        states.store_in(tmp_path),
        states.thing("other"),
        replace(secret, inputs={**secret.inputs, **hidden}),
        kept("hpa", "kubernetes:autoscaling/v2:HorizontalPodAutoscaler", autoscaler()),
        old,
    )

    exported = EmbeddedEngine(store, {}, stack="local", data_bearing=lambda *_: False).export_state()
    assert "hunter2" not in json.dumps(exported)
    _, files = rendered_from(stage_inputs, templates, exported["deployment"]["resources"])
    assert [file.path for file in files] == [
        "kubernetes/01-secret-lms.yaml",
        "kubernetes/02-horizontalpodautoscaler-watoto-backend-hpa.yaml",
    ]
    assert yaml.safe_load(files[0].text)["stringData"] == {"key": "[secret]"}
    assert yaml.safe_load(files[1].text) == autoscaler()


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", "x\ny"])
def test_a_name_that_is_no_file_name_is_refused(name, stage_inputs, templates):
    with pytest.raises(RenderError, match="name of a Kubernetes object"):
        rendered(
            stage_inputs, templates, ("kubernetes:apps/v1:Deployment", {**deployment(), "metadata": {"name": name}})
        )


@given(st.text())
def test_any_text_comes_through_a_manifest_as_it_was_or_is_refused(text):
    from watoto_infra.templating import Templates  # noqa: PLC0415 - a fixture cannot be used with given

    ctx = kubernetes.KubernetesContext(deployment(text, labels={"x": text}), masked=False)
    try:
        shown = Templates().render("kubernetes/object.yaml.j2", ctx)
    except RenderError:
        assert any(0xD800 <= ord(letter) < 0xE000 for letter in text)
        return
    assert json.dumps(yaml.safe_load(shown)) == json.dumps(ctx.document)
