"""Whoever waits behind many thousand records of another user has a turn all the same."""

import os

import pytest
from harness.judge import body, check_started_once
from harness.paths import SANITIZED
from harness.pipeline import sha256
from harness.wait import wait_until

DEEP = 30000
USERS = [f"user{i}" for i in range(5)]
ENV = {
    "TOPIC_PARTITIONS": 1, "LOG_LEVEL": "info", "KAFKA_SESSION_TIMEOUT_MS": 6000,
    "TRACK_QUERIES": "on",
}  # fmt: skip


def fill(p, n):
    """`n` records of one user, behind them one of each of five others; their texts."""
    deep = {f"deep{i}": f"SELECT {i}" for i in range(n)}
    few = {user: f"SELECT '{user}'" for user in USERS}
    p.topics.create(p.query_topic, 1, {"retention.ms": "-1"})
    pairs = [(None, body(q, text, "deep")) for q, text in deep.items()]
    pairs += [(None, body("q", text, user)) for user, text in few.items()]
    p.topics.produce_all(p.query_topic, pairs, partition=0)
    return deep, few


def places(p, texts):
    """Which starts in order, from 0, those of these texts are."""
    order = {entry["sha256"]: i for i, entry in enumerate(p.sim.ledger())}
    return [order.get(sha256(text)) for text in texts]


@pytest.mark.timeout(240)
def test_deep_queue_users_behind_many_start_soon(pipeline):
    """Each within twice as many starts as there are users; all in order; memory stays small."""
    p = pipeline(
        executors=0, receivers=0, redrivers=0, env=ENV,
        sim_env={"SIM_ACTIVE_DML": 10, "SIM_QUERY_MS": 100},
    )  # fmt: skip
    deep, few = fill(p, DEEP)
    executor = p.add_executor()
    wait_until(lambda: None not in places(p, few.values()), 60, "the five to start", interval=0.5)
    assert max(places(p, few.values())) < 2 * (1 + len(USERS)), places(p, few.values())
    waiting = executor.metrics()
    assert waiting.sum("athena_query_indexed") > DEEP * 0.9
    assert waiting.sum("athena_query_unread") == 0
    assert SANITIZED or executor.memory_kib() < 100 * 1024
    wait_until(lambda: len(p.sim.ledger()) > 100, 60, "a hundred to start", interval=0.5)
    started = [i for i in places(p, list(deep.values())[:200]) if i is not None]
    # What was throttled is a dead letter; calls that are under way at once may overtake each other.
    assert len(started) > 80
    assert all(abs(a - b) <= 10 for a, b in zip(started, sorted(started), strict=True))


@pytest.mark.timeout(900)
def test_deep_queue_killed_in_the_middle(pipeline):
    """kill -9: nothing starts twice, and next to nothing is asked about again."""
    p = pipeline(
        executors=0, receivers=0, redrivers=0, env=ENV,
        sim_env={"SIM_ACTIVE_DML": 400, "SIM_QUERY_MS": 100},
    )  # fmt: skip
    n = int(os.environ.get("DEEP_KILLED", "6000"))
    deep, few = fill(p, n)
    executor = p.add_executor({"MAX_IN_FLIGHT": 50, "WINDOW_RECORDS": 400})
    p.add_redriver()
    wait_until(lambda: p.sim.stats()["start_calls"] > n / 2, 120, lambda: p.sim.stats(), interval=0.1)
    executor.kill()
    started = len(p.sim.ledger())
    executor.start()
    wait_until(
        lambda: p.topics.lag(p.executor_group, p.query_topic) == 0, 600,
        lambda: f"no lag: {executor.metrics().samples}", interval=0.5,
    )  # fmt: skip
    wait_until(
        lambda: len(p.sim.ledger()) == n + len(few), 60,
        lambda: f"all to start: {len(p.sim.ledger())}", interval=0.5,
    )  # fmt: skip
    check_started_once(p, [*deep.values(), *few.values()])
    throttled = p.topics.watermarks(p.deadletter_topic)[0][1]
    again = p.sim.stats()["start_calls"] - (n + len(few)) - throttled
    received = executor.metrics().sum("athena_query_received_total")
    print(f"started before the kill: {started}, received after it: {received}, calls again: {again}")
    assert again <= 60  # calls whose answers or STARTED were under way
