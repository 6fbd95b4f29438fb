"""Copies in the dead-letter and rejected topics that Kafka refuses: nothing is lost, nobody waits."""

import pytest
from confluent_kafka import Producer

from harness.judge import body, check_started_once

pytestmark = pytest.mark.timeout(180)

PAD = "x" * 5_000_000  # plainly more than any of the topics takes


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
