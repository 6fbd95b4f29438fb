"""What becomes of a query: every row of the table of the interface."""

import itertools
import json
import re
import time

import pytest

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, execution_id, inject_all, states_of,
    wait_all, wait_not_ready, wait_stat,
)  # fmt: skip
from harness.wait import stays, wait_until

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def wait_count(p, topic, n, timeout=20):
    wait_until(
        lambda: p.topics.count(topic) >= n, timeout,
        lambda: f"{n} records in {topic}, it is {p.topics.count(topic)}", interval=0.1,
    )  # fmt: skip


# QueryExecutionId ---------------------------------------------------------------------------------


def test_outcome_followed_to_each_end(pipeline):
    p = pipeline(redrivers=0, executor_env={"ATHENA_OUTPUT_LOCATION": "s3://results/here"})
    texts = {
        "SUCCEEDED": "SELECT 1",
        "FAILED": "SELECT 2 /* sim: state=FAILED reason=Out of luck */",
        "CANCELLED": "SELECT 3 /* sim: state=CANCELLED */",
    }
    for state, text in texts.items():
        p.post({"userId": "u/1", "queryId": state, "query": text})
    for state, text in texts.items():
        found = p.wait_state(state, state, "u/1")
        id_ = execution_id(p, text)
        assert MOMENT.fullmatch(found.pop("updatedAt"))
        assert found == {
            "queryId": state, "userId": "u/1", "state": state, "queryExecutionId": id_,
            "outputLocation": f"s3://results/here/{id_}.csv", "attempt": 0,
            "reason": {"FAILED": "Out of luck", "CANCELLED": "Query cancelled by user"}.get(state),
        }  # fmt: skip
        # A state that a late QUEUED has covered is told again.
        told = [s for s in states_of(p, state, "u/1") if s != "QUEUED"]
        assert [s for s, _ in itertools.groupby(told)] == ["STARTED", state]
    p.wait_committed()
    check_started_once(p, texts.values())
    check_nowhere_else(p)


def test_outcome_request_and_defaults_reach_athena(pipeline):
    """The request's own choice goes before the executor's; what it may not choose is rejected."""
    p = pipeline(
        redrivers=0,
        executor_env={
            "ALLOWED_WORKGROUPS": "analysts,forbidden",
            "ALLOWED_OUTPUT_LOCATIONS": "s3://results/a, s3://other/",
            "ATHENA_DATABASE": "sales",
        },
    )
    taken = {
        "w": ({"workGroup": "analysts"}, "s3://results/"),
        "primary": ({"workGroup": "primary"}, "s3://results/"),
        "l": ({"outputLocation": "s3://results/a/b"}, "s3://results/a/b/"),
        "o": ({"outputLocation": "s3://other"}, "s3://other/"),
        "d": ({"database": "d", "catalog": "c", "executionParameters": ["1"]}, "s3://results/"),
        "n": ({"workGroup": None, "outputLocation": None, "foreign": [1]}, "s3://results/"),
    }
    refused = {
        "denied": ({"workGroup": "forbidden"}, "AccessDeniedException"),
        "w2": ({"workGroup": "admins"}, "NotAllowed"),
        "l2": ({"outputLocation": "s3://results/ab"}, "NotAllowed"),
        "l3": ({"outputLocation": "s3://results-a/"}, "NotAllowed"),
        "l4": ({"outputLocation": "s3://other/../x/"}, "NotAllowed"),
    }
    texts = {q: f"SELECT '{q}'" for q in taken | refused}
    values = {}
    for q, (more, _) in (taken | refused).items():
        values[q] = body(q, texts[q], **more)
        p.inject(values[q], b"k")
    for q, (_, location) in taken.items():
        found = p.wait_state(q, "SUCCEEDED", "u")
        assert found["outputLocation"] == location + found["queryExecutionId"] + ".csv"
    for q in refused:
        assert p.wait_state(q, "REJECTED", "u")["reason"]
    p.wait_committed()
    rejected = {json.loads(r.value)["queryId"]: r for r in p.topics.read(p.rejected_topic)}
    assert {q: r.headers["athena-error"] for q, r in rejected.items()} == {
        q: error for q, (_, error) in refused.items()
    }
    assert all(r.value == values[q] and r.key == b"k" for q, r in rejected.items())
    check_started_once(p, [texts[q] for q in taken])
    assert p.sim.stats()["start_calls"] == len(taken) + 1, "only the denied one was asked for"
    assert p.executors[0].ready(), "the query was denied, not the credentials"


def test_outcome_result_reuse_reaches_athena(pipeline):
    """A field of the request: it reaches Athena, and a wrong one is rejected."""
    p = pipeline(redrivers=0)
    asked = {"none": {}, "null": {"resultReuseMaxAgeMinutes": None}} | {
        f"m{minutes}": {"resultReuseMaxAgeMinutes": minutes} for minutes in (0, 60, 10080)
    }
    for q, more in asked.items():
        p.post({"userId": "u", "queryId": q, "query": f"SELECT '{q}'"} | more)
    for q, more in asked.items():
        found = p.wait_state(q, "SUCCEEDED", "u")
        minutes = more.get("resultReuseMaxAgeMinutes")
        told = {"Enabled": False} if minutes is None else {
            "Enabled": True, "MaxAgeInMinutes": minutes
        }  # fmt: skip
        reuse = p.sim.execution(found["queryExecutionId"])["ResultReuseConfiguration"]
        assert reuse == {"ResultReuseByAgeConfiguration": told}, q
    # Another age for the same text: it has ended, and is not asked for again.
    p.inject(body("m60", "SELECT 'm60'", resultReuseMaxAgeMinutes=61))
    p.wait_committed()
    assert p.sim.stats()["start_calls"] == len(asked)
    assert p.status("m60", "u")["state"] == "SUCCEEDED"
    check_nowhere_else(p)
    for minutes in (-1, 10081, 1.5, "60", True):
        p.inject(body(f"bad {minutes}", "SELECT 0", resultReuseMaxAgeMinutes=minutes))
        reason = p.wait_state(f"bad {minutes}", "REJECTED", "u")["reason"]
        assert reason.startswith('"resultReuseMaxAgeMinutes" must be a whole number from 0 to 10080')
    check_started_once(p, [f"SELECT '{q}'" for q in asked])


# TooManyRequestsException -------------------------------------------------------------------------


def test_outcome_quota_dead_letters_bytes_key_and_headers(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_ACTIVE_DML": 0})
    foreign = [("z", b"\x00\xff"), ("a", b""), ("z", b"again"), ("null", None)]
    named = b'{ "queryId":"named","query":"SELECT 1","big":9007199254740993 ,"u":"\\u00e9"}'
    nameless = b'{"query":"SELECT 2", "userId":"u"}'
    header = b'{"query":"SELECT 3","userId":"u","queryId":""}'
    again = body("again", "SELECT 4")
    cases = {
        named: (b"\x00key", foreign),
        nameless: (None, []),
        header: (b"", [("athena-query-id", b"given")]),
        again: (b"k", [
            ("athena-attempt", b"6"), ("athena-first-seen-ms", b"1700000000000"),
            ("athena-origin", b"elsewhere/3/14"), ("athena-error", b"Old"), ("b", b"1"),
            ("traceparent", b"00-a-b-01"),
        ]),
    }  # fmt: skip
    before_ms = int(time.time() * 1000)
    places = {value: p.inject(value, *how) for value, how in cases.items()}
    wait_count(p, p.deadletter_topic, len(cases))
    letters = {r.value: r for r in p.topics.read(p.deadletter_topic)}
    assert letters.keys() == cases.keys()
    for value, letter in letters.items():
        key, headers = cases[value]
        assert letter.key == key
        ours = {n: v.decode() for n, v in letter.header_list if n.startswith(("athena-", "trace"))}
        names = [n for n, _ in letter.header_list]
        assert all(names.count(n) == 1 for n in ours)
        theirs = [(n, v) for n, v in letter.header_list if n not in ours]
        assert theirs == [(n, v) for n, v in headers if n not in ours]
        assert ours["athena-error"] == "TooManyRequestsException"
        if value == again:
            assert ours == {
                "athena-attempt": "7", "athena-first-seen-ms": "1700000000000",
                "athena-origin": "elsewhere/3/14", "athena-error": "TooManyRequestsException",
                "traceparent": "00-a-b-01",
            }  # fmt: skip
            continue
        assert ours["athena-attempt"] == "1"
        assert before_ms - 1000 <= int(ours["athena-first-seen-ms"]) <= time.time() * 1000 + 1000
        assert ours["athena-origin"] == "{}/{}/{}".format(p.query_topic, *places[value])
        assert ("athena-query-id" in ours) == (value != named), "only where the body has none"
    query_id = letters[header].headers["athena-query-id"]
    assert query_id == "given"
    for query_id, user_id, attempt in (("named", "", 1), ("given", "u", 1), ("again", "u", 7)):
        assert p.wait_state(query_id, "THROTTLED", user_id)["attempt"] == attempt
    p.wait_committed()
    assert p.sim.ledger() == []
    metrics = p.executors[0].metrics()
    stats = p.sim.stats()
    assert metrics.sum("athena_query_throttled_total") == stats["throttled"] == len(cases)
    assert metrics.sum("athena_query_deadlettered_total") == len(cases)


def test_outcome_throttled_again_and_again_then_run(pipeline):
    p = pipeline(sim_env={"SIM_ACTIVE_DML": 0}, redriver_env={"REDRIVE_INTERVAL_MS": 300})
    p.post({"queryId": "q", "query": "SELECT 1"})
    p.inject({"query": "SELECT 2"})  # its id is derived, and must stay the same

    def attempts():
        letters = p.topics.read(p.deadletter_topic)
        return sorted(int(r.headers["athena-attempt"]) for r in letters)

    wait_until(lambda: attempts().count(2) >= 2, 30, "each throttled twice", interval=0.2)
    ids = {
        (r.headers.get("athena-query-id"), r.headers["athena-origin"])
        for r in p.topics.read(p.deadletter_topic)
    }
    assert len(ids) == 2
    (derived,) = [query_id for query_id, _ in ids if query_id]
    p.sim.set(active_dml=20)
    for query_id in ("q", derived):
        assert p.wait_state(query_id, "SUCCEEDED")["attempt"] >= 2
        assert "THROTTLED" in states_of(p, query_id)
    check_started_once(p, ["SELECT 1", "SELECT 2"])


# ThrottlingException ------------------------------------------------------------------------------


def test_outcome_rate_limit_is_waited_for_here(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_RATE": 8})
    queries = burst(24)
    inject_all(p, queries)
    wait_all(p, queries)
    assert p.sim.stats()["rate_limited"] > 0
    check_started_once(p, queries.values())
    check_nowhere_else(p)


def test_outcome_rate_limit_beyond_patience_is_dead_lettered(pipeline):
    p = pipeline(redrivers=0, executor_env={"THROTTLE_PATIENCE_MS": 700})
    p.post({"queryId": "q", "query": "SELECT 1 /* sim: code=ThrottlingException */"})
    assert p.wait_state("q", "THROTTLED")["attempt"] == 1
    (letter,) = p.topics.read(p.deadletter_topic)
    assert letter.headers["athena-error"] == "ThrottlingException"
    assert p.sim.stats()["start_calls"] >= 2, "it was tried again here first"
    p.wait_committed()


def test_outcome_perhaps_started_is_never_dead_lettered_for_the_rate(pipeline):
    p = pipeline(
        redrivers=0, executor_env={"THROTTLE_PATIENCE_MS": 1}, sim_env={"SIM_FAIL_5XX": 1}
    )
    p.inject(body("q", "SELECT 1"))
    wait_stat(p.sim, "failed_5xx", 1)
    p.sim.set(rate=0.001)  # one call more gets through, to a 500
    wait_stat(p.sim, "rate_limited", 4)
    check_nowhere_else(p)
    p.sim.set(rate=0, fail_5xx=0)
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])
    check_nowhere_else(p)


# 5xx, time-out, connection lost, an answer that makes no sense -------------------------------------


@pytest.mark.parametrize("fault", ["fail_5xx", "nonsense"])
def test_outcome_perhaps_started_is_asked_again_until_it_is_known(pipeline, fault):
    p = pipeline(redrivers=0, sim_env={f"SIM_{fault.upper()}": 1})
    queries = burst(6)
    inject_all(p, queries)
    wait_stat(p.sim, {"fail_5xx": "failed_5xx"}.get(fault, fault), 18)
    check_nowhere_else(p)
    committed = p.topics.committed(p.executor_group, p.query_topic)
    assert sum(offset for offset, _ in committed.values()) == 0, "not before its end"
    p.sim.set(**{fault: 0})
    wait_all(p, queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)
    p.wait_committed()


def test_outcome_connection_cut_after_the_start(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_CUT_AFTER_START": 1})
    queries = burst(12)
    inject_all(p, queries)
    wait_all(p, queries)
    assert p.sim.stats()["cut"] == len(queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)


def test_outcome_athena_away_for_a_while(pipeline):
    p = pipeline(redrivers=0)
    p.sim.kill()
    queries = burst(5)
    inject_all(p, queries)
    p.executors[0].wait_log("Athena cannot be reached")
    check_nowhere_else(p)
    p.sim.start()
    wait_all(p, queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)


# Credentials --------------------------------------------------------------------------------------


def test_outcome_expired_credentials_stop_all_and_blame_no_query(pipeline):
    p = pipeline(redrivers=0)
    executor = p.executors[0]
    p.inject(body("runs", "SELECT 'runs' /* sim: ms=1500 */"))
    p.wait_state("runs", "STARTED", "u")
    p.sim.set(expired=1)
    queries = burst(5)
    inject_all(p, queries)
    wait_not_ready(executor, "expired")
    assert executor.metrics().sum("athena_query_credentials_refused") == 1
    calls = p.sim.stats()["start_calls"]
    stays(lambda: p.sim.stats()["start_calls"] <= calls + 3, 1, "one call at a time, to see")
    check_nowhere_else(p)
    p.sim.set(expired=0)
    wait_all(p, [*queries, "runs"])
    wait_until(executor.ready, 10, "ready again")
    check_started_once(p, [*queries.values(), "SELECT 'runs' /* sim: ms=1500 */"])
    check_nowhere_else(p)


def test_outcome_not_ready_while_a_call_tries_the_credentials(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_EXPIRED": 1, "SIM_DELAY_MS": 700})
    executor = p.executors[0]
    p.inject(body("q", "SELECT 1"))
    wait_not_ready(executor, "expired")
    calls = p.sim.stats()["expired"]
    stays(lambda: not executor.ready(), 2, "not ready")
    assert p.sim.stats()["expired"] > calls, "no call tried them"
    p.sim.set(expired=0)
    p.wait_state("q", "SUCCEEDED", "u")
    assert executor.ready()


def test_outcome_credentials_missing_at_start(pipeline):
    p = pipeline(
        redrivers=0, ready=False,
        executor_env={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
    )  # fmt: skip
    p.receivers[0].wait_ready()
    p.post({"queryId": "q", "query": "SELECT 1"})
    wait_not_ready(p.executors[0], "credentials")
    assert p.executors[0].running
    wait_until(lambda: p.topics.members(p.executor_group), 20, "a member of the group")
    assert p.topics.committed(p.executor_group, p.query_topic) == {}
    assert p.sim.stats()["aws_calls"] == 0
    p.executors[0].stop()
    p.executors[0].env.update(p.sim.aws_env())
    p.executors[0].start()
    p.wait_state("q", "SUCCEEDED")
    wait_until(p.executors[0].ready, 10, "ready")
    check_nowhere_else(p)


def test_outcome_access_denied_is_about_the_work_group(pipeline):
    """test_executor_refusals.py has the rest of it."""
    p = pipeline(
        redrivers=0, env={"TOPIC_PARTITIONS": 1}, executor_env={"ALLOWED_WORKGROUPS": "own"}
    )
    text = "SELECT 1 /* sim: code=AccessDeniedException */"
    p.inject(body("own", text, workGroup="own"))
    p.wait_state("own", "REJECTED", "u")
    p.inject(body("database", text, database="d", catalog="c"))
    p.inject(body("nothing", text))
    wait_not_ready(p.executors[0], "rights")
    wait_stat(p.sim, "start_calls", 3)
    assert p.topics.count(p.deadletter_topic) == 0
    assert p.topics.count(p.rejected_topic) == 1
    wait_until(lambda: p.topics.lag(p.executor_group, p.query_topic) == 2, 10, "a lag of two")


# All else -----------------------------------------------------------------------------------------


def test_outcome_hopeless_is_rejected_with_the_reason(pipeline):
    p = pipeline(redrivers=0, env={"LOG_LEVEL": "info"})
    reason = "line 1:8: Kolumne 'X' does not resolve"
    cases = {
        "hint": (f"SELECT 1 /* sim: code=InvalidRequestException reason={reason} */", reason),
        "syntax": ("SELEC 1", None),
        "else": ("SELECT 1 /* sim: code=MetadataException */", "asked for in the query"),
    }
    values = {q: body(q, text) for q, (text, _) in cases.items()}
    for value in values.values():
        p.inject(value, b"k", [("foreign", b"1")])
    for q, (_, why) in cases.items():
        found = p.wait_state(q, "REJECTED", "u")
        assert found["reason"] == why or (why is None and found["reason"])
        assert found["queryExecutionId"] is None
    p.wait_committed()
    records = {json.loads(r.value)["queryId"]: r for r in p.topics.read(p.rejected_topic)}
    assert {q: r.value for q, r in records.items()} == values
    for q, record in records.items():
        assert record.key == b"k" and record.headers["foreign"] == "1"
        assert record.headers["athena-attempt"] == "0"
        assert "athena-query-id" not in record.headers
        error = "MetadataException" if q == "else" else "InvalidRequestException"
        assert record.headers["athena-error"] == error
    assert p.topics.count(p.deadletter_topic) == 0
    assert p.sim.ledger() == []
    assert "Kolumne" not in p.executors[0].log(), "Athena's reason may quote the query"


def test_outcome_mended_and_posted_again_runs(pipeline):
    """REJECTED is no start: the pair may be posted again with another text."""
    p = pipeline(redrivers=0)
    p.post({"queryId": "q", "query": "SELEC 1"})
    p.wait_state("q", "REJECTED")
    p.post({"queryId": "q", "query": "SELECT 1"})
    assert p.wait_state("q", "SUCCEEDED")["reason"] is None
    check_started_once(p, ["SELECT 1"])


# Settings -----------------------------------------------------------------------------------------


def test_outcome_too_old_to_start(pipeline):
    p = pipeline(redrivers=0, executor_env={"QUERY_MAX_AGE_MS": 60000})
    old_ms = int(time.time() * 1000) - 3600000
    p.inject(body("young", "SELECT 1"))
    p.inject(body("header", "SELECT 2"), None, [("athena-first-seen-ms", str(old_ms).encode())])
    p.topics.produce(p.query_topic, body("stamp", "SELECT 3"), timestamp_ms=old_ms)
    p.wait_state("young", "SUCCEEDED", "u")
    for q in ("header", "stamp"):
        assert "QUERY_MAX_AGE_MS" in p.wait_state(q, "REJECTED", "u")["reason"]
    check_started_once(p, ["SELECT 1"])
    assert p.topics.count(p.rejected_topic) == 2


def test_outcome_too_old_but_started_is_followed(pipeline):
    p = pipeline(
        redrivers=0,
        executor_env={"QUERY_MAX_AGE_MS": 6000, "KAFKA_SESSION_TIMEOUT_MS": 2500},
    )
    text = "SELECT 1 /* sim: ms=9000 */"
    p.inject(body("q", text))
    p.wait_state("q", "STARTED", "u")
    wait_until(lambda: p.executors[0].metrics().sum("athena_query_oldest_age_seconds") > 6)
    p.executors[0].kill()
    p.executors[0].start()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, [text])
    check_nowhere_else(p)


def test_outcome_max_running(pipeline):
    p = pipeline(redrivers=0, executor_env={"MAX_RUNNING": 3}, sim_env={"SIM_QUERY_MS": 300})
    queries = burst(12)
    inject_all(p, queries)
    wait_all(p, queries)
    stats = p.sim.stats()
    assert stats["max_running_dml"] == 3 and stats["throttled"] == 0
    check_started_once(p, queries.values())


def test_outcome_max_in_flight(pipeline):
    p = pipeline(
        redrivers=0, executor_env={"MAX_IN_FLIGHT": 2, "TRACK_QUERIES": "off"},
        sim_env={"SIM_DELAY_MS": 150},
    )  # fmt: skip
    queries = burst(16)
    seen = set()
    inject_all(p, queries)

    def look():
        seen.add(p.executors[0].metrics().sum("athena_query_start_in_flight"))
        return len(p.sim.ledger()) == len(queries)

    wait_until(look, 30, "all started")
    assert max(seen) == 2
    check_started_once(p, queries.values())


def test_outcome_untracked_is_done_with_once_started(pipeline):
    p = pipeline(
        redrivers=0, executor_env={"TRACK_QUERIES": "off"}, sim_env={"SIM_QUERY_MS": 600000}
    )
    queries = burst(10)
    inject_all(p, queries)
    wait_all(p, queries, "STARTED")
    p.wait_committed()
    check_started_once(p, queries.values())
    assert p.sim.stats()["batch_calls"] == 0
    assert p.status("q0", "u")["queryExecutionId"] == execution_id(p, "SELECT 0")
