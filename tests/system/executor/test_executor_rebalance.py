"""Partitions that change hands while queries run."""

import pytest

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, inject_all, states_of, wait_all
)  # fmt: skip
from harness.wait import SLOWNESS, wait_until

SOON = {"KAFKA_SESSION_TIMEOUT_MS": 2000, "KAFKA_HEARTBEAT_INTERVAL_MS": 300}


def check_never_back(p, queries):
    """What was written of each: once it has ended, only its end again."""
    for q in queries:
        states = states_of(p, q, "u")
        assert "SUCCEEDED" in states
        assert set(states[states.index("SUCCEEDED") :]) == {"SUCCEEDED"}, states


def test_rebalance_executors_come_while_queries_run(pipeline):
    p = pipeline(redrivers=0)
    queries = burst(12, f"/* sim: ms={round(3000 * SLOWNESS)} */")
    inject_all(p, queries)
    wait_all(p, queries, "STARTED")
    p.add_executor()
    p.topics.wait_members(p.executor_group, 2)
    p.add_executor()
    p.topics.wait_members(p.executor_group, 3)
    assert p.sim.stats()["ended"] == 0, "all ran on through both"
    wait_all(p, queries)
    p.wait_committed()
    ended = [e.metrics().sum("athena_query_ended_total") for e in p.executors]
    assert sum(ended) == len(queries) and sum(n > 0 for n in ended) >= 2, ended
    check_started_once(p, queries.values())
    check_nowhere_else(p)
    check_never_back(p, queries)


def test_rebalance_executors_leave_while_queries_run(pipeline):
    p = pipeline(executors=3, redrivers=0)
    p.topics.wait_members(p.executor_group, 3)
    queries = burst(12, "/* sim: ms=2500 */")
    inject_all(p, queries)
    wait_all(p, queries, "STARTED")
    p.executors[0].stop()
    p.executors[1].stop()
    wait_all(p, queries)
    p.wait_committed()
    assert p.executors[2].metrics().sum("athena_query_ended_total") == len(queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)


@pytest.mark.timeout(180)
def test_rebalance_again_and_again_under_load(pipeline):
    p = pipeline(
        executors=2, env=SOON,
        sim_env={"SIM_ACTIVE_DML": 8, "SIM_QUERY_MS": 200, "SIM_JITTER": 0.9},
        redriver_env={"REDRIVE_INTERVAL_MS": 300},
    )  # fmt: skip
    queries = burst(150)
    inject_all(p, queries)
    for i in range(3):
        n = len(p.sim.ledger())
        wait_until(lambda: len(p.sim.ledger()) > n + 15, 30)  # noqa: B023
        p.add_executor().wait_ready()
        p.executors[i].stop()
    wait_all(p, queries, timeout=90)
    p.wait_committed()
    check_started_once(p, queries.values())
    assert p.topics.count(p.rejected_topic) == 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("moment", ["waiting", "starting", "running"])
def test_rebalance_without_one_that_hangs(pipeline, moment):
    """Stopped for longer than its session, it wakes up with partitions that are another's."""
    p = pipeline(
        redrivers=0, env=SOON,
        executor_env={"MAX_RUNNING": 2} if moment == "waiting" else {},
        sim_env={"SIM_DELAY_MS": 500 if moment == "starting" else 0, "SIM_QUERY_MS": 1000},
    )  # fmt: skip
    sleeper = p.executors[0]
    queries = burst(8)
    inject_all(p, queries)
    wait_until(lambda: len(p.sim.ledger()) >= 2)
    if moment == "running":
        wait_all(p, queries, "STARTED")
    sleeper.pause()
    other = p.add_executor({"MAX_RUNNING": 0})
    wait_all(p, queries, timeout=40)
    p.wait_committed()
    done = p.topics.committed(p.executor_group, p.query_topic)
    assert other.metrics().sum("athena_query_ended_total") == len(queries)
    sleeper.resume()
    sleeper.wait_log("partitions lost|partitions taken(.|\n)*partitions taken", timeout=30)
    p.topics.wait_members(p.executor_group, 2)
    more = burst(8, first=100)
    inject_all(p, more)
    wait_all(p, more)
    p.wait_committed()
    for partition, (offset, _) in p.topics.committed(p.executor_group, p.query_topic).items():
        assert offset >= done.get(partition, (0, ""))[0], "no commit went back"
    for q in queries:
        assert p.status(q, "u")["state"] == "SUCCEEDED"
    check_started_once(p, [*queries.values(), *more.values()])
    check_nowhere_else(p)


def test_rebalance_does_not_wait_for_a_slow_athena(pipeline):
    """A call under way holds the group up for a bounded time only."""
    p = pipeline(redrivers=0, sim_env={"SIM_DELAY_MS": 600000})
    p.inject(body("q", "SELECT 1"))
    wait_until(lambda: p.sim.ledger())
    p.sim.set(delay_ms=0)  # for all calls but this one
    p.add_executor()
    p.topics.wait_members(p.executor_group, 2, timeout=20)
    p.wait_state("q", "SUCCEEDED", "u")
    assert p.sim.stats()["repeated"] == 1, "its answer was not waited for"
    check_started_once(p, ["SELECT 1"])
    check_nowhere_else(p)


def test_rebalance_while_a_partition_is_paused(pipeline):
    """A full window pauses the partition; whoever owns it next starts unpaused."""
    small = {"WINDOW_RECORDS": 2, "MAX_RUNNING": 1}
    p = pipeline(
        redrivers=0, env=SOON | {"TOPIC_PARTITIONS": 1}, executor_env=small,
        sim_env={"SIM_QUERY_MS": 700},
    )  # fmt: skip
    queries = burst(12)
    inject_all(p, queries)
    p.wait_state("q0", {"STARTED", "SUCCEEDED"}, "u")
    for _ in range(2):
        other = p.add_executor(small).wait_ready()
        wait_until(lambda: len(p.topics.members(p.executor_group)) == 2)
        other.stop()
        p.topics.wait_members(p.executor_group, 1)
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())
    check_nowhere_else(p)
