"""Refusals that are nobody's fault, or one query's own: who waits, who runs, and what is shown."""

import json

import pytest

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, inject_all, readiness, wait_all,
    wait_not_ready, wait_stat,
)  # fmt: skip
from harness.wait import stays, wait_until


def refusal(code, message=None, athena_code=None):
    """The body of an error, in the form that Athena gives it."""
    members = {"__type": code, "AthenaErrorCode": athena_code, "Message": message}
    return json.dumps({name: value for name, value in members.items() if value is not None})


def canned(match, text, status=400, times=None):
    answer = {"match": match, "status": status, "body": text}
    return answer if times is None else answer | {"times": times}


def invalid(message, athena_code="INVALID_INPUT"):
    return refusal("InvalidRequestException", message, athena_code)


DENIED = refusal("AccessDeniedException", "You are not authorized to perform: it.")
NO_WORK_GROUP = invalid("WorkGroup is not found.")
NO_LOCATION = "No output location provided. You did not provide an output location."

NOBODYS = {
    "work group": (NO_WORK_GROUP, 400, "WorkGroup is not found."),
    "location": (invalid(NO_LOCATION), 400, "No output location provided."),
    "bucket": (invalid("Unable to verify/create output bucket b"), 400, "output bucket"),
    "operation": (refusal("UnknownOperationException"), 400, "UnknownOperationException"),
    "endpoint": ("<UnknownOperationException/>", 404, "UnknownOperationException"),
    "account": (refusal("SubscriptionRequiredException", "subscribe"), 400, "subscribe"),
    "body": (refusal("SerializationException"), 400, "SerializationException"),
}


def wait_reason(p, query_id, why):
    def look():
        found = p.status(query_id, "u")
        return found is not None and why in (found["reason"] or "")

    wait_until(look, 15, lambda: f"a reason with {why!r}: {p.status(query_id, 'u')}")


# Nobody's fault -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", NOBODYS)
def test_refusal_of_the_configuration_blames_no_query(pipeline, what):
    text, status, why = NOBODYS[what]
    p = pipeline(redrivers=0)
    p.sim.set(answers=[canned("", text, status)])
    queries = burst(6)
    inject_all(p, queries)
    wait_not_ready(p.executors[0], why)
    wait_reason(p, next(iter(queries)), "AWS refuses the executor's configuration")
    calls = p.sim.stats()["start_calls"]
    stays(lambda: p.sim.stats()["start_calls"] <= calls + 3, 1, "one call at a time, to see")
    check_nowhere_else(p)
    p.sim.set(answers=[])
    wait_all(p, queries)
    wait_until(p.executors[0].ready, 10, "ready again")
    check_started_once(p, queries.values())
    check_nowhere_else(p)


def test_refusal_of_what_the_query_chose_is_its_own(pipeline):
    p = pipeline(redrivers=0, executor_env={"ALLOWED_WORKGROUPS": "own"})
    p.sim.set(answers=[canned("'own", NO_WORK_GROUP), canned("'denied", DENIED)])
    p.inject(body("own", "SELECT 'own'", workGroup="own"))
    p.inject(body("denied", "SELECT 'denied'", workGroup="own"))
    assert p.wait_state("own", "REJECTED", "u")["reason"] == "WorkGroup is not found."
    assert "not authorized" in p.wait_state("denied", "REJECTED", "u")["reason"]
    assert p.executors[0].ready()
    p.inject(body("runs", "SELECT 'runs'"))
    p.wait_state("runs", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 'runs'"])


# One that is denied -------------------------------------------------------------------------------


def test_refusal_of_one_query_holds_up_no_other(pipeline):
    """It is the first in its partition, and chose a database alone."""
    p = pipeline(redrivers=0, env={"TOPIC_PARTITIONS": 1})
    p.sim.set(answers=[canned("denied", DENIED)])
    p.inject(body("denied", "SELECT 'denied'", database="d"))
    queries = burst(12)
    inject_all(p, queries)
    wait_all(p, queries)
    wait_stat(p.sim, "canned", 2)
    wait_reason(p, "denied", "AWS denies the executor the work group")
    assert p.status("denied", "u")["state"] == "QUEUED"
    assert p.executors[0].ready(), readiness(p.executors[0])
    check_nowhere_else(p)
    p.sim.set(answers=[])
    p.wait_state("denied", "SUCCEEDED", "u", timeout=90)
    check_started_once(p, [*queries.values(), "SELECT 'denied'"])
    p.wait_committed()


def test_refusal_of_two_queries_is_everybodys(pipeline):
    p = pipeline(redrivers=0)
    p.sim.set(answers=[canned("", DENIED)])
    queries = burst(3)
    inject_all(p, queries)
    wait_not_ready(p.executors[0], "not authorized")
    check_nowhere_else(p)
    p.sim.set(answers=[])
    wait_all(p, queries, timeout=90)
    wait_until(p.executors[0].ready, 10, "ready again")
    check_started_once(p, queries.values())


def test_refusal_of_two_queries_does_not_stop_the_others_for_ever(pipeline):
    p = pipeline(redrivers=0, env={"TOPIC_PARTITIONS": 1})
    p.sim.set(answers=[canned("denied", DENIED), canned("refused", NO_WORK_GROUP)])
    held = {"denied 1": {}, "denied 2": {}, "refused": {}}
    for query_id in held:
        p.inject(body(query_id, f"SELECT '{query_id}'"))
    queries = burst(12)
    inject_all(p, queries)
    wait_all(p, queries)
    check_nowhere_else(p)
    p.sim.set(answers=[])
    for query_id in held:
        p.wait_state(query_id, "SUCCEEDED", "u", timeout=90)


# Perhaps started ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [invalid("WorkGroup is disabled."), DENIED, refusal("TooManyRequestsException", "full")],
    ids=["work group", "denied", "quota"],
)  # fmt: skip
def test_refusal_after_it_was_perhaps_started_is_not_its_end(pipeline, text):
    p = pipeline(redrivers=0, executor_env={"ALLOWED_WORKGROUPS": "own"})
    p.sim.set(answers=[canned("", "<html>", 503, 1), canned("", text, times=3)])
    p.inject(body("q", "SELECT 1", workGroup="own"))
    wait_stat(p.sim, "canned", 4)
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])
    check_nowhere_else(p)


def test_refusal_of_the_text_is_its_end_even_then(pipeline):
    p = pipeline(redrivers=0)
    p.sim.set(answers=[canned("", "<html>", 503, 1)])
    p.inject(body("q", "SELEC 1"))
    p.wait_state("q", "REJECTED", "u")
    p.wait_committed()


# The connection -----------------------------------------------------------------------------------


def test_refusal_of_a_connection_is_said_once(pipeline):
    p = pipeline(redrivers=0)
    executor = p.executors[0]
    p.sim.kill()
    queries = burst(5)
    inject_all(p, queries)
    wait_not_ready(executor, "Athena cannot be reached")
    wait_reason(p, next(iter(queries)), "waiting: Athena cannot be reached")
    answers = "athena_query_start_answers_total"
    wait_until(
        lambda: executor.metrics().sum(answers, outcome="unreachable") >= 4, 20, "several attempts"
    )
    said = executor.log().count("cannot be reached")
    assert said == 1, executor.log_tail()
    assert "perhaps started" not in executor.log()
    p.sim.start()
    wait_all(p, queries)
    wait_until(executor.ready, 10, "ready again")
    check_started_once(p, queries.values())
    check_nowhere_else(p)


def test_refusal_of_a_connection_while_queries_run(pipeline):
    p = pipeline(redrivers=0)
    executor = p.executors[0]
    p.inject(body("q", "SELECT 1 /* sim: ms=3000 */"))
    p.wait_state("q", "STARTED", "u")
    p.sim.kill()
    wait_not_ready(executor, "Athena cannot be reached")
    p.sim.start()
    p.wait_state("q", "SUCCEEDED", "u")
    wait_until(executor.ready, 10, "ready again")
    assert executor.log().count("cannot be reached") == 1


# What Athena does not compare ----------------------------------------------------------------------


@pytest.mark.parametrize("state", ["STARTED", "SUCCEEDED"])
def test_refusal_of_other_parameters_under_the_same_pair(pipeline, state):
    p = pipeline(redrivers=0)
    text = "SELECT ? /* sim: ms=1500 */"
    p.inject(body("q", text, executionParameters=["1"]))
    before = p.wait_state("q", state, "u")
    p.inject(body("q", text, executionParameters=["2"]))
    p.inject(body("q", text))
    p.inject(body("q", text, executionParameters=["1"]))
    wait_until(lambda: p.topics.count(p.rejected_topic) == 2, 20, "two rejected records")
    for record in p.topics.read(p.rejected_topic):
        assert json.loads(record.value).get("executionParameters") != ["1"]
    found = p.wait_state("q", "SUCCEEDED", "u")
    assert found["queryExecutionId"] == before["queryExecutionId"]
    p.wait_committed()
    check_started_once(p, [text])


# The API's rate, in other words -------------------------------------------------------------------


def test_refusal_for_the_rate_of_the_catalog_is_waited_for(pipeline):
    p = pipeline(redrivers=0)
    text = refusal("MetadataException", "Rate exceeded (Service: AmazonDataCatalog)")
    p.sim.set(answers=[canned("", text, times=3)])
    p.inject(body("q", "SELECT 1"))
    p.wait_state("q", "SUCCEEDED", "u")
    assert p.sim.stats()["canned"] == 3
    check_nowhere_else(p)


def test_refusal_that_echoes_other_words_is_of_the_text(pipeline):
    p = pipeline(redrivers=0)
    p.inject(body("q", "SELEC 'Idempotent parameters do not match'"))
    p.inject(body("r", "SELECT 1"))
    echo = "Only one sql statement is allowed. Got: SELECT 'Idempotent parameters do not match'"
    p.sim.set(answers=[canned("echo", invalid(echo, "MALFORMED_QUERY"))])
    p.inject(body("echo", "SELECT 'echo'"))
    for query_id in ("q", "echo"):
        p.wait_state(query_id, "REJECTED", "u")
    p.wait_state("r", "SUCCEEDED", "u")
