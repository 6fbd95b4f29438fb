"""Topics that lose what waits, that go away, and those that the programs create."""

import pytest
import requests
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, ResourceType,
)  # fmt: skip

from harness.judge import burst, inject_all, wait_all
from harness.wait import wait_until

SOON = {"KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 500}


def settings(p, topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    found = p.topics.admin.describe_configs([resource])[resource].result(10)
    return {name: entry.value for name, entry in found.items()}


def alter(p, topic, name, value):
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    p.topics.admin.incremental_alter_configs([resource])[resource].result(10)


def readyz(program):
    return requests.get(program.admin_url + "/readyz", timeout=5)


def unsafe(program, topic):
    return program.metrics().sum("athena_query_topic_unsafe", topic=topic)


def before_it_starts(pipeline, env=None):
    return pipeline(receivers=0, executors=0, redrivers=0, ready=False, env=env)


def test_topics_are_created_to_keep_what_waits(pipeline):
    p = pipeline(env={"STATUS_RETENTION_MS": 86400000})
    for topic in (p.query_topic, p.deadletter_topic, p.rejected_topic):
        found = settings(p, topic)
        assert (found["cleanup.policy"], found["retention.ms"]) == ("delete", "-1"), topic
    status = settings(p, p.status_topic)
    assert set(status["cleanup.policy"].split(",")) == {"compact", "delete"}
    assert status["retention.ms"] == "86400000"
    for program in (*p.receivers, *p.executors, *p.redrivers):
        assert unsafe(program, p.query_topic) == 0


def test_a_compacted_query_topic_takes_no_query(pipeline):
    p = before_it_starts(pipeline)
    p.topics.create(p.query_topic, 1, {"cleanup.policy": "compact"})
    for program in (p.add_receiver(), p.add_executor(), p.add_redriver()):
        program.wait_log(f"topic {p.query_topic} is compacted")
        named = f"topic {p.query_topic} is compacted"
        wait_until(lambda q=program, text=named: text in readyz(q).text, 30, "it is named")
        assert readyz(program).status_code == 503
        assert unsafe(program, p.query_topic) == 1
    answer = p.receiver.post({"query": "SELECT 1"})
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert p.topics.count(p.query_topic) == 0
    alter(p, p.query_topic, "cleanup.policy", "delete")
    alter(p, p.query_topic, "retention.ms", "-1")
    p.wait_ready()
    assert unsafe(p.receivers[0], p.query_topic) == 0
    p.post({"query": "SELECT 1"})


def test_a_compacted_topic_is_used_where_that_is_allowed(pipeline):
    p = before_it_starts(pipeline, {"ALLOW_UNSAFE_TOPICS": "true"})
    p.topics.create(p.rejected_topic, 1, {"cleanup.policy": "compact"})
    receiver = p.add_receiver()
    p.wait_ready()
    p.post({"query": "SELECT 1"})
    receiver.wait_log("ALLOW_UNSAFE_TOPICS=true: it is used")
    assert unsafe(receiver, p.rejected_topic) == 1


def test_a_finite_retention_is_only_reported(pipeline):
    p = before_it_starts(pipeline)
    p.topics.create(p.deadletter_topic, 1)  # with the broker's seven days
    p.topics.create(p.status_topic, 1)
    receiver = p.add_receiver()
    p.wait_ready()
    receiver.wait_log(f"topic {p.deadletter_topic} has a finite retention")
    receiver.wait_log(f"topic {p.status_topic} is not compacted")
    assert unsafe(receiver, p.deadletter_topic) == 1
    p.post({"query": "SELECT 1"})


def test_a_topic_that_goes_away_is_named_and_made_again(pipeline):
    p = pipeline(env=SOON)
    p.topics.delete(p.rejected_topic, p.query_topic)
    for program in (*p.receivers, *p.executors, *p.redrivers):
        program.wait_log("not ready: missing topics: .*" + p.query_topic)
    wait_until(lambda: p.topics.partitions(p.query_topic) == 4, 30, "the query topic")
    wait_until(lambda: p.topics.partitions(p.rejected_topic) == 4, 30, "the rejected topic")
    p.wait_ready()
    assert settings(p, p.query_topic)["retention.ms"] == "-1"
    queries = burst(10)
    inject_all(p, queries)
    wait_all(p, queries, timeout=40)


def test_a_topic_that_goes_away_and_may_not_be_made(pipeline):
    p = pipeline(executors=0, redrivers=0)
    receiver = p.add_receiver({"CREATE_TOPICS": "false"})
    p.receivers[0].stop()
    p.wait_ready()
    p.topics.delete(p.deadletter_topic)
    wait_until(lambda: readyz(receiver).status_code == 503, 30, "not ready")
    assert readyz(receiver).text == f"missing topics: {p.deadletter_topic}\n"
    assert p.clients[1].post({"query": "SELECT 1"}).status_code == 503
    p.topics.create(p.deadletter_topic, 1, {"retention.ms": "-1"})
    receiver.wait_ready(30)
    assert p.clients[1].post({"query": "SELECT 1"}).status_code == 202


def test_partitions_added_to_the_query_topic(pipeline):
    p = pipeline(
        redrivers=0, env=SOON | {"TOPIC_PARTITIONS": 1}, sim_env={"SIM_ACTIVE_DML": 100}
    )
    executor = p.executors[0]
    done = p.topics.admin.create_partitions([NewPartitions(p.query_topic, 5)])
    done[p.query_topic].result(10)
    executor.wait_log(f"topic {p.query_topic} has 5 partitions, it had 1", 30)
    wait_until(lambda: executor.metrics().sum("athena_query_partitions") == 5, 30)
    p.add_executor()
    p.topics.wait_members(p.executor_group, 2, 30)
    queries = burst(40)
    inject_all(p, queries)
    wait_all(p, queries, timeout=40)
    leads = [e.metrics().sum("athena_query_fleet_leader") for e in p.executors]
    assert sum(leads) == 1, leads


@pytest.mark.parametrize("kind", ["receiver", "executor", "redriver"])
def test_an_outage_of_kafka_is_two_lines(pipeline, own_kafka, kind):
    broker = own_kafka()
    p = pipeline(broker=broker, env={"LOG_LEVEL": "info"})
    program = {"receiver": p.receivers, "executor": p.executors, "redriver": p.redrivers}[kind][0]
    before = len(program.log().splitlines())
    broker.kill()
    program.wait_log("kafka: no broker reached at", 30)
    wait_until(lambda: not program.ready(), 30)
    broker.start()
    program.wait_log("kafka: a broker is reached again", 30)
    program.wait_ready(60)
    lines = program.log().splitlines()[before:]
    kafka = [line for line in lines if " kafka: " in line]
    assert len(kafka) <= 4, "\n".join(kafka)


def test_what_retention_took_is_counted(pipeline):
    p = pipeline(redrivers=0, env={"TOPIC_PARTITIONS": 1, "KEEP_DONE_MS": -1})
    executor = p.executors[0]
    first = burst(3)
    inject_all(p, first)
    wait_all(p, first)
    p.wait_committed()
    executor.stop()
    inject_all(p, burst(5, first=100))
    part = TopicPartition(p.query_topic, 0, 6)  # three of the five, as retention would
    p.topics.admin.delete_records([part])[part].result(10)
    executor.start()
    wait_until(lambda: executor.metrics().sum("athena_query_lost_total") == 3, 30)
    executor.wait_log("retention took records that were not done with .*records=3")
    wait_all(p, burst(2, first=103))
