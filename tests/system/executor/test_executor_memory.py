"""What waits is held as bytes, counted as it is held, and bounded, whatever is in the topic."""

import json

import pytest
from harness.paths import SANITIZED
from harness.wait import wait_until

SLOW = "/* sim: ms=600000 */"
IDLE_KIB = 60 * 1024  # an executor that holds nothing: 25 MiB, and what malloc keeps

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not the executor's")


def wait_received(p, n, timeout=60):
    metrics = p.executors[0].metrics
    wait_until(
        lambda: metrics().sum("athena_query_received_total") >= n, timeout,
        lambda: f"{n} received: {metrics().sum('athena_query_received_total')}",
    )  # fmt: skip


def settled_memory(p):
    """The resident memory once it no longer grows."""
    seen = [0]

    def look():
        seen.append(p.executors[0].memory_kib())
        return len(seen) > 6 and max(seen[-5:]) - min(seen[-5:]) < 1024

    wait_until(look, 30, "it grows", interval=0.5)
    return seen[-1]


@pytest.mark.timeout(180)
def test_memory_of_large_headers(pipeline):
    """250 records with 1 MB of headers: as counted and bounded as values are."""
    p = pipeline(
        redrivers=0, receivers=0, env={"TOPIC_PARTITIONS": 1, "LOG_LEVEL": "info"},
        sim_env={"SIM_ACTIVE_DML": 1},
    )  # fmt: skip
    large = [("foreign", b"x" * 1000000)]
    for i in range(250):
        body = json.dumps({"queryId": f"q{i}", "query": f"SELECT {i} {SLOW}"})
        p.topics.produce_all(p.query_topic, [(None, body.encode())], headers=large)
    wait_received(p, 2)
    assert settled_memory(p) < IDLE_KIB + 60 * 1024
    assert p.executors[0].running


@pytest.mark.timeout(180)
def test_memory_of_many_parameters(pipeline):
    """17 queries with 250,000 parameters of a byte each: parsed they take eleven times as much."""
    p = pipeline(
        redrivers=0, receivers=0, env={"TOPIC_PARTITIONS": 6, "LOG_LEVEL": "info"},
        sim_env={"SIM_ACTIVE_DML": 1},
    )  # fmt: skip
    for i in range(17):
        body = {"queryId": f"q{i}", "query": f"SELECT {i} {SLOW}"}
        body["executionParameters"] = ["1"] * 250000
        value = json.dumps(body, separators=(",", ":")).encode()
        p.topics.produce_all(p.query_topic, [(None, value)], partition=i % 6)
    wait_received(p, 17)
    assert settled_memory(p) < IDLE_KIB + 60 * 1024
