"""The status topic with a past, and one that changes under running programs: partitions are added, it
is deleted and made anew, its records are deleted."""

import contextlib
import datetime
import json
import signal

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions
)  # fmt: skip

from harness.judge import body
from harness.pipeline import sha256, status_key
from harness.wait import wait_until

TEXT = "SELECT 1"
EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def ended(query_id, second=0, user_id="u"):
    """(key, value) of a query that SUCCEEDED, so many seconds into 2026."""
    at = EPOCH + datetime.timedelta(seconds=second)
    value = {
        "queryId": query_id, "userId": user_id, "state": "SUCCEEDED",
        "queryExecutionId": f"e-{query_id}", "outputLocation": None, "attempt": 0, "reason": None,
        "updatedAt": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "sha256": sha256(TEXT),
    }  # fmt: skip
    return status_key(query_id, user_id), json.dumps(value).encode()


def known(p, query_ids):
    """Those that a look-up shows as ended."""
    found = {q: p.status(q, "u") for q in query_ids}
    return {q for q, status in found.items() if status and status["state"] == "SUCCEEDED"}


def wait_known(p, query_ids, timeout=40):
    left = set(query_ids)
    wait_until(
        lambda: left.difference_update(known(p, left)) or not left,
        timeout, lambda: f"{len(left)} look-ups, among them {sorted(left)[:3]}", interval=0.2,
    )  # fmt: skip


def check_not_started(p, query_ids):
    """Posted again, these are done with, and nothing is asked of Athena; a new one starts."""
    for query_id in query_ids:
        p.inject(body(query_id, TEXT))
    p.inject(body("new", "SELECT 2"))
    p.wait_state("new", "SUCCEEDED", "u", timeout=60)
    p.wait_committed()
    assert p.sim.starts_by_text() == {sha256("SELECT 2"): 1}


# A long past ----------------------------------------------------------------------------------------


def test_newest_are_known_after_a_restart(pipeline):
    """By their own time: the partitions hold them in another order, and one after the other."""
    p = pipeline(redrivers=0, env={"STATUS_CACHE_MAX": 100})
    n, partitions = 900, p.topics.partitions(p.status_topic)
    for partition in range(partitions):
        seconds = range(partition, n, partitions)
        order = seconds if partition % 2 else reversed(seconds)
        p.topics.produce_all(p.status_topic, [ended(f"q{s}", s) for s in order], partition=partition)
    for program in (*p.receivers, *p.executors):
        program.stop()
        program.start()
    p.receivers[0].wait_log("status view has caught up entries=100")
    p.executors[0].wait_log("status view has caught up entries=100")
    p.wait_ready()
    newest = [f"q{s}" for s in range(n - 99, n)]
    assert known(p, newest) == set(newest)
    check_not_started(p, newest[::10])


def test_past_that_was_deleted(pipeline):
    """Retention may delete all that a partition has: its end is reached all the same."""
    p = pipeline(redrivers=0)
    p.topics.produce_all(p.status_topic, [ended(f"q{i}") for i in range(200)])
    delete_records(p)
    for program in (*p.receivers, *p.executors):
        program.stop()
        program.start()
    p.wait_ready()
    assert p.status("q1", "u") is None
    check_not_started(p, [])


def delete_records(p):
    policy = ConfigEntry(
        "cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource("topic", p.status_topic, incremental_configs=[policy])
    p.topics.admin.incremental_alter_configs([resource])[resource].result(20)
    ends = {part: high for part, (_, high) in p.topics.watermarks(p.status_topic).items()}
    places = [TopicPartition(p.status_topic, part, high) for part, high in ends.items()]
    for done in p.topics.admin.delete_records(places).values():
        done.result(20)


# Changes under running programs ---------------------------------------------------------------------


def test_partitions_are_added(pipeline):
    p = pipeline(redrivers=0)
    had = p.topics.partitions(p.status_topic)
    more = NewPartitions(p.status_topic, had + 2)
    p.topics.admin.create_partitions([more])[p.status_topic].result(20)
    queries = [f"q{i}" for i in range(20)]
    for partition in (had, had + 1):
        some = [ended(q) for q in queries[partition - had :: 2]]
        p.topics.produce_all(p.status_topic, some, partition=partition)
    wait_known(p, queries)
    p.executors[0].wait_log(f"partitions {had + 2} instead of {had}", 30)
    check_not_started(p, queries)


def make_anew(p, partitions):
    p.topics.delete(p.status_topic)
    wait_until(lambda: p.topics.partitions(p.status_topic) == 0, 20, "the topic to be gone")
    with contextlib.suppress(KafkaException):  # where a program was quicker
        p.topics.create(p.status_topic, partitions, {"cleanup.policy": "compact"})


def test_topic_is_made_anew(pipeline):
    """With more records than were read of the old one: its offsets count for nothing."""
    p = pipeline(redrivers=0)
    partitions = p.topics.partitions(p.status_topic)
    old = [f"old{i}" for i in range(40)]
    p.topics.produce_all(p.status_topic, [ended(q) for q in old])
    wait_known(p, old)
    make_anew(p, partitions)
    queries = [f"q{i}" for i in range(400)]
    p.topics.produce_all(p.status_topic, [ended(q) for q in queries])
    wait_known(p, queries, 90)
    p.executors[0].wait_log("made anew", 60)
    p.executors[0].wait_ready(60)
    check_not_started(p, queries[::40])


def test_topic_is_made_anew_while_a_program_sleeps(pipeline):
    p = pipeline(executors=0, redrivers=0)
    partitions = p.topics.partitions(p.status_topic)
    old = [f"old{i}" for i in range(40)]
    p.topics.produce_all(p.status_topic, [ended(q) for q in old])
    wait_known(p, old)
    p.receivers[0].signal(signal.SIGSTOP)
    make_anew(p, partitions)
    few = [f"few{i}" for i in range(10)]  # its ends are below what was read
    p.topics.produce_all(p.status_topic, [ended(q) for q in few])
    p.receivers[0].signal(signal.SIGCONT)
    wait_known(p, few, 90)
