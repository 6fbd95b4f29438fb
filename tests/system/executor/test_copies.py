"""Copies in the dead-letter and rejected topics that Kafka refuses: nothing is lost, nobody waits."""

import json
import random

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from harness.judge import (
    body, burst, check_started_once, inject_all, readiness, states_of, wait_all, wait_not_ready,
    wait_stat,
)  # fmt: skip
from harness.wait import wait_until

pytestmark = pytest.mark.timeout(180)

PAD = "x" * 5_000_000  # plainly more than any of the topics takes
NO_PAD = random.Random(1).randbytes(100_000).hex()  # what no compression makes small


def limit(p, topic, max_bytes):
    """Before the programs start, or while they run."""
    if not p.topics.partitions(topic):
        p.topics.create(topic, 1, {"max.message.bytes": str(max_bytes)})
        return
    entry = ConfigEntry(
        "max.message.bytes", str(max_bytes), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    for done in p.topics.admin.incremental_alter_configs([resource]).values():
        done.result(10)


def limited(pipeline, topic, max_bytes, **how):
    p = pipeline(receivers=0, redrivers=0, executors=0, env={"TOPIC_PARTITIONS": 1})
    limit(p, p.name(topic), max_bytes)
    p.add_receiver()
    p.add_executor(**how)
    return p.wait_ready()


def produce_compressed(p, value, **how):
    producer = Producer(
        {
            "bootstrap.servers": p.kafka.bootstrap, "compression.type": "gzip",
            "message.max.bytes": 10_000_000,
        }
    )  # fmt: skip
    producer.produce(p.query_topic, value, **how)
    assert producer.flush(20) == 0


def test_copies_of_what_came_compressed_are_compressed(pipeline):
    p = pipeline(redrivers=0, env={"TOPIC_PARTITIONS": 1})
    rejected = body("rejected", "SELECT 1", workGroup="notallowed", pad=PAD)
    produce_compressed(p, rejected, headers=[("foreign", b"1")])
    p.wait_state("rejected", "REJECTED", "u")
    p.wait_committed()
    (record,) = p.topics.read(p.rejected_topic)
    assert record.value == rejected
    assert record.headers["foreign"] == "1"
    p.sim.set(active_dml=0)
    throttled = body("throttled", "SELECT 2", pad=PAD)
    produce_compressed(p, throttled)
    p.wait_state("throttled", "THROTTLED", "u")
    p.wait_committed()
    assert [r.value for r in p.topics.read(p.deadletter_topic)] == [throttled]
    p.sim.set(active_dml=20)
    p.add_redriver().wait_ready()
    p.wait_state("throttled", "SUCCEEDED", "u")
    p.wait_committed()
    check_started_once(p, ["SELECT 2"])


def test_copies_that_the_dead_letter_topic_refuses_wait_here(pipeline):
    """The first of the partition is throttled: it waits in its place, and others go on."""
    p = limited(pipeline, "athena-query-deadletter", 50_000)
    p.sim.set(active_dml=0)
    p.inject(body("large", "SELECT 0", pad=NO_PAD))
    wait_until(lambda: "refuses it" in (p.status("large", "u") or {"reason": ""})["reason"], 20)
    found = p.status("large", "u")
    assert (found["state"], found["attempt"]) == ("THROTTLED", 1)
    small = burst(3, first=1)
    inject_all(p, small)
    wait_all(p, small, "THROTTLED")
    assert p.topics.count(p.deadletter_topic) == 3
    assert p.executors[0].ready(), readiness(p.executors[0])
    calls = p.sim.stats()["start_calls"]
    wait_stat(p.sim, "start_calls", calls + 2)
    p.sim.set(active_dml=20)
    p.wait_state("large", "SUCCEEDED", "u")
    p.wait_committed()
    check_started_once(p, ["SELECT 0"])
    assert p.topics.count(p.deadletter_topic) == 3


def test_copies_that_are_refused_for_a_minute_are_named(pipeline):
    p = limited(pipeline, "athena-query-rejected", 100)  # less than the headers of any copy
    p.inject(b"no request")
    queries = burst(5)
    inject_all(p, queries)
    wait_all(p, queries)
    executor = p.executors[0]
    assert executor.ready()
    assert executor.metrics().sum("athena_query_stuck_records") == 0
    wait_until(lambda: not executor.ready(), 90, "it is not ready")
    wait_not_ready(executor, f"{p.query_topic}/0/0 is not finished: {p.rejected_topic} has refused")
    assert executor.metrics().sum("athena_query_stuck_records") == 1
    more = burst(5, first=5)
    inject_all(p, more)
    wait_all(p, more)
    limit(p, p.rejected_topic, 1_000_000)
    wait_until(executor.ready, 30, "ready again")
    assert executor.metrics().sum("athena_query_stuck_records") == 0
    p.wait_committed()
    check_started_once(p, [*queries.values(), *more.values()])


def test_copies_and_states_that_are_refused_are_apart(pipeline):
    """The status topic takes little: each state is published shorter, and the copies are whole."""
    p = limited(pipeline, "athena-query-status", 900)
    message = "the query cannot run " + random.Random(2).randbytes(900).hex()
    refusal = {"__type": "InvalidRequestException", "Message": message}
    p.sim.set(answers=[{"match": "bad", "status": 400, "body": json.dumps(refusal)}])
    bad = burst(4, "/* bad */")
    good = burst(4, first=10)
    inject_all(p, bad | good)
    wait_all(p, bad, "REJECTED")
    wait_all(p, good)
    p.wait_committed()
    for query_id in bad:
        assert "REJECTED" in states_of(p, query_id, "u")
        assert len(p.status(query_id, "u")["reason"] or "") <= 256
    values = {r.value for r in p.topics.read(p.rejected_topic)}
    assert values == {body(query_id, text) for query_id, text in bad.items()}
    assert p.executors[0].running
    check_started_once(p, good.values())
