"""docs/aws.md: its policies are sound, and give each program what it needs and nothing else."""

import re

import botocore.session
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from harness.judge import burst, check_started_once, inject_all, wait_all
from harness.kafka import Kafka
from harness.paths import TOP
from harness.policies import actions, policies, rights
from harness.wait import wait_until

PROGRAMS = ["receiver", "executor", "redriver"]
CALL = re.compile(r'aws_start\([^;"]*&aws_(\w+),\s*"(\w+)"')


# --- AWS --------------------------------------------------------------------------------------


def calls_of(program):
    """The actions of Athena and CloudWatch that its sources call."""
    sources = [p.read_text() for p in sorted((TOP / program).glob("**/*.[ch]"))]
    if any('"common/aws/cloudwatch.h"' in s for s in sources):
        sources.append((TOP / "common/aws/cloudwatch.c").read_text())
    return {f"{service}:{operation}" for s in sources for service, operation in CALL.findall(s)}


def test_policies_are_of_the_calls_that_are_made():
    everywhere = {
        f"{service}:{operation}"
        for path in TOP.glob("[cer]*/**/*.c")
        for service, operation in CALL.findall(path.read_text())
    }
    found = policies()
    assert set(found) == {"executor", "queries", "redriver", *(p + "-msk" for p in PROGRAMS)}
    for program in PROGRAMS:
        assert actions(found.get(program, {"Statement": []})) == calls_of(program), program
    assert calls_of("executor") | calls_of("redriver") == everywhere != set()
    assert calls_of("receiver") == set()


def test_policies_are_narrow_and_spelled_as_aws_spells_them():
    session = botocore.session.Session()
    known = {
        service: set(session.get_service_model(service).operation_names)
        for service in ("athena", "cloudwatch", "glue")
    }
    namespace = re.search(r'Namespace\\":\\"(\w+)', (TOP / "common/aws/cloudwatch.c").read_text())
    for name, policy in policies().items():
        assert policy["Version"] == "2012-10-17", name
        assert len(rights(policy)) == len(set(rights(policy))), name
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow", name
        for action, resource in rights(policy):
            service, operation = action.split(":")
            assert "*" not in action, name
            if service in known:
                assert operation in known[service], action
            assert (resource == "*") == (service == "cloudwatch"), (name, action)
            assert resource == "*" or re.fullmatch(
                rf"arn:aws:({service.removesuffix('-cluster')}):.*", resource
            ), (name, action, resource)
        for statement in policy["Statement"]:
            condition = {"StringEquals": {"cloudwatch:namespace": namespace[1]}}
            is_counters = statement["Action"] == ["cloudwatch:PutMetricData"]
            assert statement.get("Condition") == (condition if is_counters else None), name


# --- Kafka ------------------------------------------------------------------------------------

# As MSK's guide equates them; Connect is the sign-in itself.
ACLS = {
    "kafka-cluster:WriteDataIdempotently": (ResourceType.BROKER, AclOperation.IDEMPOTENT_WRITE),
    "kafka-cluster:DescribeTopic": (ResourceType.TOPIC, AclOperation.DESCRIBE),
    "kafka-cluster:DescribeTopicDynamicConfiguration": (
        ResourceType.TOPIC,
        AclOperation.DESCRIBE_CONFIGS,
    ),
    "kafka-cluster:CreateTopic": (ResourceType.TOPIC, AclOperation.CREATE),
    "kafka-cluster:ReadData": (ResourceType.TOPIC, AclOperation.READ),
    "kafka-cluster:WriteData": (ResourceType.TOPIC, AclOperation.WRITE),
    "kafka-cluster:DeleteTopic": (ResourceType.TOPIC, AclOperation.DELETE),
    "kafka-cluster:AlterGroup": (ResourceType.GROUP, AclOperation.READ),
    "kafka-cluster:DescribeGroup": (ResourceType.GROUP, AclOperation.DESCRIBE),
}
SPOKEN = re.compile(
    r"Principal = User:(\w+) is (Allowed|Denied) operation = (\w+) .*?"
    r"on resource = (\w+):LITERAL:(\S+)",
    re.I,
)


def acl_of(program, action, resource):
    kind, operation = ACLS[action]
    name = "kafka-cluster" if kind == ResourceType.BROKER else resource.rsplit("/", 1)[1]
    return AclBinding(
        kind, name, ResourcePatternType.LITERAL, f"User:{program}", "*", operation,
        AclPermissionType.ALLOW,
    )  # fmt: skip


@pytest.fixture
def stage():
    """None: the names are those of the page."""
    return ""


@pytest.fixture
def guarded(tmp_path):
    """A broker that lets each program do what the page says, and tells what each has done."""
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    users = " ".join(f'user_{p}="of {p}"' for p in PROGRAMS)
    kafka = Kafka(
        tmp_path / "guarded",
        properties={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        },
        listeners={
            "GUARDED": (
                "SASL_PLAINTEXT",
                {"sasl.enabled.mechanisms": "PLAIN", "plain.sasl.jaas.config": f"{module} required {users};"},
            )
        },
        options=["-Dkafka.authorizer.level=DEBUG"],
    )  # fmt: skip
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.kill()


def test_policies_of_msk_are_enough_and_not_too_much(guarded, pipeline):
    given = {p: rights(policies()[p + "-msk"]) for p in PROGRAMS}
    acls = [
        acl_of(p, action, resource)
        for p in PROGRAMS
        for action, resource in given[p]
        if action != "kafka-cluster:Connect"
    ]
    admin = AdminClient({"bootstrap.servers": guarded.bootstrap})
    for done in admin.create_acls(acls).values():
        done.result(20)

    def env(program):
        return {
            "KAFKA_BOOTSTRAP_SERVERS": guarded.address("GUARDED"),
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": program, "KAFKA_SASL_PASSWORD": f"of {program}",
            "KEEP_DONE_MS": 0,
        }  # fmt: skip

    p = pipeline(
        broker=guarded, sim_env={"SIM_ACTIVE_DML": 2},
        receiver_env=env("receiver"), executor_env=env("executor"), redriver_env=env("redriver"),
    )  # fmt: skip
    queries = burst(12)
    for q, text in queries.items():
        p.post({"userId": "u", "queryId": q, "query": text})
    inject_all(p, {"bad": "SELEC"})
    wait_all(p, queries)
    wait_all(p, ["bad"], "REJECTED")
    ends = [high for _, high in p.topics.watermarks(p.deadletter_topic).values()]
    assert sum(ends) > 0, "the redriver had work"
    p.wait_committed()
    check_started_once(p, queries.values())
    for topic in (p.query_topic, p.deadletter_topic):
        wait_until(lambda t=topic: p.topics.count(t) == 0, what="what is done with deleted")
    for program in [*p.receivers, *p.executors, *p.redrivers]:
        program.stop()

    spoken = SPOKEN.findall(guarded.log_path.read_text(errors="replace"))
    assert not [s for s in spoken if s[1].lower() == "denied"]
    for program in PROGRAMS:
        used = {
            (kind.upper(), operation.upper(), name)
            for who, _, operation, kind, name in spoken
            if who == program
        }
        for action, resource in given[program]:
            if action in ("kafka-cluster:Connect", "kafka-cluster:CreateTopic"):
                continue  # signing in; and whoever comes first creates the topics
            acl = acl_of(program, action, resource)
            kind = acl.restype.name.replace("BROKER", "CLUSTER")
            right = (kind, acl.operation.name, acl.name)
            assert right in used, f"{program} never did {right}: {sorted(used)}"
