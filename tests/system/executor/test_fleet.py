"""Several executors share the quota that one of them learns (docs/fleet.md)."""

import pytest

from harness.judge import (
    burst, check_nowhere_else, check_started_once, inject_all, wait_all
)  # fmt: skip
from harness.wait import wait_until

SOON = {"KAFKA_SESSION_TIMEOUT_MS": 2500, "KAFKA_HEARTBEAT_INTERVAL_MS": 300}


def quota_topic(p):
    return p.name("athena-query-quota")


def shares(p):
    """Of the executors that run: their shares of the DML limit."""
    return [
        e.metrics().sum("athena_query_share", lane="dml") for e in p.executors if e.running
    ]


def leaders(p):
    return [
        e for e in p.executors if e.running and e.metrics().sum("athena_query_fleet_leader") == 1
    ]


def leader_of(p, limit=None):
    """The only leader, and with this limit; or None."""
    found = leaders(p)
    one = found[0] if len(found) == 1 else None
    return one if one and limit in (None, limit_of(one)) else None


def spread(p, queries, partitions):
    """The same number into each partition."""
    items = list(queries.items())
    for i in range(partitions):
        inject_all(p, dict(items[i::partitions]), partition=i)


def limit_of(executor):
    return executor.metrics().sum("athena_query_limit", lane="dml")


def test_fleet_shares_what_one_has_learned(pipeline):
    p = pipeline(
        executors=3, redrivers=1, env={"TOPIC_PARTITIONS": 6},
        sim_env={"SIM_ACTIVE_DML": 9, "SIM_QUERY_MS": 700},
    )  # fmt: skip
    p.topics.wait_members(p.executor_group, 3)
    queries = burst(120)
    spread(p, queries, 6)
    wait_until(
        lambda: shares(p) == [3, 3, 3] and [limit_of(e) for e in leaders(p)] == [9], 20,
        lambda: f"equal shares of nine, they are {shares(p)}",
    )  # fmt: skip
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())
    assert p.topics.count(p.rejected_topic) == 0
    # Alone each of them would have run into the quota again and again.
    assert p.sim.stats()["throttled"] <= 12, p.sim.stats()


def test_fleet_leaves_no_slot_idle_beside_one_with_work(pipeline):
    p = pipeline(
        executors=2, redrivers=1, env={"TOPIC_PARTITIONS": 2},
        sim_env={"SIM_ACTIVE_DML": 8, "SIM_QUERY_MS": 1500},
    )  # fmt: skip
    p.topics.wait_members(p.executor_group, 2)
    queries = burst(60)
    inject_all(p, queries, partition=1)
    wait_until(lambda: sorted(shares(p)) == [0, 8], 20, lambda: f"it is {shares(p)}")
    more = burst(60, first=100)
    inject_all(p, more, partition=0)
    wait_until(lambda: shares(p) == [4, 4], 20, lambda: f"it is {shares(p)}")
    wait_all(p, queries | more)
    check_started_once(p, [*queries.values(), *more.values()])


@pytest.mark.timeout(180)
def test_fleet_outlives_its_leader(pipeline):
    """kill -9 in the middle: another leads, on what the first has learned."""
    p = pipeline(
        executors=3, redrivers=1, env=SOON | {"TOPIC_PARTITIONS": 6},
        sim_env={"SIM_ACTIVE_DML": 6, "SIM_QUERY_MS": 600},
    )  # fmt: skip
    p.topics.wait_members(p.executor_group, 3)
    queries = burst(150)
    spread(p, queries, 6)
    first = wait_until(lambda: leader_of(p, 6), 20, "a leader that has learned")
    wait_until(lambda: p.sim.stats()["ended"] > 30, 30)
    first.kill()
    second = wait_until(lambda: leader_of(p), 30, "another leader")
    assert 4 <= limit_of(second) <= 7
    wait_all(p, queries, timeout=90)
    p.wait_committed()
    check_started_once(p, queries.values())
    assert p.topics.count(p.rejected_topic) == 0


@pytest.mark.timeout(180)
def test_fleet_does_not_heed_a_leader_that_slept(pipeline):
    p = pipeline(
        executors=3, redrivers=1, env=SOON | {"TOPIC_PARTITIONS": 6},
        sim_env={"SIM_ACTIVE_DML": 6, "SIM_QUERY_MS": 600},
    )  # fmt: skip
    p.topics.wait_members(p.executor_group, 3)
    queries = burst(150)
    spread(p, queries, 6)
    first = wait_until(lambda: leader_of(p, 6), 20, "a leader that has learned")
    awake = [e for e in p.executors if e is not first]
    first.pause()

    def leads(executor):
        return executor.metrics().sum("athena_query_fleet_leader") == 1

    wait_until(lambda: any(map(leads, awake)), 30, "another leader")
    first.resume()
    wait_until(lambda: not leads(first), 30, "the first to give way")
    wait_all(p, queries, timeout=90)
    p.wait_committed()
    wait_until(lambda: leader_of(p), 20, "one leader")
    check_started_once(p, queries.values())
    assert p.topics.count(p.rejected_topic) == 0


def test_fleet_of_one_pays_nothing(pipeline):
    p = pipeline(redrivers=1, sim_env={"SIM_ACTIVE_DML": 4, "SIM_QUERY_MS": 300})
    queries = burst(30)
    inject_all(p, queries)
    wait_all(p, queries)
    assert leaders(p) == [] and p.topics.count(quota_topic(p)) == 0
    # Joined by another, it shares what it has learned.
    p.add_executor().wait_ready()
    p.topics.wait_members(p.executor_group, 2)
    wait_until(lambda: leader_of(p, 4), 20, "what it has learned")
    more = burst(30, first=100)
    inject_all(p, more)
    wait_all(p, more)
    check_started_once(p, [*queries.values(), *more.values()])


def test_fleet_without_its_topic_learns_alone(pipeline):
    p = pipeline(receivers=0, executors=0, redrivers=0, env={"CREATE_TOPICS": "false"})
    for name in (p.query_topic, p.deadletter_topic, p.rejected_topic, p.status_topic):
        p.topics.create(name, 2)
    p.add_receiver()
    p.add_executor()
    p.add_executor()
    p.wait_ready()
    p.executors[0].wait_log(f"topic {quota_topic(p)} is not there")
    queries = burst(20)
    inject_all(p, queries)
    wait_all(p, queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)
    assert quota_topic(p) not in p.topics.names()


def test_fleet_does_not_probe_at_the_end_of_a_backlog(pipeline):
    """What waits is counted once: neither what runs, nor what was read of Kafka, waits there."""
    p = pipeline(redrivers=0, sim_env={"SIM_ACTIVE_DML": 3, "SIM_QUERY_MS": 200})
    queries = burst(50)
    inject_all(p, queries)

    def done():
        stats = p.sim.stats()
        return stats["ended"] + stats["throttled"] == 50

    wait_until(done, 30, "all but those refused to end")
    # 30 starts after the quota was learned 16 wait, under six times the limit.
    assert news(p.executors[0]) == {"found": 1, "taken": 0, "refused": 0, "risen": 0}


def news(executor):
    """What was learned of the limit, and how often."""
    total = executor.metrics().sum
    whys = ("found", "taken", "refused", "risen")
    return {w: total("athena_query_limit_news_total", lane="dml", why=w) for w in whys}


def test_fleet_of_one_says_why_the_limit_moves(pipeline):
    p = pipeline(
        executor_env={"LOG_LEVEL": "debug"}, sim_env={"SIM_ACTIVE_DML": 8, "SIM_QUERY_MS": 200}
    )
    one = p.executors[0]
    queries = burst(500)
    inject_all(p, queries)
    wait_until(lambda: limit_of(one) == 8, 20, "the quota to be learned")
    p.sim.set(active_dml=4)
    wait_until(lambda: limit_of(one) <= 4, 20, "the cut to be followed")
    assert news(one)["taken"] > 0
    p.sim.set(active_dml=8)
    wait_until(lambda: limit_of(one) == 8, 20, "the rise to be followed")
    assert news(one)["risen"] > 0
    one.wait_log("limit: lane=dml why=taken limit=")
    one.wait_log("limit: lane=dml why=risen limit=")
