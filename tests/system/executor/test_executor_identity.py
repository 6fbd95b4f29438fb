"""A query is the pair (userId, queryId): it starts at most once, whatever comes twice."""

import json

import pytest

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, execution_id, states_of, wait_all
)  # fmt: skip
from harness.wait import wait_until

SLOW = "/* sim: ms=2500 */"
# A killed executor's partitions wait so long for the next one.
SOON = {"KAFKA_SESSION_TIMEOUT_MS": 2500, "KAFKA_HEARTBEAT_INTERVAL_MS": 300}


def wait_rejected(p, n):
    """The records of the rejected topic, once there are n of them."""
    wait_until(
        lambda: p.topics.count(p.rejected_topic) >= n, 20,
        lambda: f"{n} rejected, it is {p.topics.count(p.rejected_topic)}", interval=0.1,
    )  # fmt: skip
    return p.topics.read(p.rejected_topic)


def test_identity_posted_and_injected_twice_starts_once(pipeline):
    p = pipeline(executors=2, redrivers=0)
    requests = [{"userId": "u", "queryId": f"q{i}", "query": f"SELECT {i}"} for i in range(8)]
    lines = [json.dumps(r).encode() for r in requests]
    for request in requests:
        p.post(request)
        p.post(request)
        p.inject(request, b"another key")  # another partition, so perhaps another executor
    p.topics.console_producer(p.query_topic, lines)
    wait_all(p, [r["queryId"] for r in requests])
    p.wait_committed()
    check_started_once(p, [r["query"] for r in requests])
    check_nowhere_else(p)
    p.topics.produce_all(p.query_topic, [(None, line) for line in lines])
    p.wait_committed()
    check_started_once(p, [r["query"] for r in requests])
    for request in requests:
        assert p.status(request["queryId"], "u")["state"] == "SUCCEEDED"


def test_identity_absent_empty_and_null_user_are_the_same(pipeline):
    p = pipeline(redrivers=0)
    for user in ({}, {"userId": ""}, {"userId": None}):
        p.post({"queryId": "q", "query": "SELECT 1"} | user)
    p.post({"queryId": "q", "query": "SELECT 2", "userId": "u"})
    p.wait_state("q", "SUCCEEDED")
    p.wait_state("q", "SUCCEEDED", "u")
    p.wait_committed()
    check_started_once(p, ["SELECT 1", "SELECT 2"])


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "STARTED"])
def test_identity_another_text_of_a_started_query_is_rejected(pipeline, state):
    p = pipeline(redrivers=0)
    hint = {"STARTED": "/* sim: ms=600000 */", "FAILED": "/* sim: state=FAILED */"}.get(state, "")
    p.post({"userId": "u", "queryId": "q", "query": f"SELECT 1 {hint}"})
    first = p.wait_state("q", state, "u")
    other = b'{"query":"SELECT 2", "userId":"u","queryId":"q"}'
    p.post(other)
    p.inject(other, b"another key")
    records = wait_rejected(p, 2)
    assert [r.value for r in records] == [other, other]
    assert {r.headers["athena-error"] for r in records} == {"InvalidRequestException"}
    check_started_once(p, [f"SELECT 1 {hint}"])
    if state != "STARTED":
        p.wait_committed()
    assert p.status("q", "u") == first, "untouched"
    assert states_of(p, "q", "u")[-1] == state


def test_identity_another_text_does_not_take_the_place_of_a_throttled_one(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_ACTIVE_DML": 0})
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    first = p.wait_state("q", "THROTTLED", "u")
    p.sim.set(active_dml=20)
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 2"})
    wait_rejected(p, 1)
    assert p.status("q", "u") == first
    p.executors[0].stop()
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 3"})
    p.executors[0].start()  # what it knows now, it has from the status topic
    wait_rejected(p, 2)
    p.add_redriver().wait_ready()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])


def test_identity_another_text_does_not_take_the_place_of_a_queued_one(pipeline):
    """Behind another key some overtake the first, which still waits in its partition."""
    p = pipeline(redrivers=0, executors=0)
    queries = burst(8)  # of as many users, whose records are in several partitions
    places = {
        q: p.post({"userId": q, "queryId": q, "query": text})["partition"]
        for q, text in queries.items()
    }
    wait_until(lambda: all(states_of(p, q, q) == ["QUEUED"] for q in queries))
    others = {q: body(q, f"SELECT 'other {q}'", q) for q in queries}
    for partition in range(4):
        for q, value in others.items():
            if places[q] != partition:
                p.topics.produce(p.query_topic, value, partition=partition)
    p.add_executor().wait_ready()
    p.wait_states([(q, q) for q in queries], "SUCCEEDED")
    rejected = wait_rejected(p, 3 * len(queries))
    assert sorted(r.value for r in rejected) == sorted([*others.values()] * 3)
    p.wait_committed()
    check_started_once(p, queries.values())


@pytest.mark.parametrize(
    "change",
    [
        {"ATHENA_OUTPUT_LOCATION": "s3://elsewhere/"},
        {"ATHENA_WORKGROUP": "analysts", "ATHENA_DATABASE": "other"},
    ],
    ids=["location", "workgroup"],
)
def test_identity_changed_defaults_follow_what_has_started(pipeline, change):
    p = pipeline(redrivers=0, env=SOON)
    runs, done = f"SELECT 'runs' {SLOW}", "SELECT 'done'"
    p.post({"userId": "u", "queryId": "done", "query": done})
    p.wait_state("done", "SUCCEEDED", "u")
    p.post({"userId": "u", "queryId": "runs", "query": runs})
    p.wait_state("runs", "STARTED", "u")
    executor = p.executors[0]
    executor.kill()
    executor.env.update(change)
    executor.start()
    p.post({"userId": "u", "queryId": "done", "query": done})
    found = p.wait_state("runs", "SUCCEEDED", "u")
    assert found["queryExecutionId"] == execution_id(p, runs)
    assert found["outputLocation"].startswith("s3://results/")
    p.wait_committed()
    assert p.status("done", "u")["queryExecutionId"] == execution_id(p, done)
    assert p.sim.stats()["start_calls"] == 2, "what has started is not asked for again"
    check_started_once(p, [runs, done])
    check_nowhere_else(p)
    p.post({"userId": "u", "queryId": "runs", "query": "SELECT 'other'"})
    wait_rejected(p, 1)
    check_started_once(p, [runs, done])


def test_identity_injected_without_a_name(pipeline):
    p = pipeline(redrivers=0, env=SOON)
    text, given = f"SELECT 1 {SLOW}", f"SELECT 2 {SLOW}"
    p.inject({"query": text})
    for _ in range(2):
        p.inject({"query": given, "queryId": None}, None, [("athena-query-id", b"given")])
    wait_until(lambda: len(p.sim.ledger()) == 2)
    p.executors[0].kill()
    p.executors[0].start()  # the records come again
    p.wait_state("given", "SUCCEEDED")
    p.wait_committed()
    (derived,) = {
        s["queryId"] for states in p.status_records().values() for s in states
    } - {"given"}  # fmt: skip
    found = p.status(derived)
    assert found["state"] == "SUCCEEDED"
    assert found["queryExecutionId"] == execution_id(p, text)
    check_started_once(p, [text, given])


def test_identity_two_stages_are_two_queries(pipeline, stage):
    """One account may run the queries of several stages."""
    p = pipeline(redrivers=0)
    p.inject(body("q", "SELECT 1"))
    p.wait_state("q", "SUCCEEDED", "u")
    p.stage = stage + "x"
    p.add_executor().wait_ready()
    p.inject(body("q", "SELECT 1"))
    p.wait_committed()
    wait_until(lambda: len(p.sim.ledger()) == 2)
    assert len({s["token"] for s in p.sim.ledger()}) == 2


def test_identity_last_word_of_the_topic_is_the_last_state(pipeline):
    """A QUEUED that comes in behind the state it precedes would be what compaction keeps."""
    p = pipeline(redrivers=0)
    n = 100
    for i in range(n):
        p.post({"userId": "u", "queryId": f"q{i}", "query": "SELECT 1", "workGroup": "notallowed"})
    wait_all(p, [f"q{i}" for i in range(n)], "REJECTED")
    wait_until(
        lambda: {s[-1]["state"] for s in p.status_records().values()} == {"REJECTED"}, 20,
        "each pair's last record to be REJECTED", interval=0.2,
    )  # fmt: skip
    # And the same made certain: a receiver's record that is late.
    first = next(r for r in p.topics.read(p.status_topic) if r.key == b"u/q0")
    late = json.dumps(json.loads(first.value) | {"state": "QUEUED", "reason": None}).encode()
    p.topics.produce(p.status_topic, late, b"u/q0", partition=first.partition)
    wait_until(lambda: states_of(p, "q0", "u")[-2:] == ["QUEUED", "REJECTED"], 20)
    assert p.status("q0", "u")["state"] == "REJECTED"


def test_identity_another_text_of_a_forgotten_query_does_not_stay_queued(pipeline):
    """The view has lost the first; the second's own QUEUED must not be its last word."""
    p = pipeline(redrivers=0, env={"STATUS_CACHE_MAX": 1})
    for query_id, text in (("a", "SELECT 1"), ("b", "SELECT 2")):
        p.post({"queryId": query_id, "query": text})
        wait_until(lambda: states_of(p, query_id)[-1:] == ["SUCCEEDED"], 20)  # noqa: B023
    p.post({"queryId": "a", "query": "SELECT 'other'"})
    wait_rejected(p, 1)
    wait_until(lambda: states_of(p, "a")[-1] == "REJECTED", 20, lambda: f"{states_of(p, 'a')}")
    p.wait_committed()
    check_started_once(p, ["SELECT 1", "SELECT 2"])
