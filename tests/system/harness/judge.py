"""What must hold whatever happened in between: nothing lost, nothing started twice."""

import collections
import json

import requests

from harness.pipeline import sha256
from harness.wait import wait_until


def check_started_once(p, texts):
    """By the sim's ledger: each of these texts was started once, and nothing else."""
    assert p.sim.starts_by_text() == collections.Counter({sha256(t): 1 for t in texts})
    starts = p.sim.ledger()
    assert len({s["token"] for s in starts}) == len(starts)


def execution_id(p, text):
    """The id under which the ledger has this text."""
    (found,) = [s["id"] for s in p.sim.ledger() if s["sha256"] == sha256(text)]
    return found


def check_nowhere_else(p):
    """Neither dead-lettered nor rejected."""
    assert p.topics.count(p.deadletter_topic) == 0
    assert p.topics.count(p.rejected_topic) == 0


def states_of(p, query_id, user_id=""):
    """All states that were written of a query, in order."""
    return [
        s["state"]
        for states in p.status_records().values()
        for s in states
        if s and s["queryId"] == query_id and (s["userId"] or "") == user_id
    ]


def body(query_id, text, user_id="u", **more):
    """The bytes of a request."""
    return json.dumps({"userId": user_id, "queryId": query_id, "query": text} | more).encode()


def burst(n, hint="", first=0):
    """{queryId: SQL}, no two alike."""
    return {f"q{i}": f"SELECT {i} {hint}".strip() for i in range(first, first + n)}


def inject_all(p, queries, user_id="u", key=None, partition=-1):
    """Puts {queryId: SQL} straight into the query topic."""
    pairs = [(key, body(q, text, user_id)) for q, text in queries.items()]
    return p.topics.produce_all(p.query_topic, pairs, partition=partition)


def wait_all(p, queries, state="SUCCEEDED", user_id="u", timeout=60):
    p.wait_states([(user_id, q) for q in queries], state, timeout)


def readiness(program):
    answer = requests.get(program.admin_url + "/readyz", timeout=5)
    return answer.status_code, answer.text


def wait_not_ready(program, why):
    def look():
        status, text = readiness(program)
        return status == 503 and why in text

    wait_until(look, 15, lambda: f"503 because of {why}, it is {readiness(program)}")


def wait_stat(sim, name, n, timeout=20):
    """Until athena-sim has counted so many."""
    wait_until(lambda: sim.stats()[name] >= n, timeout, lambda: f"{name} of {n}: {sim.stats()}")
