"""The LMS in pods: the guide's autoscaler, a Deployment for each bounded context, an environment that the LMS takes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lms_app.settings import load_settings
from tests.program.declared import IMAGE, Declared, Resource, bare, run
from watoto_infra.errors import SettingsError
from watoto_infra.providers.kubernetes import kinds, schemas
from watoto_infra.servers.kong.check import problems_in
from watoto_infra.servers.nginx.check import IN_THE_CLUSTER
from watoto_infra.settings import load_stage, scale_override
from watoto_infra.values.outputs import StackOutputs

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
SERVICE = "kubernetes:core/v1:Service"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
CONFIG, SECRET = "kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Secret"
GROUP = "aws:autoscaling/group:Group"
ON_PODS = {"platform": "kubernetes"}
PASSWORD = "generated-password"


def phase3(**overrides: Any) -> Declared:
    return run("phase3", overrides=json.dumps(overrides))


def plain(value: Any) -> Any:
    """Inputs as a manifest: without marks of secrets, numbers as they were written."""
    value = bare(value)
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items()}
    if isinstance(value, list):
        return [plain(held) for held in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def objects(declared: Declared) -> list[Resource]:
    return [one for one in declared.resources if one.type.startswith("kubernetes:")]


def test_phase3_declares_the_guides_deployment_and_autoscaler():
    declared = phase3()
    scaler = declared.one(SCALER, "watoto-backend-hpa")

    assert declared.one(DEPLOYMENT, "watoto-backend").get("metadata.name") == "watoto-backend"
    assert scaler.get("metadata.name") == "watoto-backend-hpa"
    assert scaler.get("spec.scaleTargetRef") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "watoto-backend",
    }
    assert (scaler.get("spec.minReplicas"), scaler.get("spec.maxReplicas")) == (3, 20)
    targets = {one["resource"]["name"]: one["resource"]["target"] for one in scaler.get("spec.metrics")}
    assert {name: target["averageUtilization"] for name, target in targets.items()} == {"cpu": 70, "memory": 80}


def test_each_bounded_context_has_servers_an_address_an_autoscaler_and_its_paths():
    declared = phase3()
    outputs = StackOutputs.from_outputs(declared.outputs)

    assert outputs.app.platform == "kubernetes"
    assert {group.name: group.paths for group in outputs.app.groups} == {
        "watoto-backend": (),
        "watoto-identity": ("/api/auth", "/api/users"),
        "watoto-reports": ("/api/reports",),
    }
    for group in outputs.app.groups:
        pods = declared.one(DEPLOYMENT, group.name)
        assert pods.urn == group.urn
        assert pods.get("spec.replicas") == group.desired
        address, each = (declared.one(SERVICE, group.name + suffix) for suffix in ("", "-pods"))
        assert address.get("spec.selector") == pods.get("spec.template.metadata.labels") == each.get("spec.selector")
        assert each.get("spec.clusterIP") == "None", "its name stands for each pod and not for one address"
        assert pods.get("spec.selector.matchLabels") == pods.get("spec.template.metadata.labels")
        assert declared.one(SCALER, f"{group.name}-hpa").get("spec.maxReplicas") == group.max_size


def test_everything_declared_is_what_the_api_of_the_declared_version_takes():
    declared = phase3()
    version = declared.one("aws:eks/cluster:Cluster").get("version")

    found = objects(declared)
    assert len(found) > 20
    for one in found:
        assert list(schemas.faults(kinds.of_type(one.type, one.urn), plain(one.inputs), version)) == [], one.name


def environment(declared: Declared, name: str) -> dict[str, str]:
    """What a Deployment's first container is started with."""
    (container,) = declared.one(DEPLOYMENT, name).get("spec.template.spec.containers")
    held = {**declared.one(CONFIG, "watoto-lms").get("data")}
    held |= {key: bare(value) for key, value in declared.one(SECRET, "watoto-lms").get("stringData").items()}
    sources = [next(iter(source.values()))["name"] for source in container["envFrom"]]
    assert sources == ["watoto-lms", "watoto-lms"]
    return {**held, **{one["name"]: one["value"] for one in container.get("env", [])}}


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        pytest.param({"database": {"shards": 0}}, marks=pytest.mark.long),
        pytest.param({"cache": {"cache": {"shards": 1}}}, marks=pytest.mark.long),
    ],
)
def test_pods_are_started_with_an_environment_that_the_lms_takes(overrides):
    declared = phase3(**overrides)
    variables = environment(declared, "watoto-backend")
    long = {name: text.replace(PASSWORD, PASSWORD + "x" * 22) for name, text in variables.items()}
    settings = load_settings({name: text for name, text in long.items() if name.startswith("LMS_")})
    shards = settings.shards()

    main = shards.databases[shards.catalogue]
    assert main.primary_url.get_secret_value().endswith("@watoto-primary-address:5432/watoto_lms?sslmode=require")
    assert len(main.replica_urls) == 2
    expected = {"shard1", "shard2"} if "database" not in overrides else {"main"}
    assert set(shards.user_databases()) == expected
    assert settings.amqp_url.get_secret_value().startswith(f"amqps://watoto_user:{PASSWORD}")
    assert settings.redis_cache_cluster is ("cache" not in overrides)
    assert settings.media_bucket == "watoto-media"
    assert settings.web_bind == "0.0.0.0:8000"


def test_what_holds_a_password_is_kept_in_a_secret_alone():
    declared = phase3()

    assert PASSWORD not in json.dumps([one.inputs for one in declared.of(CONFIG)])
    for name, text in declared.one(SECRET, "watoto-lms").get("stringData").items():
        assert PASSWORD in bare(text), name


def test_pods_are_replaced_when_their_configuration_changes_and_only_then():
    def notes(declared: Declared, name: str) -> Any:
        return declared.one(DEPLOYMENT, name).get("spec.template.metadata.annotations")

    before, after = phase3(), phase3(cache={"l1_seconds": 299}, usage={"database_gib": 101})
    assert notes(before, "watoto-backend") != notes(after, "watoto-backend")
    assert notes(before, "watoto-relay") != notes(after, "watoto-relay")
    assert notes(before, "watoto-gateway") == notes(after, "watoto-gateway")
    assert notes(before, "watoto-gateway") != notes(phase3(gateway={"max_body_mib": 21}), "watoto-gateway")


def test_every_queue_has_a_worker_but_mail_only_where_somebody_says_how_to_send_it():
    commands = {
        one.name: one.get("spec.template.spec.containers.0.command")
        for one in phase3().of(DEPLOYMENT)
        if one.get("spec.template.spec.containers.0.command.0") == "flask"
    }
    assert commands == {
        "watoto-worker-notification": ["flask", "worker", "notification_queue"],
        "watoto-worker-analytics": ["flask", "worker", "analytics_queue"],
        "watoto-relay": ["flask", "relay"],
        "watoto-heartbeat": ["flask", "heartbeat"],
    }


def test_requests_are_sent_to_pods_only_once_these_are_ready():
    declared = phase3()
    listener = declared.one("aws:lb/listener:Listener")
    binding = declared.one("kubernetes:eks.amazonaws.com/v1:TargetGroupBinding")
    group = declared.one("aws:lb/targetGroup:TargetGroup")

    assert {declared.one(DEPLOYMENT, "watoto-gateway").urn, binding.urn} <= set(listener.dependencies)
    assert binding.get("spec.targetGroupARN") == "watoto-gateway-arn"
    assert (group.get("targetType"), group.get("port")) == ("ip", 8080)
    assert group.get("tags")["eks:eks-cluster-name"] == "watoto"
    assert binding.get("spec.serviceRef.name") == declared.one(DEPLOYMENT, "watoto-gateway").get("metadata.name")


def gateway_files(declared: Declared) -> dict[str, str]:
    return dict(declared.one(CONFIG, "watoto-gateway").get("data"))


def test_kong_in_pods_sends_each_context_its_paths_and_signs_in_to_count():
    declared = phase3()
    files = gateway_files(declared)

    assert problems_in(files["kong.yml"]) == []
    assert '{target: "watoto-identity-pods:8000"' in files["kong.yml"]
    assert 'paths: ["/api/auth", "/api/users"]' in files["kong.yml"]
    (container,) = declared.one(DEPLOYMENT, "watoto-gateway").get("spec.template.spec.containers")
    (source,) = container["envFrom"]
    password = declared.one(SECRET, source["secretRef"]["name"]).get("stringData.REDIS_PASSWORD")
    assert password == PASSWORD
    assert "{vault://env/redis-password}" in files["kong.yml"]


def test_only_a_pod_that_takes_no_connection_is_out_for_kong_and_a_slow_answer_is_asked_for_once():
    files = gateway_files(phase3())
    document = yaml.safe_load(files["kong.yml"])
    for upstream in document["upstreams"]:
        passive = upstream["healthchecks"]["passive"]["unhealthy"]
        assert (passive["tcp_failures"], passive["timeouts"], passive["http_failures"]) == (2, 0, 0)
        active = upstream["healthchecks"]["active"]
        assert active["healthy"]["interval"] > 0, "who is out comes back only by the active checks"
    assert {service["retries"] for service in document["services"]} == {2}
    (seconds,) = re.findall(r"^nginx_http_proxy_next_upstream_timeout = (\d+)s$", files["kong.conf"], re.M)
    for service in document["services"]:
        assert service["connect_timeout"] < int(seconds) * 1000 < service["read_timeout"]


def test_a_gateway_in_pods_is_ready_while_the_database_is_away_and_kongs_measurements_can_be_read():
    declared = phase3()
    pods = declared.one(DEPLOYMENT, "watoto-gateway").get("spec.template")
    (container,) = pods["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/status/ready", "port": "status"}
    assert f"status_listen = 0.0.0.0:{int(ports['status'])}" in gateway_files(declared)["kong.conf"]
    assert pods["metadata"]["annotations"]["prometheus.io/port"] == str(int(ports["status"]))
    nginx = phase3(gateway={"kind": "nginx"}).one(DEPLOYMENT, "watoto-gateway").get("spec.template.spec.containers.0")
    assert nginx["readinessProbe"]["tcpSocket"] == {"port": "http"}


def allowed(declared: Declared, way: str, name: str) -> set[tuple[str, int]]:
    """Who may come to, or be gone to by, pods of this name: network, pods or namespace, and port."""
    found = set()
    for policy in declared.of(POLICY):
        spec = plain(policy.inputs)["spec"]
        if not selects(spec["podSelector"], name):
            continue
        for rule in spec.get(way, []):
            peers = rule.get("from", rule.get("to", [{}]))
            found |= {(whom(peer), port["port"]) for peer in peers for port in rule["ports"]}
    return found


def selects(selector: dict[str, Any], name: str) -> bool:
    named = selector.get("matchLabels", {}).get("app.kubernetes.io/name", name) == name
    expressions = selector.get("matchExpressions", [])
    return named and all((name in one["values"]) == (one["operator"] == "In") for one in expressions)


def whom(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    if "namespaceSelector" in peer:
        return "namespace " + str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
    names = ("watoto-gateway", "watoto-backend", "watoto-identity", "watoto-reports", "watoto-relay")
    return "+".join(name for name in names if selects(peer["podSelector"], name)) if peer else "anyone"


def test_pods_talk_to_nobody_but_whom_they_need():
    declared = phase3()
    everybody = [one for one in declared.of(POLICY) if plain(one.get("spec.podSelector")) == {}]
    assert {"Ingress", "Egress"} in [set(one.get("spec.policyTypes")) for one in everybody]
    assert declared.one(CONFIG, "amazon-vpc-cni").get("data") == {"enable-network-policy-controller": "true"}

    servers = "watoto-backend+watoto-identity+watoto-reports"
    vpc = load_stage("phase3", overrides={"app": {"image": IMAGE}}).settings.network.cidr
    watched = "namespace monitoring"
    assert allowed(declared, "ingress", "watoto-gateway") == {(vpc, 8080), (watched, 8101)}
    assert allowed(declared, "egress", "watoto-gateway") == {("anyone", 53), (servers, 8000), (vpc, 6379)}
    for name in ("watoto-backend", "watoto-identity", "watoto-reports"):
        assert allowed(declared, "ingress", name) == {("watoto-gateway", 8000), (watched, 8000)}
    assert allowed(declared, "ingress", "watoto-relay") == set()
    needed = {(vpc, 5432), (vpc, 6379), (vpc, 5671), ("169.254.170.23/32", 80), ("0.0.0.0/0", 443), ("anyone", 53)}
    assert allowed(declared, "egress", "watoto-backend") == allowed(declared, "egress", "watoto-relay") == needed


@pytest.mark.local
def test_phase3_without_kong_has_an_nginx_in_pods_that_nginx_itself_takes(tmp_path: Path, require_binary):
    declared = phase3(gateway={"kind": "nginx"})
    pod = declared.one(DEPLOYMENT, "watoto-gateway").get("spec.template.spec")
    (volume,) = [one for one in pod["volumes"] if one["name"] == "configuration"]
    files = gateway_files(declared)
    for item in volume["configMap"]["items"]:
        file = tmp_path / item["path"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(IN_THE_CLUSTER.sub(r"\g<1>127.0.0.1", files[item["key"]]))
    (tmp_path / "work").mkdir()

    command = pod["containers"][0]["command"]
    assert command[0] == "nginx"
    places = {"/etc/watoto/gateway": str(tmp_path), "/tmp/": f"{tmp_path}/work/"}
    words = [re.sub("|".join(places), lambda found: places[found[0]], word) for word in command[1:]]
    tested = [require_binary("nginx"), "-t", "-q", *words]
    done = subprocess.run(tested, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert files["nginx.conf"].count("server watoto-reports:8000") == 2, "what a pod refuses is asked again"
    assert "keepalive_time 60s;" in files["nginx.conf"], "new pods get their share"


@pytest.mark.parametrize("stage", ["phase2", pytest.param("phase1", marks=pytest.mark.long)])
def test_any_stage_can_run_in_pods_and_phase3_on_instances(stage):
    pods = run(stage, overrides=json.dumps({"app": {**ON_PODS, "spot": None}}))
    instances = phase3(app={"platform": "auto_scaling_group", "services": [], "scaling": {"memory_percent": None}})

    assert [one.name for one in pods.of(DEPLOYMENT) if one.name == "watoto-backend"] == ["watoto-backend"]
    assert GROUP not in {one.type for one in pods.resources}
    assert "aws:ec2/launchTemplate:LaunchTemplate" not in {one.type for one in pods.resources}
    assert instances.one(GROUP).get("maxSize") == 20
    assert objects(instances) == []


def test_the_number_of_pods_is_the_autoscalers_unless_it_is_set_by_hand_or_nobody_scales():
    def ignored(target: str, **app: Any) -> list[str]:
        declared = run("phase3", target, overrides=json.dumps({"app": app} if app else {}))
        return declared.one(DEPLOYMENT, "watoto-backend").ignore_changes

    assert ignored("aws") == ["spec.replicas"]
    assert ignored("local") == []
    assert ignored("aws", **scale_override(5)["app"]) == []
    by_hand = run("phase3", "aws", overrides=json.dumps({"app": {"scaling": {"kind": "manual"}}}))
    assert SCALER not in {one.type for one in by_hand.resources}


def test_pods_may_use_their_buckets_and_nothing_else():
    declared = phase3()
    (policy,) = [one for one in declared.of("aws:iam/rolePolicy:RolePolicy") if one.name == "watoto-pods"]
    tie = declared.one("aws:eks/podIdentityAssociation:PodIdentityAssociation")

    assert {line["Sid"] for line in json.loads(policy.get("policy"))["Statement"]} == {
        "Media",
        "MediaList",
        "ApplicationBackups",
        "Key",
    }
    trust = json.loads(declared.one("aws:iam/role:Role", "watoto-pods").get("assumeRolePolicy"))["Statement"][0]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    account = declared.one("kubernetes:core/v1:ServiceAccount").get("metadata")
    assert (tie.get("namespace"), tie.get("serviceAccount")) == (account["namespace"], account["name"])
    assert declared.one(DEPLOYMENT, "watoto-backend").get("spec.template.spec.serviceAccountName") == account["name"]


@pytest.mark.parametrize(
    ("stage", "app", "message"),
    [
        ("phase2", {"services": [{"name": "a", "paths": ["/api/a"], "max_size": 2, "desired": 2}]}, r"app\.services"),
        ("phase2", {"scaling": {"memory_percent": 80}}, r"app\.scaling\.memory_percent is 80; allowed: none, unless"),
        ("phase3", {"scaling": {"requests_per_target": 9}}, r"requests_per_target is 9; allowed: none, since"),
        (
            "phase3",
            {"services": [{"name": "backend", "paths": ["/x"], "max_size": 2, "desired": 2}]},
            r"each name once, and none of them backend",
        ),
        (
            "phase3",
            {"services": [{"name": name, "paths": ["/x"], "max_size": 2, "desired": 2} for name in ("a", "b")]},
            r"each path in one service only",
        ),
        (
            "phase3",
            {"services": [{"name": "a", "paths": ["/x"], "max_size": 2, "desired": 3}]},
            r"app\.services\.0\.desired is 3; allowed: min_size \(2\) to max_size \(2\)",
        ),
        (
            "phase3",
            {"services": [{"name": "a", "paths": ["/x"], "max_size": 2, "desired": 2, "dezired": 2}]},
            r"app\.services\.0\.dezired is 2, but there is no such key",
        ),
    ],
)
def test_what_does_not_go_together_is_named_with_what_does(stage, app, message):
    with pytest.raises(SettingsError, match=message):
        load_stage(stage, overrides={"app": app})


def test_on_aws_the_gateways_image_must_be_named_too_where_it_runs_in_pods():
    with pytest.raises(SettingsError, match=r"gateway\.image is not set; allowed on the aws target"):
        load_stage("phase3", target="aws", overrides={"app": {"image": IMAGE}})
    assert load_stage("phase2", target="aws", overrides={"app": {"image": IMAGE}})
