"""deploy/aws: the template is valid, gives the rights of docs/aws.md and no others, and can be made in moto."""

import json
import re
import subprocess

import pytest
import yaml

from harness.options_table import read_help
from harness.paths import PLAIN, TOP
from harness.policies import policies

FOLDER = TOP / "deploy/aws"
TEMPLATE = FOLDER / "athena-query.yaml"
PYTHON = TOP / "build/tools/python/bin/python"
SCRIPTS = TOP / "tests/deploy"
LARGEST = 51200  # bytes of a template that is given with the call and not in a bucket

needs_python = pytest.mark.skipif(
    not PLAIN or not (PYTHON.parent / "cfn-lint").exists(),
    reason="cfn-lint is not here (tests/deploy/tools python), or this is not the plain build",
)


class Loader(yaml.SafeLoader):
    """Reads !Ref and the like as what they stand for."""


def _construct(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    kind = loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping
    return {name: kind(node, deep=True)}


Loader.add_multi_constructor("!", _construct)


def resources():
    return yaml.load(TEMPLATE.read_text(), Loader)["Resources"]


def run(*command, timeout=100):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, cwd=TOP)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_policies_are_those_of_the_page(tmp_path):
    copy = tmp_path / "deploy/aws"
    copy.mkdir(parents=True)
    for path in (TEMPLATE, FOLDER / "make-policies"):
        (copy / path.name).write_bytes(path.read_bytes())
    (tmp_path / "docs").symlink_to(TOP / "docs")
    run("python3", copy / "make-policies")
    assert (copy / TEMPLATE.name).read_text() == TEMPLATE.read_text(), "run deploy/aws/make-policies"
    assert len(TEMPLATE.read_bytes()) <= LARGEST


def test_no_role_has_other_rights():
    for name, resource in resources().items():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::Policy":
            assert name.endswith("Policy") and "*" not in str(properties["PolicyDocument"]["Statement"][0]["Action"])
        if resource["Type"] == "AWS::IAM::Role" and name != "TaskExecutionRole":
            assert "Policies" not in properties, name
            assert "ManagedPolicyArns" not in properties or name == "ExecutorRole", name


def test_variables_are_those_of_the_programs():
    for program in ("Receiver", "Executor", "Redriver"):
        known = {o.name for o in read_help(f"athena-query-{program.lower()}")}
        (container,) = resources()[f"{program}Task"]["Properties"]["ContainerDefinitions"]
        names = [row["Name"] for row in container["Environment"]]
        assert len(set(names)) == len(names)
        assert not {n for n in names if n not in known and not n.startswith("KAFKA_")}, program
        drain = {o.name: o for o in read_help(f"athena-query-{program.lower()}")}["DRAIN_TIMEOUT_MS"]
        assert container["StopTimeout"] * 1000 > int(drain.default)
        assert container["ReadonlyRootFilesystem"] is True
        assert container["LinuxParameters"]["Capabilities"]["Drop"] == ["ALL"]


def test_time_outs_of_the_load_balancer():
    """Above the longest `wait` of a look-up, below our own keep-alive."""
    idle = int({o.name: o for o in read_help("athena-query-receiver")}["IDLE_TIMEOUT_MS"].default) / 1000
    found = resources()
    attributes = {a["Key"]: a["Value"] for a in found["LoadBalancer"]["Properties"]["LoadBalancerAttributes"]}
    assert 55 < int(attributes["idle_timeout.timeout_seconds"]) < idle
    attributes = {a["Key"]: a["Value"] for a in found["TargetGroup"]["Properties"]["TargetGroupAttributes"]}
    assert int(attributes["deregistration_delay.timeout_seconds"]) > 55


def test_alarms_have_a_section_of_the_runbook():
    sections = re.findall(r"^### (\w+)$", (TOP / "docs/runbook.md").read_text(), re.M)
    alarms = {n: r["Properties"] for n, r in resources().items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    assert alarms
    for name, alarm in alarms.items():
        said = re.findall(r"AthenaQuery\w+", alarm["AlarmDescription"])
        assert "docs/runbook.md" in alarm["AlarmDescription"] and set(said) <= set(sections), name


def test_the_dashboard_shows_our_counters():
    body = resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    source = (TOP / "common/aws/cloudwatch.c").read_text()
    names = re.findall(r'"(\w+Count)"', source + "".join(p.read_text() for p in TOP.glob("[er]*/*.c")))
    for name in {"StartQueryCount", "ThrottlingErrorCount", "RestartQueryCount"}:
        assert name in names and f'MetricName=\\"{name}\\"' in body, name
    for i, a in enumerate(widgets):
        assert a["x"] + a["width"] <= 24
        for b in widgets[:i]:
            apart = (
                a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
                or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
            )  # fmt: skip
            assert apart, (a, b)


@needs_python
def test_cfn_lint():
    run(PYTHON.parent / "cfn-lint", "--regions", "eu-west-1", "us-east-1", "--", TEMPLATE)


# Of cloudformation-validate: what it warns of, and why that is as it should be.
WARNINGS = {
    "W1001": "each reference to what is conditional stands in an !If of the same condition",
    "W1030": "an ARN that is empty by default is used under a condition only",
    "W2509": "the ARN of a secret is none",
}


@needs_python
def test_cloudformation_validate():
    found = json.loads(run(PYTHON, SCRIPTS / "validate_template.py", TEMPLATE))
    faults = [row for row in found if row[0] not in ("INFO", "DEBUG") and row[1] not in WARNINGS]
    assert not faults
    assert found, "it looks at something"


def filled(policy, more):
    text = json.dumps(policy)
    for example, value in {"my-cluster/*": "queries/0a1b2c3d-1", **more}.items():
        text = text.replace(example, value)
    return json.loads(text)


@needs_python
@pytest.mark.timeout(150)
def test_the_stack_is_made_and_deleted():
    made = json.loads(run(PYTHON, "-W", "ignore", SCRIPTS / "apply_template.py", TEMPLATE, timeout=140))
    page = policies()
    for case, stack in made.items():
        assert stack["status"] == "CREATE_COMPLETE" and stack["deleted"]
        suffix = "-dev" if case == "stage" else ""
        bucket = stack["outputs"]["ResultsBucket"]
        assert (bucket == "our-results") == (case == "stage")
        more = {"my-results": bucket}
        if case == "stage":
            more["workgroup/primary"] = "workgroup/queries"
        results = {
            "Version": "2012-10-17",
            "Statement": [s for s in page["queries"]["Statement"] if s["Sid"].endswith("Results")],
        }
        wanted = {
            "Receiver": {"ReceiverKafkaPolicy": page["receiver-msk"]},
            "Executor": {
                "ExecutorPolicy": page["executor"], "ExecutorKafkaPolicy": page["executor-msk"],
                "ExecutorResultsPolicy": results,
            },
            "Redriver": {"RedriverPolicy": page["redriver"], "RedriverKafkaPolicy": page["redriver-msk"]},
        }  # fmt: skip
        for program, of in wanted.items():
            expected = {name: filled(policy, more) for name, policy in of.items()}
            text = re.sub(r'(:(?:topic|group)/[^"]*)"', rf'\1{suffix}"', json.dumps(expected))
            assert stack["policies"][program] == json.loads(text), (case, program)
        executor = stack["environment"]["Executor"]
        assert executor["ATHENA_OUTPUT_LOCATION"] == f"s3://{bucket}/queries/"
        assert executor["CREATE_TOPICS"] == "true"
