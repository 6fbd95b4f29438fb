"""What the status topic knows of a start is used: Athena is not asked a second time, and what runs is
followed, whatever Athena remembers and whatever a request may choose by now."""

import signal

import pytest

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, execution_id, inject_all, wait_all
)  # fmt: skip
from harness.pipeline import status_key
from harness.wait import wait_until

SOON = {"KAFKA_SESSION_TIMEOUT_MS": 3000, "KAFKA_HEARTBEAT_INTERVAL_MS": 300}
RUNS = "/* sim: ms=6000 */"


def started(p, queries):
    """Waits until each shows STARTED in the topic; what a killed executor knew is then there."""
    keys = {status_key(q, "u"): q for q in queries}

    def in_topic():
        records = p.status_records()
        return all(any(s["state"] == "STARTED" for s in records.get(k, [])) for k in keys)

    wait_until(in_topic, 30, "STARTED of each in the topic")


def calls(p):
    return p.sim.stats()["start_calls"]


# Athena remembers no token --------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["itself", "another"])
def test_taken_over_after_a_crash(pipeline, who):
    p = pipeline(redrivers=0, env=SOON)
    queries = burst(8, RUNS)
    inject_all(p, queries)
    started(p, queries)
    p.sim.set(forget_tokens=1)
    if who == "another":
        p.add_executor(SOON).wait_ready()
    p.executors[0].kill()
    if who == "itself":
        p.executors[0].start()
    wait_all(p, queries)
    p.wait_committed()
    assert calls(p) == len(queries)
    check_started_once(p, queries.values())
    check_nowhere_else(p)


def test_given_away_while_they_start(pipeline):
    """A member joins and leaves under load: nobody asks about what another one has started."""
    p = pipeline(redrivers=0, env=SOON, sim_env={"SIM_ACTIVE_DML": 100})
    queries = burst(60, "/* sim: ms=300 */")
    inject_all(p, queries)
    wait_until(lambda: len(p.sim.ledger()) >= 10)
    p.sim.set(forget_tokens=1)
    p.add_executor(SOON).wait_ready()
    p.sim.set(forget_tokens=1)
    p.executors[1].stop()
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())
    check_nowhere_else(p)


@pytest.mark.parametrize("restart", [False, True])
def test_repeated_after_its_end(pipeline, restart):
    p = pipeline(redrivers=0, env=SOON)
    queries = burst(3) | {"bad": "SELECT 1 /* sim: state=FAILED */"}
    inject_all(p, queries)
    wait_all(p, queries, {"SUCCEEDED", "FAILED"})
    p.wait_committed()
    p.sim.set(forget_tokens=1)
    before = {q: p.status(q, "u") for q in queries}
    if restart:
        p.executors[0].stop()
        p.executors[0].start()
    for _ in range(3):
        inject_all(p, queries)
    p.wait_committed()
    assert calls(p) == len(queries)
    assert {q: p.status(q, "u") for q in queries} == before
    check_started_once(p, queries.values())
    check_nowhere_else(p)


# One pair, many records -----------------------------------------------------------------------------


def test_many_repetitions_are_one_call(pipeline):
    p = pipeline(redrivers=0, env={"MAX_IN_FLIGHT": 10})
    text = "SELECT 1 /* sim: ms=1500 */"
    for _ in range(300):
        p.topics.produce(p.query_topic, body("q", text))
    p.wait_state("q", "SUCCEEDED", "u")
    p.wait_committed()
    assert calls(p) == 1
    assert p.executors[0].metrics().sum("athena_query_held") == 0
    check_started_once(p, [text])
    check_nowhere_else(p)


def test_repetitions_of_what_runs_hold_up_nobody(pipeline):
    """They keep neither slots nor room in the window of their partition."""
    p = pipeline(
        env={"TOPIC_PARTITIONS": 1}, executor_env={"WINDOW_RECORDS": 20},
        sim_env={"SIM_ACTIVE_DML": 3},
    )  # fmt: skip
    text = "SELECT 1 /* sim: ms=15000 */"
    p.inject(body("q", text))
    p.wait_state("q", "STARTED", "u")
    for _ in range(60):
        p.inject(body("q", text))
    others = burst(6)
    inject_all(p, others)
    wait_all(p, others, timeout=4)  # of the 15 s, where the machine is three times as slow
    assert p.status("q", "u")["state"] == "STARTED"
    assert p.executors[0].metrics().sum("athena_query_running") == 1
    p.wait_state("q", "SUCCEEDED", "u")
    p.wait_committed()
    check_started_once(p, [text, *others.values()])


def test_another_text_is_rejected_while_the_first_runs(pipeline):
    p = pipeline(redrivers=0, env={"TOPIC_PARTITIONS": 1})
    first, second = f"SELECT 1 {RUNS}", "SELECT 2"
    p.inject(body("q", first))
    p.inject(body("q", second))
    p.wait_state("q", "STARTED", "u")
    wait_until(lambda: p.topics.count(p.rejected_topic) == 1, 4)
    p.inject(body("q", second))
    wait_until(lambda: p.topics.count(p.rejected_topic) == 2, 4)
    assert p.status("q", "u")["state"] == "STARTED"
    p.wait_state("q", "SUCCEEDED", "u")
    assert p.status("q", "u")["queryExecutionId"] == execution_id(p, first)
    check_started_once(p, [first])


def test_a_repetition_of_what_was_throttled_has_its_turn(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_ACTIVE_DML": 0})
    for _ in range(3):
        p.inject(body("q", "SELECT 1"))
    wait_until(lambda: p.topics.count(p.deadletter_topic) == 3, 20)
    p.wait_committed()
    assert calls(p) == 3
    p.sim.set(active_dml=5)
    p.add_redriver().wait_ready()
    p.wait_state("q", "SUCCEEDED", "u")
    p.wait_committed()
    check_started_once(p, ["SELECT 1"])


def test_a_repetition_of_what_is_perhaps_started(pipeline):
    p = pipeline(redrivers=0, sim_env={"SIM_CUT_AFTER_START": 1})
    for _ in range(5):
        p.inject(body("q", "SELECT 1 /* sim: ms=500 */"))
    answers = "athena_query_start_answers_total"
    wait_until(lambda: p.executors[0].metrics().sum(answers, outcome="ambiguous"), 20)
    p.sim.set(cut_after_start=0)
    p.wait_state("q", "SUCCEEDED", "u")
    p.wait_committed()
    check_started_once(p, ["SELECT 1 /* sim: ms=500 */"])
    check_nowhere_else(p)


# Settings that changed meanwhile --------------------------------------------------------------------

CHANGES = {
    "no longer allowed": ({"ALLOWED_WORKGROUPS": "a"}, {}, {"workGroup": "a"}),
    "no longer the default": (
        {"ATHENA_WORKGROUP": "old"}, {"ATHENA_WORKGROUP": "new"}, {"workGroup": "old"},
    ),
    "location no longer allowed": (
        {"ALLOWED_OUTPUT_LOCATIONS": "s3://mine/"}, {}, {"outputLocation": "s3://mine/x/"},
    ),
    "another default database": (
        {"ATHENA_DATABASE": "one"}, {"ATHENA_DATABASE": "two"}, {},
    ),
    "too old by now": ({}, {"QUERY_MAX_AGE_MS": 1}, {}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_runs_is_followed_under_other_settings(pipeline, change):
    before, after, chosen = CHANGES[change]
    p = pipeline(redrivers=0, executors=0, env=SOON)
    first = p.add_executor(before)
    first.wait_ready()
    text = f"SELECT 1 {RUNS}"
    p.inject(body("q", text, **chosen))
    started(p, ["q"])
    first.kill()
    p.add_executor(after)
    p.wait_state("q", "SUCCEEDED", "u", timeout=30)
    p.inject(body("q", text, **chosen))  # and what has ended is known as well
    p.wait_committed()
    assert p.status("q", "u")["state"] == "SUCCEEDED"
    assert calls(p) == 1
    check_started_once(p, [text])
    check_nowhere_else(p)


def test_nothing_is_started_before_the_topic_was_read(pipeline, own_kafka):
    """The topic's brokers give no answer: what may be known there is waited for."""
    p = pipeline(redrivers=0, broker=own_kafka(), env=SOON)
    queries = burst(3, RUNS)
    inject_all(p, queries)
    started(p, queries)
    p.sim.set(forget_tokens=1)
    p.executors[0].kill()
    p.kafka.signal(signal.SIGSTOP)
    p.executors[0].start()
    p.kafka.signal(signal.SIGCONT)
    wait_all(p, queries)
    p.wait_committed()
    assert calls(p) == len(queries)
