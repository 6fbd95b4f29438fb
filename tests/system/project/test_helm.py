"""deploy/helm: what the chart makes of values, without a cluster."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from harness.options_table import read_help
from harness.paths import TOP
from harness.program import run_program

CHART = TOP / "deploy/helm/athena-query"
TOOLS = TOP / "build/tools"
HELM = next((str(p) for p in [TOOLS / "helm"] if p.exists()), shutil.which("helm"))
VALIDATE = TOOLS / "python/bin/kubernetes-validate"
PROGRAMS = ["receiver", "executor", "redriver"]
# Not among Kubernetes' own schemas.
OTHERS = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}

needs_helm = pytest.mark.skipif(not HELM, reason="helm is not here (make deploy-tools)")


def helm(*args):
    done = subprocess.run([HELM, *map(str, args)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def template(values, *more):
    """The objects that the chart makes, and their text."""
    status, text, trouble = helm(
        "template", "aq", CHART, "--namespace", "queries", "--kube-version", "1.33.0",
        "--values", CHART / f"ci/{values}.yaml", *more,
    )  # fmt: skip
    assert status == 0, trouble
    return [o for o in yaml.safe_load_all(text) if o], text


def of_kind(objects, kind):
    return {o["metadata"]["name"].removeprefix("aq-athena-query-"): o for o in objects if o["kind"] == kind}


def container(objects, program):
    (one,) = of_kind(objects, "Deployment")[program]["spec"]["template"]["spec"]["containers"]
    return one


def env(objects, program):
    rows = container(objects, program)["env"]
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    return {row["name"]: row["value"] for row in rows}


def test_the_chart_carries_the_alerts_and_the_dashboard():
    files = CHART / "files"
    assert (files / "athena-query.rules.yml").read_text() == (
        TOP / "deploy/prometheus/athena-query.rules.yml"
    ).read_text()
    assert (files / "athena-query.json").read_text() == (
        TOP / "deploy/grafana/athena-query.json"
    ).read_text()


def test_every_value_has_a_place_in_the_schema():
    schema = json.loads((CHART / "values.schema.json").read_text())

    def check(value, part, at):
        while "$ref" in part:
            part = schema["definitions"][part["$ref"].rsplit("/", 1)[1]]
        if isinstance(value, dict) and "properties" in part:
            assert part["additionalProperties"] is False or at == "", at
            assert set(value) <= set(part["properties"]), at
            for name, inner in value.items():
                check(inner, part["properties"][name], f"{at}.{name}")

    check(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


@needs_helm
def test_lint():
    for values in ("minimal", "full"):
        status, text, trouble = helm("lint", CHART, "--strict", "--values", CHART / f"ci/{values}.yaml")
        assert status == 0, text + trouble


@needs_helm
@pytest.mark.skipif(not VALIDATE.exists(), reason="kubernetes-validate is not here (make deploy-tools)")
@pytest.mark.parametrize("values", ["minimal", "full"])
def test_objects_are_valid(values, tmp_path):
    objects, text = template(values)
    path = tmp_path / "objects.yaml"
    path.write_text(text)
    done = subprocess.run([VALIDATE, "--strict", path], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert len(re.findall(r"^INFO .* passed ", said, re.M)) == len(
        [o for o in objects if o["kind"] not in OTHERS]
    )
    unknown = re.findall(r"^WARN .* kind (\w+) ", said, re.M)
    assert sorted(unknown) == sorted({o["kind"] for o in objects} & OTHERS)


@needs_helm
@pytest.mark.parametrize("values", ["minimal", "full"])
def test_pods_are_restricted(values):
    objects, _ = template(values)
    deployments = of_kind(objects, "Deployment")
    assert set(deployments) == set(PROGRAMS)
    for program, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        one = container(objects, program)
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert one["resources"]["limits"]["memory"] and one["resources"]["requests"]["cpu"]
        drain_s = int({o.name: o for o in read_help(f"athena-query-{program}")}["DRAIN_TIMEOUT_MS"].default) / 1000
        hook_s = int(one["lifecycle"]["preStop"]["exec"]["command"][1]) if program == "receiver" else 0
        assert pod["terminationGracePeriodSeconds"] > drain_s + hook_s
        volumes = {v["name"] for v in pod.get("volumes", [])}
        assert volumes == {v["name"] for v in one.get("volumeMounts", [])}
        selector = deployment["spec"]["selector"]["matchLabels"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()
        for kind in ("PodDisruptionBudget", "NetworkPolicy"):
            spec = of_kind(objects, kind)[program]["spec"]
            assert (spec.get("selector") or spec["podSelector"])["matchLabels"] == selector


@needs_helm
@pytest.mark.parametrize("values", ["minimal", "full"])
def test_variables_are_those_of_the_programs(values):
    objects, _ = template(values)
    for program in PROGRAMS:
        known = {o.name for o in read_help(f"athena-query-{program}")}
        unknown = {n for n in env(objects, program) if n not in known and not n.startswith("KAFKA_")}
        assert not unknown, program


@needs_helm
def test_programs_take_the_smallest_configuration():
    objects, _ = template("minimal")
    for program in PROGRAMS:
        done = run_program(f"athena-query-{program}", ["--check-config"], env(objects, program))
        assert done.returncode == 0, done.stderr


@needs_helm
def test_values_reach_the_programs():
    objects, _ = template("full")
    assert env(objects, "redriver")["REDRIVE_INTERVAL_MS"] == "86400000"
    assert env(objects, "executor")["ATHENA_WORKGROUP"] == "queries"
    assert "ATHENA_WORKGROUP" not in env(objects, "receiver")
    receiver = env(objects, "receiver")
    assert receiver["API_KEYS_FILE"] == "/etc/athena-query/keys/keys"
    assert receiver["TLS_KEY_FILE"] == "/etc/athena-query/tls/tls.key"
    assert receiver["KAFKA_SSL_CA_LOCATION"] == "/etc/athena-query/kafka/ca.pem"
    assert receiver["AWS_REGION"] == "eu-west-1", "AWS_MSK_IAM signs calls, too"
    mounts = {m["mountPath"] for m in container(objects, "receiver")["volumeMounts"]}
    assert mounts == {f"/etc/athena-query/{name}" for name in ("kafka", "keys", "tls")}
    accounts = of_kind(objects, "ServiceAccount")
    assert accounts["executor"]["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/executor"
    }
    assert "annotations" not in accounts["redriver"]["metadata"]


@needs_helm
def test_receivers_alone_are_scaled():
    objects, text = template("full")
    assert list(of_kind(objects, "HorizontalPodAutoscaler")) == ["receiver"]
    assert not re.search("keda|ScaledObject", text)
    deployments = of_kind(objects, "Deployment")
    assert "replicas" not in deployments["receiver"]["spec"]
    assert deployments["executor"]["spec"]["replicas"] == 3
    fixed, _ = template("minimal", "--set", "receiver.autoscaling.enabled=false")
    assert of_kind(fixed, "Deployment")["receiver"]["spec"]["replicas"] == 2
    assert not of_kind(fixed, "HorizontalPodAutoscaler")


def ports(policy, direction):
    return {p["port"] for rule in policy["spec"][direction] for p in rule["ports"]}


@needs_helm
def test_network_policies():
    small, full = (of_kind(template(v)[0], "NetworkPolicy") for v in ("minimal", "full"))
    assert ports(small["receiver"], "ingress") == {8080, 9100}
    assert ports(small["executor"], "ingress") == {9100}
    assert 443 not in ports(small["receiver"], "egress"), "it calls AWS with AWS_MSK_IAM only"
    for policy in (small["executor"], small["redriver"], *full.values()):
        assert {53, 443, 80} <= ports(policy, "egress")
        credentials = [r for r in policy["spec"]["egress"] if r["ports"][0]["port"] == 80]
        assert [t["ipBlock"]["cidr"] for t in credentials[0]["to"]] == [
            "169.254.170.23/32", "169.254.169.254/32"
        ]  # fmt: skip
    assert ports(full["executor"], "egress") == {53, 80, 443, 4318, 9098}
    assert not of_kind(template("minimal", "--set", "networkPolicy.enabled=false")[0], "NetworkPolicy")


@needs_helm
def test_what_watches_it():
    objects, _ = template("full")
    (rule,) = of_kind(objects, "PrometheusRule").values()
    rules = yaml.safe_load((CHART / "files/athena-query.rules.yml").read_text())["groups"]
    for group in rules:
        for alert in group["rules"]:
            notes = alert["annotations"]
            notes["runbook_url"] = notes["runbook_url"].replace(
                "docs/runbook.md", "https://wiki.example.org/runbook"
            )
    assert rule["spec"]["groups"] == rules
    dashboard = of_kind(objects, "ConfigMap")["dashboard"]
    assert json.loads(dashboard["data"]["athena-query.json"])["uid"] == "athena-query"
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    (monitor,) = of_kind(objects, "ServiceMonitor").values()
    wanted = monitor["spec"]["selector"]["matchLabels"]
    services = [o for o in objects if o["kind"] == "Service" and wanted.items() <= o["metadata"]["labels"].items()]
    assert [s["metadata"]["name"] for s in services] == ["aq-athena-query-metrics"]
    assert monitor["spec"]["endpoints"][0]["relabelings"] == [{"targetLabel": "stage", "replacement": "dev"}]


@needs_helm
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "kafka.bootstrapServers="], "kafka.bootstrapServers: which brokers?"),
        (["--set", "aws.region="], "aws.region: where is Athena?"),
        (["--set", "receiver.allowAnonymous=false"], "receiver.apiKeys.secret: name a Secret"),
        (["--set", "recevier.replicas=2"], "recevier"),
        (["--set", "executor.replicas=many"], "replicas"),
        (["--set", "kafka.env.SASL_MECHANISM=PLAIN"], "SASL_MECHANISM"),
        (["--set", "executor.roleArn=executor"], "roleArn"),
    ],
)
def test_what_is_missing_or_wrong_is_refused(more, said):
    status, _, trouble = helm(
        "template", "aq", CHART, "--kube-version", "1.33.0", "--values", CHART / "ci/minimal.yaml", *more
    )
    assert status != 0 and said in trouble
