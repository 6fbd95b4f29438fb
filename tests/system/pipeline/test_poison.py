"""Records of the query topic that are no request: set aside byte for byte, and nobody waits for them."""

import json
import random

import pytest
from confluent_kafka import Producer

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, inject_all, states_of, wait_all
)  # fmt: skip
from harness.wait import wait_until

# (name, value, the queryId under which it is reported with user "u"; None: it has no sound pair)
POISON = [
    ("null", None, None),
    ("empty", b"", None),
    ("no JSON", b"SELECT 1", None),
    ("no object", b'["query"]', None),
    ("cut short", b'{"query":"SELECT 1","queryId":"x","userId":"u"', None),
    ("trailing", b'{"query":"SELECT 1","queryId":"x","userId":"u"} x', None),
    ("byte order mark", b'\xef\xbb\xbf{"query":"SELECT 1","queryId":"x","userId":"u"}', None),
    ("raw NUL", b'{"query":"SELECT \x00 1","queryId":"x","userId":"u"}', None),
    ("escaped NUL", b'{"query":"SELECT \\u0000 1","queryId":"x","userId":"u"}', None),
    ("lone surrogate", b'{"query":"SELECT \\ud800","queryId":"x","userId":"u"}', None),
    ("no UTF-8", b'{"query":"SELECT \xff","queryId":"x","userId":"u"}', None),
    ("key twice", b'{"query":"SELECT 1","query":"SELECT 2","queryId":"x","userId":"u"}', None),
    ("key twice below", b'{"query":"1","queryId":"x","a":{"b":1,"b":2},"userId":"u"}', None),
    ("too deep", b'{"query":"1","queryId":"x","a":' + b"[" * 64 + b"]" * 64 + b"}", None),
    ("very deep", b"[" * 500000, None),
    ("query a number", b'{"query":1,"queryId":"number","userId":"u"}', "number"),
    ("query null", b'{"query":null,"queryId":"is null","userId":"u"}', "is null"),
    ("query empty", b'{"query":"","queryId":"empty","userId":"u"}', "empty"),
    ("query missing", b'{"queryId":"missing","userId":"u"}', "missing"),
    ("query too long", body("long", "S" * 262145), "long"),
    ("parameters", body("parameters", "SELECT 1", executionParameters=[1]), "parameters"),
    ("work group", body("group", "SELECT 1", workGroup="a b"), "group"),
    ("location", body("location", "SELECT 1", outputLocation="http://x"), "location"),
    ("queryId a number", b'{"query":"SELECT 1","queryId":1,"userId":"u"}', None),
    ("queryId too long", body("x" * 129, "SELECT 1"), None),
    ("userId an object", b'{"query":"SELECT 1","queryId":"x","userId":{}}', None),
    ("a MiB of nothing", bytes(i * 7 % 256 for i in range(1 << 20)), None),
]


def produce_large(p, value, **how):
    """Up to what the project's topics take."""
    producer = Producer({"bootstrap.servers": p.kafka.bootstrap, "message.max.bytes": 2000000})
    producer.produce(p.query_topic, value, **how)
    assert producer.flush(20) == 0


def test_poison_is_set_aside_byte_for_byte_and_stops_nothing(pipeline):
    p = pipeline(redrivers=0, env={"TOPIC_PARTITIONS": 1}, executor_env={"WINDOW_RECORDS": 5})
    good = burst(len(POISON))
    headers = [("foreign", b"\x00\xff"), ("foreign", b"2")]
    for (name, value, _), (query_id, text) in zip(POISON, good.items(), strict=True):
        produce_large(p, value, key=name.encode(), headers=headers)
        produce_large(p, body(query_id, text))
    wait_all(p, good)
    p.wait_committed()
    records = {r.key.decode(): r for r in p.topics.read(p.rejected_topic)}
    assert records.keys() == {name for name, _, _ in POISON}
    for i, (name, value, query_id) in enumerate(POISON):
        record = records[name]
        assert record.value == value, name
        assert [v for n, v in record.header_list if n == "foreign"] == [b"\x00\xff", b"2"]
        ours = {n: v.decode() for n, v in record.header_list if n.startswith("athena-")}
        assert ours["athena-error"] == "InvalidRequest", name
        assert ours["athena-origin"] == f"{p.query_topic}/0/{2 * i}", name
        assert int(ours["athena-first-seen-ms"]) > 0
        assert ("athena-query-id" in ours) == (query_id is None), name
        if query_id:
            found = p.wait_state(query_id, "REJECTED", "u")
            assert found["reason"] and found["queryExecutionId"] is None
    assert p.status("x", "u") is None, "what is no JSON has no name"
    check_started_once(p, good.values())
    assert p.topics.count(p.deadletter_topic) == 0
    assert p.sim.stats()["start_calls"] == len(good)


@pytest.mark.parametrize("state", ["STARTED", "SUCCEEDED", "THROTTLED", "QUEUED"])
def test_poison_does_not_touch_the_state_of_its_namesake(pipeline, state):
    p = pipeline(redrivers=0, executors=0)
    text = "SELECT 1 /* sim: ms=2000 */" if state == "STARTED" else "SELECT 1"
    p.sim.set(active_dml=0 if state == "THROTTLED" else 20)
    place = p.post({"userId": "u", "queryId": "q", "query": text})
    wait_until(lambda: states_of(p, "q", "u") == ["QUEUED"])
    if state != "QUEUED":
        p.add_executor().wait_ready()
    before = p.wait_state("q", state, "u")
    poison = json.dumps({"userId": "u", "queryId": "q", "query": 1}).encode()
    other = (place["partition"] + 1) % 4
    p.topics.produce_all(p.query_topic, [(b"k", poison)], partition=other)
    if state == "QUEUED":
        # The first is kept waiting until the poison has been dealt with.
        p.sim.set(expired=1)
        p.add_executor()
    wait_until(lambda: p.topics.count(p.rejected_topic) == 1, 20, "the rejected record")
    wait_until(lambda: p.topics.committed(p.executor_group, p.query_topic).get(other), 20)
    assert p.status("q", "u") == before
    assert "REJECTED" not in states_of(p, "q", "u")
    p.sim.set(active_dml=20, expired=0)
    if state == "THROTTLED":
        p.add_redriver().wait_ready()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, [text])


def test_poison_in_the_dead_letter_topic_comes_round(pipeline):
    """Somebody's garbage there goes back with the rest, and ends in the rejected topic."""
    p = pipeline(redrivers=1)
    values = [b"no JSON", None, b"\x00\xff"]
    for value in values:
        p.topics.produce(p.deadletter_topic, value, b"k")
    wait_until(lambda: p.topics.count(p.rejected_topic) == len(values), 20, "all rejected")
    assert {r.value for r in p.topics.read(p.rejected_topic)} == set(values)
    p.post({"queryId": "q", "query": "SELECT 1"})
    p.wait_state("q", "SUCCEEDED")
    p.wait_committed()


def test_poison_in_the_status_topic_is_read_over(pipeline):
    p = pipeline(redrivers=0)
    for key, value in ((b"u/q", b"no JSON"), (b"", b"{}"), (b"\xff", None), (b"u/q", b'{"state":1}')):
        p.topics.produce(p.status_topic, value, key)
    p.executors[0].stop()
    p.executors[0].start().wait_ready()
    p.post({"userId": "u", "queryId": "q", "query": "SELECT 1"})
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])


@pytest.mark.timeout(180)
def test_poison_that_athena_never_answers_holds_nobody_up(pipeline):
    """As many as may be in flight, each perhaps started for ever: others run all the same."""
    p = pipeline(redrivers=0, executor_env={"MAX_IN_FLIGHT": 4})
    poison = burst(6, "/* sim: code=InternalServerException */")
    inject_all(p, poison)
    wait_until(lambda: p.sim.stats()["start_calls"] >= 12, 30, "each of them tried twice")
    good = burst(3, first=10)
    inject_all(p, good)
    wait_all(p, good)
    check_started_once(p, good.values())
    check_nowhere_else(p)
    assert p.topics.lag(p.executor_group, p.query_topic) >= len(poison), "nobody gave them up"


@pytest.mark.timeout(180)
def test_poison_too_large_for_its_copy(pipeline):
    """The rejected topic takes less than the query topic did: the record is set aside cut short."""
    p = pipeline(receivers=0, redrivers=0, executors=0, env={"TOPIC_PARTITIONS": 1})
    p.topics.create(p.rejected_topic, 1, {"max.message.bytes": "300000"})
    p.add_receiver()
    p.add_executor()
    p.wait_ready()
    value = body("large", "SELECT 1", workGroup="notallowed", pad=random.Random(1).randbytes(300000).hex())
    produce_large(p, value, headers=[("foreign", b"1")])
    p.inject(body("q", "SELECT 2"))
    p.wait_state("q", "SUCCEEDED", "u")
    found = p.wait_state("large", "REJECTED", "u")
    assert "ALLOWED_WORKGROUPS" in found["reason"]
    p.wait_committed()
    (record,) = p.topics.read(p.rejected_topic)
    assert 0 < len(record.value) < 300000 and value.startswith(record.value)
    assert record.headers["athena-origin"] == f"{p.query_topic}/0/0"
    check_started_once(p, ["SELECT 2"])


@pytest.mark.timeout(180)
def test_poison_that_is_always_over_the_rate_holds_nobody_up(pipeline):
    """The pace lets one call through in two seconds: they must not all be for the same query."""
    p = pipeline(redrivers=0, executor_env={"THROTTLE_PATIENCE_MS": 600000})
    inject_all(p, {"bad": "SELECT 0 /* sim: code=ThrottlingException */"})
    wait_until(lambda: p.sim.stats()["start_calls"] >= 3, 30)
    good = burst(5, first=1)
    inject_all(p, good)
    wait_all(p, good)
    check_started_once(p, good.values())
    check_nowhere_else(p)


@pytest.mark.timeout(180)
def test_poison_that_is_asked_again_takes_turns_at_the_least_pace(pipeline):
    """More is due to be asked again than the pace lets through: others start all the same."""
    p = pipeline(redrivers=0, executor_env={"THROTTLE_PATIENCE_MS": 600000})
    p.inject(body("rate", "SELECT 0 /* sim: code=ThrottlingException */", "r"))
    wait_until(lambda: p.sim.stats()["start_calls"] >= 8, 60, "the least pace")
    poison = burst(4, "/* sim: code=InternalServerException */")
    inject_all(p, poison)
    log = p.executors[0].log
    wait_until(lambda: all(f"queryId={q}\n" in log() for q in poison), 60, "each of them tried")
    before = p.sim.stats()["start_calls"]
    good = burst(2, first=100)
    inject_all(p, good, "v")
    wait_all(p, good, user_id="v")
    assert p.sim.stats()["start_calls"] - before <= 20
    check_started_once(p, good.values())
    check_nowhere_else(p)
