"""Users and lanes take turns, and who waits can see it. Order is told by the sim's ledger."""

import itertools
import re

import pytest

from harness.judge import (
    body, burst, check_nowhere_else, check_started_once, inject_all, states_of, wait_all
)  # fmt: skip
from harness.pipeline import sha256
from harness.wait import stays, wait_until

ONE = {"TOPIC_PARTITIONS": 1}
PLACE = re.compile(r"waiting for the quota: (\d+) before it in this executor, (\d+) running")


def started(p, texts):
    """The places of these texts in the order of all starts."""
    order = {entry["sha256"]: n for n, entry in enumerate(p.sim.ledger())}
    return [order[sha256(text)] for text in texts.values()]


def wait_received(p, n):
    wait_until(
        lambda: p.executors[0].metrics().sum("athena_query_received_total") >= n, 20,
        f"{n} records in the window",
    )  # fmt: skip


def texts_of(user, n, hint=""):
    return {f"{user}{i}": f"SELECT '{user}', {i} {hint}".strip() for i in range(n)}


@pytest.mark.parametrize("user", ["b", ""], ids=["another", "nobody"])
def test_fairness_two_hundred_queries_do_not_hold_up_three(pipeline, user):
    p = pipeline(
        redrivers=0, env=ONE, executor_env={"MAX_RUNNING": 2, "MAX_IN_FLIGHT": 1},
        sim_env={"SIM_QUERY_MS": 40},
    )  # fmt: skip
    many, few = texts_of("a", 200), texts_of(f"few{user}", 3)
    inject_all(p, many, "a", key=b"k")
    wait_received(p, 200)
    inject_all(p, few, user, key=b"k")
    wait_received(p, 203)
    before = len(p.sim.ledger())
    assert before < 150, "most of them wait still"
    wait_all(p, many, user_id="a")
    wait_all(p, few, user_id=user)
    # Each is next but one: behind at most one of the other user, and what was on its way.
    assert max(started(p, few)) <= before + 6, (before, started(p, few))
    assert started(p, many) == sorted(started(p, many)), "the order of one user"
    assert started(p, few) == sorted(started(p, few))
    check_started_once(p, [*many.values(), *few.values()])
    check_nowhere_else(p)


def test_fairness_a_thousand_in_one_partition_with_the_defaults(pipeline):
    """The default window is deep enough for what one user may pour in."""
    p = pipeline(  # MAX_RUNNING: a quota would throttle some, and there is no redriver
        redrivers=0, env=ONE, executor_env={"MAX_RUNNING": 5}, sim_env={"SIM_QUERY_MS": 60},
    )  # fmt: skip
    many, one = texts_of("a", 1000), texts_of("b", 1)
    inject_all(p, many, "a", key=b"k")
    inject_all(p, one, "b", key=b"k")
    wait_received(p, 1001)
    before = len(p.sim.ledger())
    assert before < 600, "most of them wait still"
    wait_until(lambda: len(p.sim.ledger()) >= before + 30, 20)
    (place,) = started(p, one)
    assert place <= before + 20, "one turn, and calls under way at once"


def test_fairness_ddl_does_not_wait_behind_dml(pipeline):
    """Neither for a quota of its own, nor where MAX_RUNNING is what both share."""
    p = pipeline(
        redrivers=0, env=ONE, sim_env={"SIM_ACTIVE_DML": 2, "SIM_QUERY_MS": 300},
        executor_env={"MAX_IN_FLIGHT": 1},
    )  # fmt: skip
    dml = texts_of("a", 60)
    inject_all(p, dml, "a")
    wait_received(p, 60)
    ddl = {f"d{i}": f"SHOW TABLES IN d{i}" for i in range(5)}
    inject_all(p, ddl, "a")
    wait_received(p, 65)
    before = len(p.sim.ledger())
    wait_all(p, ddl, user_id="a")
    assert max(started(p, ddl)) <= before + 7, (before, started(p, ddl))
    assert len(p.sim.ledger()) < 60, "DML waits still"


def test_fairness_lanes_take_turns_at_max_running(pipeline):
    p = pipeline(
        redrivers=0, env=ONE, executor_env={"MAX_RUNNING": 2, "MAX_IN_FLIGHT": 1},
        sim_env={"SIM_QUERY_MS": 80},
    )  # fmt: skip
    dml = texts_of("a", 60)
    inject_all(p, dml, "a")
    wait_received(p, 60)
    ddl = {f"d{i}": f"SHOW TABLES IN d{i}" for i in range(5)}
    inject_all(p, ddl, "b")
    wait_received(p, 65)
    before = len(p.sim.ledger())
    assert before < 40
    wait_all(p, ddl, user_id="b")
    wait_all(p, dml, user_id="a")
    assert max(started(p, ddl)) <= before + 10, (before, started(p, ddl))
    check_started_once(p, [*dml.values(), *ddl.values()])


def test_fairness_order_outlives_refused_credentials(pipeline):
    """What was refused goes back to its place: several calls at once, answered in any order."""
    p = pipeline(redrivers=0, env=ONE, sim_env={"SIM_QUERY_MS": 3000, "SIM_ACTIVE_DML": 200})
    before = burst(30, first=100)
    inject_all(p, before)
    wait_until(lambda: len(p.sim.ledger()) == 30, 20)
    p.sim.set(expired=1, delay_ms=100)  # with so many that run, four calls are made at once
    queries = burst(30)
    inject_all(p, queries)
    wait_until(lambda: p.sim.stats()["start_calls"] >= 34, 20)
    # At once: who is refused twice stands aside for a while, so that others are tried.
    p.sim.set(expired=0, delay_ms=0)
    assert len(p.sim.ledger()) == 30
    wait_until(lambda: len(p.sim.ledger()) >= 34, 20)
    first = dict(list(queries.items())[:4])
    assert sorted(started(p, first)) == [30, 31, 32, 33], "the first four were the first to start"
    assert started(p, first)[0] == 30, "while nobody knows yet, they are tried one by one"
    wait_all(p, queries)
    check_started_once(p, [*before.values(), *queries.values()])
    check_nowhere_else(p)


# Waiting is visible -------------------------------------------------------------------------------


def place_of(p, query_id, user_id):
    found = p.status(query_id, user_id)
    match = found and PLACE.fullmatch(found["reason"] or "")
    return match and int(match[1])


def test_fairness_waiting_is_told_and_ends(pipeline):
    p = pipeline(
        redrivers=0, env=ONE, executor_env={"MAX_RUNNING": 1},
        sim_env={"SIM_QUERY_MS": 60000},
    )  # fmt: skip
    first = p.post({"userId": "u", "queryId": "first", "query": "SELECT 0 /* sim: ms=6000 */"})
    p.wait_state("first", "STARTED", "u")
    p.post({"userId": "u", "queryId": "next", "query": "SELECT 1 /* sim: ms=300 */"})
    p.post({"userId": "u", "queryId": "last", "query": "SELECT 2 /* sim: ms=300 */"})
    p.inject(body("injected", "SELECT 3 /* sim: ms=300 */", "v"), b"u")
    assert first["state"] == "QUEUED"
    for query_id, user_id, place in (("next", "u", 0), ("injected", "v", 1), ("last", "u", 2)):
        wait_until(
            lambda: place_of(p, query_id, user_id) == place, 10,  # noqa: B023
            lambda: f"{query_id} at {place}: {p.status(query_id, user_id)}",  # noqa: B023
        )  # fmt: skip
        found = p.status(query_id, user_id)
        assert found["state"] == "QUEUED" and found["queryExecutionId"] is None
        assert PLACE.fullmatch(found["reason"])[2] == "1"
    for query_id, user_id in (("next", "u"), ("injected", "v"), ("last", "u"), ("first", "u")):
        assert p.wait_state(query_id, "SUCCEEDED", user_id)["reason"] is None
        states = states_of(p, query_id, user_id)
        # A state that a late QUEUED has covered is told again.
        told = [s for s, _ in itertools.groupby(s for s in states if s != "QUEUED")]
        assert told == ["STARTED", "SUCCEEDED"] and states[-1] == "SUCCEEDED", states
        assert states.count("QUEUED") <= 2, "told once while nothing changes"
    assert states_of(p, "first", "u").count("QUEUED") <= 1, "it never waited"
    p.wait_committed()
    check_nowhere_else(p)


def test_fairness_a_place_that_changed_is_told_again(pipeline):
    p = pipeline(
        redrivers=0, env=ONE, executor_env={"MAX_RUNNING": 1}, sim_env={"SIM_QUERY_MS": 1300},
    )  # fmt: skip
    queries = burst(16)
    inject_all(p, queries)
    places = []

    def moved():
        place = place_of(p, "q15", "u")
        if place is not None and place not in places:
            places.append(place)
        return len(places) >= 2

    wait_until(moved, 30, lambda: f"its place to change: {places}", interval=0.1)
    assert places[0] >= 13 and places[1] < places[0]
    told = [
        s for records in p.status_records().values() for s in records
        if s["queryId"] == "q15" and s["reason"]
    ]  # fmt: skip
    assert len(told) == 2, "at most every ten seconds"


def test_fairness_waiting_for_the_rate_is_not_for_the_quota(pipeline):
    p = pipeline(redrivers=0, env=ONE, sim_env={"SIM_RATE": 2})
    inject_all(p, burst(20))
    wait_until(lambda: len(p.sim.ledger()) >= 6, 30)
    assert p.executors[0].metrics().sum("athena_query_waiting") > 0
    assert not [s for records in p.status_records().values() for s in records if s["reason"]]


def test_fairness_waiting_is_told_of_the_first_of_a_pair(pipeline):
    """Of two texts nothing is known yet: the second, in another lane, must not get the pair."""
    p = pipeline(
        redrivers=0, env=ONE, executor_env={"MAX_RUNNING": 1}, sim_env={"SIM_QUERY_MS": 100},
    )  # fmt: skip
    p.inject(body("long", "SELECT 0 /* sim: ms=4000 */"))
    p.wait_state("long", "STARTED", "u")
    texts = ["SHOW TABLES", "SELECT 1"]
    pairs = [(b"u", body("pair", text)) for text in texts]
    p.topics.produce_all(p.query_topic, pairs)
    wait_until(lambda: place_of(p, "pair", "u") == 0, 10, "the first to be told")
    p.wait_state("pair", "SUCCEEDED", "u")
    p.wait_committed()
    check_started_once(p, ["SELECT 0 /* sim: ms=4000 */", "SHOW TABLES"])
    (rejected,) = p.topics.read(p.rejected_topic)
    assert rejected.value == pairs[1][1]


def test_fairness_waiting_is_never_told_over_a_later_state(pipeline):
    """One that ran, was throttled, or is of another text, comes again and waits."""
    p = pipeline(redrivers=0, env=ONE, sim_env={"SIM_ACTIVE_DML": 1})
    p.post({"userId": "u", "queryId": "done", "query": "SELECT 1"})
    done = p.wait_state("done", "SUCCEEDED", "u")
    p.post({"userId": "u", "queryId": "long", "query": "SELECT 0 /* sim: ms=8000 */"})
    p.wait_state("long", "STARTED", "u")
    p.inject(body("throttled", "SELECT 2"))
    p.wait_state("throttled", "THROTTLED", "u")
    # From here on the executor knows the quota: these wait.
    p.inject(body("fresh", "SELECT 3", "w"))
    p.inject(body("done", "SELECT 1"))
    p.inject(body("throttled", "SELECT 2"))
    p.inject(body("long", "SELECT 'another text'"))
    p.inject(body("fresh", "SELECT 'another text'", "w"))
    wait_until(
        lambda: place_of(p, "fresh", "w") is not None, 10,
        lambda: f"it to wait: {p.status('fresh', 'w')}",
    )  # fmt: skip
    # The first `fresh` and `throttled`; the other text waits behind its pair, `done` is done with.
    assert p.executors[0].metrics().sum("athena_query_waiting") >= 2

    def unchanged():
        return (
            p.status("done", "u") == done
            and p.status("throttled", "u")["state"] == "THROTTLED"
            and p.status("long", "u")["state"] in {"STARTED", "SUCCEEDED"}
            and place_of(p, "fresh", "w") is not None
        )

    stays(unchanged, 1.5, "what was known")
    p.wait_state("long", "SUCCEEDED", "u")
    told = {s["sha256"] for r in p.status_records().values() for s in r if s["reason"]}
    assert sha256("SELECT 'another text'") not in told
    assert states_of(p, "done", "u")[-1] == "SUCCEEDED"
    assert "QUEUED" not in states_of(p, "throttled", "u")
