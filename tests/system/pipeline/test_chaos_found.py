"""What the laboratory of faults has found, each as small as it could be made."""

import pytest
from confluent_kafka.admin import NewPartitions

from harness.judge import body, burst, check_started_once, execution_id, inject_all, wait_all
from harness.wait import wait_until

SOON = {
    "KAFKA_SESSION_TIMEOUT_MS": 3000, "KAFKA_HEARTBEAT_INTERVAL_MS": 300,
    "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 500,
}  # fmt: skip


def test_a_repetition_after_athena_has_forgotten_the_token(pipeline):
    """Seed 1, depth 1, round 6."""
    p = pipeline(redrivers=0, env=SOON)
    p.inject(body("q", "SELECT 1"))
    p.wait_state("q", "SUCCEEDED", "u")
    p.sim.set(forget_tokens=1)
    p.inject(body("q", "SELECT 1"))
    p.wait_committed()
    check_started_once(p, ["SELECT 1"])
    assert p.status("q", "u")["queryExecutionId"] == execution_id(p, "SELECT 1")


def test_a_take_over_after_athena_has_forgotten_the_tokens(pipeline):
    p = pipeline(redrivers=0, env=SOON)
    queries = burst(5, "/* sim: ms=4000 */")
    inject_all(p, queries)
    wait_all(p, queries, {"STARTED"})
    p.executors[0].kill()
    p.sim.set(forget_tokens=1)
    p.executors[0].start()
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())


def test_partitions_added_to_the_status_topic(pipeline):
    """Seed 21, depth 2, round 3."""
    p = pipeline(receivers=2, redrivers=0, env=SOON, sim_env={"SIM_ACTIVE_DML": 100})
    done = p.topics.admin.create_partitions([NewPartitions(p.status_topic, 8)])
    done[p.status_topic].result(10)
    wait_until(lambda: p.topics.partitions(p.status_topic) == 8)
    queries = burst(30)
    inject_all(p, queries)
    wait_all(p, queries, timeout=10)
    for query_id in queries:
        wait_until(lambda: p.clients[1].status(query_id, "u")["state"] == "SUCCEEDED")  # noqa: B023
    p.wait_committed()


@pytest.mark.parametrize("sleeps", [True, False], ids=["asleep", "awake"])
def test_the_query_topic_made_anew_under_an_executor(pipeline, sleeps):
    p = pipeline(redrivers=0, env=SOON | {"TOPIC_PARTITIONS": 1}, sim_env={"SIM_ACTIVE_DML": 100})
    before = burst(20)
    inject_all(p, before)
    wait_all(p, before)
    p.wait_committed()
    if sleeps:
        p.executors[0].pause()
    p.topics.delete(p.query_topic)
    wait_until(lambda: p.topics.partitions(p.query_topic) == 0)
    p.topics.create(p.query_topic)
    after = burst(40, first=100)  # more: the offset at which it stands is there again
    inject_all(p, after)
    if sleeps:
        p.executors[0].resume()
    wait_all(p, after, timeout=30)
    check_started_once(p, [*before.values(), *after.values()])


def test_a_stop_after_the_query_topic_was_deleted(pipeline):
    p = pipeline(redrivers=0, env=SOON | {"TOPIC_PARTITIONS": 1})
    queries = burst(5)
    inject_all(p, queries)
    wait_all(p, queries)
    p.wait_committed()
    p.topics.delete(p.query_topic)
    p.executors[0].wait_log("topic not available")
    p.executors[0].stop()
