"""An offset is committed when its query has ended, and what ended out of order is told with it."""

import re

import pytest

from harness.judge import body, burst, check_started_once, inject_all, wait_all
from harness.wait import wait_until

ONE = {
    "TOPIC_PARTITIONS": 1, "KAFKA_SESSION_TIMEOUT_MS": 2500, "KAFKA_HEARTBEAT_INTERVAL_MS": 300,
}  # fmt: skip


def committed(p):
    """(offset, metadata without the witness before it) of the only partition."""
    offset, metadata = p.topics.committed(p.executor_group, p.query_topic).get(0, (0, ""))
    return offset, re.sub(r"^in1 \d+ \d+ [0-9a-f]{8};", "", metadata)


def held(executor):
    """How many records wait with their bytes."""
    metrics = executor.metrics()
    return metrics.sum("athena_query_waiting") - metrics.sum("athena_query_indexed")


def finished_in(metadata, position):
    """How many offsets beyond the position it tells of: `aq1 position unfinished:finished ...`"""
    if not metadata:
        return 0
    tag, base, *pairs = metadata.split(" ")
    assert tag == "aq1" and int(base) == position
    return sum(int(pair.split(":")[1]) for pair in pairs)


def wait_finished(p, offset, n, timeout=30):
    def look():
        position, metadata = committed(p)
        return position == offset and finished_in(metadata, position) == n

    wait_until(look, timeout, lambda: f"{n} told at {offset}, it is {committed(p)}", interval=0.1)


def test_offsets_out_of_order_ride_in_the_metadata(pipeline):
    p = pipeline(redrivers=0, env=ONE, executor_env={"POLL_INTERVAL_MS": 50})
    slow = {q: f"SELECT '{q}' /* sim: ms=4000 */" for q in ("slow1", "slow2")}
    quick = burst(6)
    values = [
        body("q0", quick["q0"]), body("slow1", slow["slow1"]), body("q1", quick["q1"]),
        body("q2", quick["q2"]), body("slow2", slow["slow2"]), body("q3", quick["q3"]),
        b"no request", body("q4", quick["q4"]), body("q5", quick["q5"]),
    ]  # fmt: skip
    p.topics.produce_all(p.query_topic, [(None, v) for v in values])
    wait_all(p, quick)
    wait_finished(p, 1, 6)
    assert committed(p) == (1, "aq1 1 1:2 1:4")
    wait_all(p, slow, "STARTED")
    # Whoever comes next receives these two only, and knows from the status topic that they run.
    before = p.sim.stats()
    p.executors[0].kill()
    p.executors[0].start()
    wait_all(p, slow)
    p.wait_committed()
    assert committed(p) == (len(values), "")
    after = p.sim.stats()
    assert p.executors[0].metrics().sum("athena_query_received_total") == 2
    assert after["start_calls"] == before["start_calls"]
    assert p.topics.count(p.rejected_topic) == 1
    check_started_once(p, [*slow.values(), *quick.values()])


def test_offsets_of_a_running_query_wait_for_its_end(pipeline):
    p = pipeline(redrivers=0, env=ONE)
    p.inject(body("q", "SELECT 1 /* sim: ms=1500 */"))
    p.wait_state("q", "STARTED", "u")
    while p.sim.stats()["ended"] == 0:
        assert committed(p)[0] == 0 or p.sim.stats()["ended"] == 1
    p.wait_state("q", "SUCCEEDED", "u")
    p.wait_committed()


@pytest.mark.timeout(240)
def test_offsets_thousands_finished_beyond_a_slow_one(pipeline):
    """With every third one slow they do not even fit: then less is told, and never too much."""
    n = 1200
    p = pipeline(
        redrivers=0, env=ONE | {"LOG_LEVEL": "info"},
        executor_env={"MAX_IN_FLIGHT": 50, "WINDOW_RECORDS": 2000},
        sim_env={"SIM_ACTIVE_DML": 5000, "SIM_QUERY_MS": 1},
    )  # fmt: skip
    slow = "/* sim: ms=600000 */"
    texts = [f"SELECT {i} {slow if i % 2 == 0 else ''}" for i in range(2 * n)]
    pairs = [(None, body(f"q{i}", text)) for i, text in enumerate(texts)]
    p.topics.produce_all(p.query_topic, pairs)
    metrics = p.executors[0].metrics
    wait_until(
        lambda: metrics().sum("athena_query_ended_total") == n
        and metrics().sum("athena_query_running") == n,
        120, lambda: f"{n} ended: {metrics().samples}", interval=0.2,
    )  # fmt: skip

    def told():
        position, metadata = committed(p)
        return position == 0 and len(metadata) <= 4096 and finished_in(metadata, position)

    known = wait_until(lambda: (told() or 0) > 900 and told(), 20, lambda: f"{committed(p)[1][:80]}")
    assert known < n
    assert "not committed" not in p.executors[0].log()
    # Commits go on, and the next owner receives what is not told, and knows what became of it.
    p.executors[0].kill()
    before = p.sim.stats()["start_calls"]
    p.executors[0].start()
    wait_until(
        lambda: metrics().sum("athena_query_received_total") == 2 * n - known
        and metrics().sum("athena_query_running") == n,
        120, lambda: f"{2 * n - known} received: {metrics().samples}", interval=0.2,
    )  # fmt: skip
    assert p.sim.stats()["start_calls"] == before
    check_started_once(p, texts)


@pytest.mark.timeout(240)
def test_offsets_small_window_loses_and_repeats_nothing(pipeline):
    """A partition that is full is paused, and resumed, ten times over."""
    n = 1600
    p = pipeline(
        redrivers=0, env={"LOG_LEVEL": "info"},
        executor_env={"WINDOW_RECORDS": 40, "MAX_IN_FLIGHT": 20},
        sim_env={"SIM_ACTIVE_DML": 500, "SIM_QUERY_MS": 20},
    )  # fmt: skip
    queries = burst(n)
    for partition in range(4):
        mine = [(None, body(q, text)) for q, text in list(queries.items())[partition::4]]
        p.topics.produce_all(p.query_topic, mine, partition=partition)
    waiting = set()

    def look():
        waiting.add(held(p.executors[0]))
        return p.topics.lag(p.executor_group, p.query_topic) == 0

    wait_until(look, 120, "no lag", interval=0.1)
    assert max(waiting) <= 4 * 40
    check_started_once(p, queries.values())
    assert p.sim.stats()["start_calls"] == n
    assert p.executors[0].metrics().sum("athena_query_received_total") == n


def test_offsets_window_of_bytes(pipeline):
    p = pipeline(
        redrivers=0, env=ONE, executor_env={"WINDOW_BYTES": 300000, "MAX_RUNNING": 3},
        sim_env={"SIM_ACTIVE_DML": 3, "SIM_QUERY_MS": 50},
    )  # fmt: skip
    texts = {f"q{i}": f"SELECT {i} /* {'x' * 100000} */" for i in range(24)}
    inject_all(p, texts)
    waiting = set()

    def look():
        waiting.add(held(p.executors[0]))
        return p.topics.lag(p.executor_group, p.query_topic) == 0

    wait_until(look, 60, "no lag")
    assert max(waiting) <= 4, "most of them are indexed"
    check_started_once(p, texts.values())


def test_offsets_window_has_room_again_for_each_query_that_starts(pipeline):
    """What runs does not count as waiting: a small window does not leave the quota idle."""
    p = pipeline(redrivers=0, env=ONE, executor_env={"WINDOW_RECORDS": 5})
    queries = burst(20, "/* sim: ms=600000 */")
    inject_all(p, queries)
    wait_all(p, queries, "STARTED")
    check_started_once(p, queries.values())
