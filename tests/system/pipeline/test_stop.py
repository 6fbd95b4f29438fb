"""SIGTERM at any time: exit 0, nothing lost; a second one ends at once."""

import random
import re
import signal

import pytest

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, execution_id, inject_all, wait_all
)  # fmt: skip
from harness.wait import wait_until

SOON = {"KAFKA_SESSION_TIMEOUT_MS": 3000, "KAFKA_HEARTBEAT_INTERVAL_MS": 300}


def committed_as_finished(p):
    """How many offsets are committed as finished, those in the metadata included."""
    n = 0
    for offset, metadata in p.topics.committed(p.executor_group, p.query_topic).values():
        n += offset + sum(int(pair.split(":")[1]) for pair in re.findall(r"\d+:\d+", metadata))
    return n


def test_stop_in_the_middle_commits_all_that_has_ended(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_ACTIVE_DML": 100})
    slow = burst(6, "/* sim: ms=2500 */")
    quick = burst(20, first=100)
    queries = slow | quick
    mixed = list(queries.items())
    random.Random(1).shuffle(mixed)  # the slow ones among the quick, in the same order each time
    inject_all(p, dict(mixed))
    wait_all(p, quick)
    wait_all(p, slow, "STARTED")
    p.executors[0].stop()
    assert p.topics.members(p.executor_group) == {}, "it left the group"
    assert committed_as_finished(p) == len(quick)
    before = p.sim.stats()["start_calls"]
    p.executors[0].start()
    wait_all(p, queries)
    p.wait_committed()
    assert p.sim.stats()["start_calls"] == before, "what runs is followed by its execution id"
    check_started_once(p, queries.values())
    check_nowhere_else(p)


@pytest.mark.timeout(180)
def test_stop_again_and_again_under_load(pipeline):
    p = pipeline(
        sim_env={
            "SIM_ACTIVE_DML": 5, "SIM_QUERY_MS": 150, "SIM_FAIL_5XX": 0.1, "SIM_NONSENSE": 0.1,
            "SIM_CUT_AFTER_START": 0.1,
        },
    )  # fmt: skip
    queries = burst(60)
    inject_all(p, queries)
    for turn in range(6):
        n = len(p.sim.ledger())
        wait_until(lambda: len(p.sim.ledger()) > n + 4, 30)  # noqa: B023
        for program in (p.executors[0], p.redrivers[0]) if turn % 2 else (p.executors[0],):
            program.stop()
            program.start()
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())
    assert p.topics.count(p.rejected_topic) == 0


@pytest.mark.parametrize(
    ("number", "delay_ms"), [(signal.SIGTERM, 6000), (signal.SIGINT, 1000)]
)
def test_stop_waits_for_calls_under_way(pipeline, number, delay_ms):
    """Longer than a rebalance would, as long as DRAIN_TIMEOUT_MS allows."""
    p = pipeline(
        redrivers=0, sim_env={"SIM_DELAY_MS": delay_ms},
        executor_env={"DRAIN_TIMEOUT_MS": 30000},
    )  # fmt: skip
    p.inject(body("q", "SELECT 1"))
    wait_until(lambda: p.sim.ledger())
    p.executors[0].signal(number)
    p.executors[0].asked = True
    assert p.executors[0].wait(25) == 0
    found = p.wait_state("q", "STARTED", "u")
    assert found["queryExecutionId"] == execution_id(p, "SELECT 1"), "its answer was heard"
    assert p.sim.stats()["start_calls"] == 1
    p.sim.set(delay_ms=0)
    p.executors[0].start()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])
    check_nowhere_else(p)


def test_stop_does_not_wait_for_ever(pipeline):
    p = pipeline(
        redrivers=0, sim_env={"SIM_DELAY_MS": 600000}, executor_env={"DRAIN_TIMEOUT_MS": 500}
    )
    p.inject(body("q", "SELECT 1"))
    wait_until(lambda: p.sim.ledger())
    p.executors[0].stop()
    p.sim.set(delay_ms=0)
    p.executors[0].start()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])


def test_stop_twice_ends_at_once(pipeline):
    p = pipeline(
        redrivers=0, env=SOON, sim_env={"SIM_DELAY_MS": 600000},
        executor_env={"DRAIN_TIMEOUT_MS": 600000},
    )  # fmt: skip
    executor = p.executors[0]
    p.inject(body("q", "SELECT 1"))
    wait_until(lambda: p.sim.ledger())
    executor.signal(signal.SIGTERM)
    executor.wait_log("stopping")
    executor.signal(signal.SIGTERM)
    assert executor.wait(5) == 111, "it could not end what it had begun"
    p.sim.set(delay_ms=0)
    executor.start()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])
    check_nowhere_else(p)


def test_stop_of_all_executors_at_once(pipeline):
    """One waits for its call while the other leaves: it does not take what that has let go."""
    p = pipeline(executors=2, redrivers=0)
    p.topics.wait_members(p.executor_group, 2)
    queries = burst(8, "/* sim: ms=2000 */")
    inject_all(p, queries)
    wait_all(p, queries, "STARTED")
    p.sim.set(delay_ms=3000)
    p.topics.produce(p.query_topic, body("q", "SELECT 1"), partition=0)
    queries["q"] = "SELECT 1"
    wait_until(lambda: len(p.sim.ledger()) == len(queries))
    for executor in p.executors:
        executor.ask_to_stop()
    for executor in p.executors:
        executor.stop()
        assert "not all was acknowledged in time" not in executor.log()
    p.sim.set(delay_ms=0)
    p.executors[0].start()
    wait_all(p, queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)


def test_stop_while_nothing_works(pipeline, programs, sim, stage):
    """Without a broker, without Athena, without credentials: exit 0 all the same."""
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "STAGE": stage}
    aws = sim().aws_env()
    lost = programs("athena-query-executor", nowhere | aws)
    lost.wait_log("not ready")
    lost.stop()
    p = pipeline(redrivers=0)
    p.sim.set(expired=1)
    p.inject(body("q", "SELECT 1"))
    p.executors[0].wait_log("credentials refused")
    p.executors[0].stop()
    assert p.topics.lag(p.executor_group, p.query_topic) == 1
    p.sim.set(expired=0)
    p.sim.kill()
    p.executors[0].start().wait_log("Athena cannot be reached")
    p.executors[0].stop()
    p.sim.start()
    p.executors[0].start()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])
    check_nowhere_else(p)


@pytest.mark.timeout(180)
def test_stop_with_the_broker_gone(pipeline, own_kafka):
    p = pipeline(redrivers=0, broker=own_kafka(), executor_env={"DRAIN_TIMEOUT_MS": 1500})
    queries = burst(6, "/* sim: ms=700 */")
    inject_all(p, queries)
    wait_all(p, queries, "STARTED")
    p.kafka.kill()
    wait_until(lambda: p.executors[0].metrics().sum("athena_query_ended_total") == 6)
    p.executors[0].stop(timeout=20)
    p.kafka.start()
    p.executors[0].start()
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())
    check_nowhere_else(p)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("busy", [False, True])
def test_stop_with_a_broker_that_does_not_answer(pipeline, own_kafka, busy):
    """Neither a commit under way nor the leaving of the group holds the end up for long."""
    p = pipeline(
        redrivers=0, broker=own_kafka(),
        executor_env={"DRAIN_TIMEOUT_MS": 2000, "MAX_RUNNING": 10},
        sim_env={"SIM_QUERY_MS": 50},
    )  # fmt: skip
    queries = burst(400 if busy else 5)
    inject_all(p, queries)
    if busy:
        wait_until(lambda: p.sim.stats()["ended"] > 20)
    else:
        wait_all(p, queries)
        p.wait_committed()
    p.kafka.signal(signal.SIGSTOP)
    try:
        p.executors[0].stop(timeout=25)
    finally:
        p.kafka.signal(signal.SIGCONT)
    p.executors[0].start().wait_ready()
    wait_all(p, queries)
    check_started_once(p, queries.values())
