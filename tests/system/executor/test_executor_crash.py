"""SIGKILL at every step, of every program, and of the broker: nothing lost, nothing started twice."""

import random
import signal
import threading

import pytest
import requests

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, execution_id, inject_all, wait_all
)  # fmt: skip
from harness.wait import free_port, wait_until

# Short, so that a crash is noticed soon; not so short that a busy machine is taken for one.
SOON = {"KAFKA_SESSION_TIMEOUT_MS": 3000, "KAFKA_HEARTBEAT_INTERVAL_MS": 300}


def metric(executor, name, n, timeout=20):
    wait_until(
        lambda: executor.metrics().sum(name) >= n, timeout,
        lambda: f"{name} of {n}, it is {executor.metrics().sum(name)}",
    )  # fmt: skip


def wait_calls(p, n):
    wait_until(lambda: p.sim.stats()["start_calls"] >= n, 20, lambda: f"{n} calls: {p.sim.stats()}")


# One step -----------------------------------------------------------------------------------------


def test_crash_before_athena_has_read_the_call(pipeline):
    p = pipeline(redrivers=0, env=SOON)
    p.sim.pause()
    p.inject(body("q", "SELECT 1"))
    metric(p.executors[0], "athena_query_start_in_flight", 1)
    p.executors[0].kill()
    p.sim.resume()  # and reads it, perhaps
    p.executors[0].start()
    p.wait_state("q", "SUCCEEDED", "u")
    check_started_once(p, ["SELECT 1"])
    check_nowhere_else(p)


def test_crash_after_the_start_before_its_answer(pipeline):
    p = pipeline(redrivers=0, env=SOON, sim_env={"SIM_DELAY_MS": 600000})
    queries = burst(5)
    inject_all(p, queries)
    wait_until(lambda: len(p.sim.ledger()) >= 2)
    p.executors[0].kill()
    p.sim.set(delay_ms=0)
    p.executors[0].start()
    wait_all(p, queries)
    assert p.sim.stats()["repeated"] >= 2
    check_started_once(p, queries.values())
    check_nowhere_else(p)


def test_crash_while_queries_run(pipeline):
    p = pipeline(redrivers=0, env=SOON)
    queries = burst(8, "/* sim: ms=2500 */")
    inject_all(p, queries)
    wait_all(p, queries, {"STARTED"})
    ids = {q: p.status(q, "u")["queryExecutionId"] for q in queries}
    p.executors[0].kill()
    p.executors[0].start()
    wait_all(p, queries)
    assert {q: p.status(q, "u")["queryExecutionId"] for q in queries} == ids
    assert p.sim.stats()["start_calls"] == len(queries)  # the status topic knows their ids
    check_started_once(p, queries.values())
    check_nowhere_else(p)


@pytest.mark.timeout(180)
def test_crash_before_the_last_state_is_written(pipeline, own_kafka):
    p = pipeline(redrivers=0, broker=own_kafka(), env=SOON)
    queries = burst(4, "/* sim: ms=1000 */")
    inject_all(p, queries)
    wait_all(p, queries, {"STARTED"})
    p.kafka.signal(signal.SIGSTOP)
    metric(p.executors[0], "athena_query_ended_total", len(queries))
    p.executors[0].kill()
    p.kafka.signal(signal.SIGCONT)
    p.executors[0].start()
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())
    check_nowhere_else(p)


@pytest.mark.timeout(180)
def test_crash_while_dead_lettering(pipeline, own_kafka):
    p = pipeline(
        redrivers=0, broker=own_kafka(), env=SOON,
        sim_env={"SIM_ACTIVE_DML": 0, "SIM_DELAY_MS": 1000},
    )  # fmt: skip
    queries = burst(4)
    inject_all(p, queries)
    wait_calls(p, 1)
    p.kafka.signal(signal.SIGSTOP)
    metric(p.executors[0], "athena_query_throttled_total", 1)  # its dead letter is on its way
    p.executors[0].kill()
    p.kafka.signal(signal.SIGCONT)
    p.sim.set(delay_ms=0)
    p.executors[0].start()
    # Each is in the dead-letter topic, perhaps twice, before its offset is committed.
    p.wait_committed()
    letters = {r.value for r in p.topics.read(p.deadletter_topic)}
    assert letters == {body(q, text) for q, text in queries.items()}
    p.sim.set(active_dml=20)
    p.add_redriver().wait_ready()
    wait_all(p, queries)
    p.wait_committed()
    check_started_once(p, queries.values())
    assert p.topics.count(p.rejected_topic) == 0


def test_crash_after_dead_lettering_before_the_commit(pipeline):
    """The record comes again and may run, and its dead letter comes back behind it."""
    p = pipeline(redrivers=0, sim_env={"SIM_ACTIVE_DML": 0}, env=SOON | {"TOPIC_PARTITIONS": 1})
    p.inject(body("q", "SELECT 1"))
    wait_until(lambda: p.topics.count(p.deadletter_topic) == 1, interval=0.01)
    p.executors[0].kill()
    p.sim.set(active_dml=20)
    p.topics.produce(p.query_topic, body("q", "SELECT 1"))  # as if it was not committed
    p.executors[0].start()
    p.wait_state("q", "SUCCEEDED", "u")
    p.add_redriver().wait_ready()
    wait_until(lambda: p.topics.lag(p.redriver_group, p.deadletter_topic) == 0, 20)
    p.wait_committed()
    assert p.status("q", "u")["state"] == "SUCCEEDED"
    assert p.status("q", "u")["queryExecutionId"] == execution_id(p, "SELECT 1")
    check_started_once(p, ["SELECT 1"])


# Under load ---------------------------------------------------------------------------------------

FAULTS = {
    "SIM_ACTIVE_DML": 6, "SIM_QUERY_MS": 150, "SIM_JITTER": 0.5, "SIM_FAIL_5XX": 0.1,
    "SIM_CUT_AFTER_START": 0.1, "SIM_NONSENSE": 0.1,
}  # fmt: skip


def post_until_accepted(p, query):
    """As a client should: what was not accepted, or not answered, is posted again."""

    def accepted():
        try:
            return p.receiver.post(query).status_code == 202
        except (requests.RequestException, RuntimeError):  # the latter: killed before it listened
            return False

    wait_until(accepted, 60, f"202 for {query['queryId']}", interval=0.1)


class Load:
    """Posts n queries at about `rate` a second, from a thread of its own."""

    def __init__(self, p, n, rate):
        self.p, self.rate = p, rate
        self.queries = burst(n)
        self.failed = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            for query_id, text in self.queries.items():
                post_until_accepted(
                    self.p, {"userId": "u", "queryId": query_id, "query": text}
                )
                threading.Event().wait(1 / self.rate)
        except Exception as e:  # shown by finish()
            self.failed.append(e)

    @property
    def running(self):
        return self.thread.is_alive()

    def finish(self, timeout=90):
        self.thread.join(timeout)
        assert not self.running and not self.failed, self.failed


def crash_again_and_again(load, programs, seed):
    """Kills one after another, each some time after the last, until the load is all posted."""
    chance = random.Random(seed)
    kills = 0
    while load.running:
        program = programs[kills % len(programs)]
        threading.Event().wait(0.2 + chance.random() * 0.5)
        program.kill()
        threading.Event().wait(chance.random() * 0.3)
        program.start()
        kills += 1
    assert kills >= 4


@pytest.mark.timeout(180)
@pytest.mark.parametrize("which", ["executors", "others"])
def test_crash_again_and_again_under_load(pipeline, which):
    p = pipeline(
        executors=2, env=SOON, sim_env=FAULTS,
        receiver_env={"LISTEN": f"127.0.0.1:{free_port()}"},
    )  # fmt: skip
    victims = p.executors if which == "executors" else [*p.receivers, *p.redrivers, p.sim]
    load = Load(p, 80, 20)
    crash_again_and_again(load, victims, 1)
    load.finish()
    wait_all(p, load.queries, timeout=90)
    p.wait_committed()
    check_started_once(p, load.queries.values())
    assert p.topics.count(p.rejected_topic) == 0


@pytest.mark.timeout(240)
def test_crash_of_the_broker_under_load(pipeline, own_kafka):
    p = pipeline(executors=2, broker=own_kafka(), env=SOON, sim_env=FAULTS)
    load = Load(p, 60, 20)
    for _ in range(2):
        n = len(p.sim.ledger())
        wait_until(lambda: len(p.sim.ledger()) > n + 5 or not load.running, 60)  # noqa: B023
        p.kafka.kill()
        p.kafka.start()
    load.finish()
    wait_all(p, load.queries, timeout=120)
    p.wait_committed(60)
    check_started_once(p, load.queries.values())
    assert p.topics.count(p.rejected_topic) == 0
    p.wait_ready()
