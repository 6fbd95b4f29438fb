"""What docs/fleet.md promises when a leader is killed in any phase of the protocol, sleeps, or an
executor is cut off from Kafka."""

import pytest

from harness.fronts import Wire
from harness.judge import burst, check_started_once, inject_all, wait_all
from harness.quota_topic import QuotaTopic
from harness.wait import wait_until
from test_fleet import SOON, leader_of, leaders, limit_of, quota_topic, shares, spread

# So that each step of the protocol takes a moment, long enough to be killed in: a reader waits for
# so many bytes, which never come, or so long.
SLOW_READERS = {"KAFKA_FETCH_MIN_BYTES": 100000, "KAFKA_FETCH_WAIT_MAX_MS": 250}
ATTEMPTS = 3


@pytest.fixture
def watch():
    """watch(p): the quota topic of a pipeline."""
    opened = []

    def make(p):
        opened.append(QuotaTopic(p.kafka.bootstrap, quota_topic(p)))
        return opened[-1]

    yield make
    for topic in opened:
        topic.close()


# --- killed ---------------------------------------------------------------------------------------


def is_claimed(t):
    return t.term is not None and not t.term.grants


def is_first_grant(t):
    return t.term is not None and len(t.term.grants) == 1


def is_cold(t):
    return t.grant is not None and not t.grant.learned and t.grant.limit > 1


def is_probing(t):
    return t.grant is not None and t.grant.learned and t.grant.granted == t.grant.limit + 1


def is_sweeping(t):
    return t.grant is not None and t.grant.check == 1


def is_counting(t):
    return t.grant is not None and t.grant.check == 2


def is_moving(t):
    if t.grant is None or len(t.term.grants) < 2 or not t.grant.learned:
        return False
    was, now = t.term.grants[-2].shares, t.grant.shares
    change = [now[m] - was[m] for m in now if m in was]
    return was.keys() == now.keys() and min(change) < 0 < max(change)


# The phase, and whether it is one of taking office, at which executors come, or of learning.
PHASES = {
    "claimed": (is_claimed, True),
    "first-grant": (is_first_grant, True),
    "cold": (is_cold, False),
    "probe": (is_probing, False),
    "sweep": (is_sweeping, False),
    "count": (is_counting, False),
    "moved": (is_moving, False),
}


def claims(executor):
    return executor.log().count("claims to lead")


def writer_of(p, term):
    """The executor whose claim this is: the one that has said so, and (or) that it leads by it."""
    led = [e for e in p.executors if e.running and f"leads epoch={term.epoch}\n" in e.log()]
    open_claims = [e for e in p.executors if e.running and claims(e) > e.log().count(": leads epoch")]
    found = led or open_claims
    return found[0] if len(found) == 1 else None


def uneven(p, queries):
    """More in some partitions than in others: shares move as the work ends here and there."""
    items = list(queries.items())
    few = len(items) // 5
    inject_all(p, dict(items[:few]), partition=1)
    inject_all(p, dict(items[few:]), partition=5)


class Bursts:
    """Injects a burst at a time, and remembers them."""

    def __init__(self, p, how):
        self.p, self.how = p, how
        self.all = {}

    def __call__(self, n=110):
        more = burst(n, first=len(self.all))
        self.all |= more
        self.how(self.p, more)


def kill_in(p, topic, phase, again):
    """Kills the leader while the last that it has written is of this phase."""
    is_in_phase, _ = PHASES[phase]
    seen = []
    for attempt in range(ATTEMPTS):
        came = topic.until(is_in_phase, 20)
        victim = came and writer_of(p, topic.term)
        if victim:
            victim.kill()
            topic.to_end()
        if victim and is_in_phase(topic):
            return victim
        seen.append((came, victim and victim.label, topic.grant))
        if attempt + 1 < ATTEMPTS:
            if victim:
                p.add_executor(SLOW_READERS).wait_ready()
            again()
    raise AssertionError(f"the phase {phase!r} never came, or had passed: {seen}")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("phase", PHASES)
def test_fleet_leader_killed(pipeline, watch, phase):
    """kill -9 with this on record and nothing after it: the next goes on from there."""
    _, at_office = PHASES[phase]
    p = pipeline(
        executors=1 if at_office else 3, redrivers=1, env=SOON | {"TOPIC_PARTITIONS": 6},
        executor_env=SLOW_READERS, sim_env={"SIM_ACTIVE_DML": 6, "SIM_QUERY_MS": 300},
    )  # fmt: skip
    topic = watch(p)
    bursts = Bursts(p, uneven if phase == "moved" else lambda p, q: spread(p, q, 6))
    if not at_office:
        p.topics.wait_members(p.executor_group, 3)
        for executor in p.executors:  # one that learns alone until then would bring what it knows
            executor.wait_log("fleet: governed by its leader", 30)
    bursts()
    if at_office:
        p.add_executor(SLOW_READERS)
        p.add_executor(SLOW_READERS)

    def again():
        p.sim.set(active_dml=9)  # found by a probe, and looked for again
        bursts()

    victim = kill_in(p, topic, phase, again)
    epoch = topic.term.epoch
    topic.forget_most()
    topic.taken_over = 3  # the most that one of three holds of six, and a probe
    last = topic.grant
    assert topic.until(lambda t: t.term.epoch > epoch and t.grant, 20), "no other has led"
    claimants = {t.epoch: t.claimant for t in topic.terms}
    assert topic.term.claimant != claimants[epoch]
    if last and last.learned and last.check == 0:
        assert topic.term.grants[0].limit == last.limit, "it goes on from the last grant"
    wait_all(p, bursts.all, timeout=90)
    p.wait_committed()
    second = wait_until(lambda: leader_of(p), 30, "one leader")
    assert second is not victim
    check_started_once(p, bursts.all.values())
    assert p.topics.count(p.rejected_topic) == 0
    assert topic.to_end().trouble == []


# --- asleep ---------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_fleet_leader_that_slept_buries_nobody(pipeline, watch):
    """Awake again it has not heard of anyone for as long as of one that is gone."""
    p = pipeline(
        executors=3, redrivers=1, env=SOON | {"TOPIC_PARTITIONS": 6},
        sim_env={"SIM_ACTIVE_DML": 6, "SIM_QUERY_MS": 300},
    )  # fmt: skip
    topic = watch(p)
    p.topics.wait_members(p.executor_group, 3)
    queries = burst(150)
    spread(p, queries, 6)
    sleeper = wait_until(lambda: leader_of(p, 6), 20, "a leader that has learned")
    slept = topic.to_end().term.claimant
    topic.forget_most()
    topic.taken_over = 3  # the most that one of three holds of six, and a probe
    sleeper.pause()
    assert topic.until(lambda t: slept in [m for _, m in t.graves], 40), "nobody buried it"
    assert topic.term.claimant != slept
    buried_at = topic.graves[-1][0]
    sleeper.resume()
    more = burst(40, first=150)
    spread(p, more, 6)

    def is_back(t):
        mine = t.reports.get(slept)
        return mine and t.grant and slept in t.grant.shares and mine["version"] == t.grant.version

    assert topic.until(is_back, 20), "it was not governed again"
    wait_all(p, queries | more)
    p.wait_committed()
    assert [g for g in topic.to_end().graves if g[0] > buried_at] == []
    wait_until(lambda: leader_of(p), 20, "one leader")
    check_started_once(p, (queries | more).values())
    assert p.topics.count(p.rejected_topic) == 0
    assert topic.trouble == []


# --- cut off --------------------------------------------------------------------------------------


@pytest.fixture
def wire():
    with Wire() as made:
        yield made


@pytest.mark.timeout(120)
@pytest.mark.parametrize("who, silently", [("leader", True), ("member", False)])
def test_fleet_executor_cut_off_from_kafka(pipeline, own_kafka, wire, watch, who, silently):
    """For longer than its session, with queries that run; Athena it reaches."""
    kafka = own_kafka(listeners={"FAR": ("PLAINTEXT", {})}, advertised={"FAR": wire.port})
    wire.to = kafka.ports["FAR"]
    p = pipeline(
        executors=2, redrivers=1, env=SOON | {"TOPIC_PARTITIONS": 6}, broker=kafka,
        sim_env={"SIM_ACTIVE_DML": 6, "SIM_QUERY_MS": 700},
    )  # fmt: skip
    far = p.add_executor(
        {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{wire.port}",
            # Partitions are assigned in the order of these: the first leads.
            "KAFKA_CLIENT_ID": "a-far" if who == "leader" else "z-far",
        }
    )
    near = p.executors[:2]
    p.topics.wait_members(p.executor_group, 3)
    topic = watch(p)
    queries = burst(90)
    spread(p, queries, 6)
    wait_until(lambda: shares(p) == [2, 2, 2] and leader_of(p, 6), 20, lambda: f"{shares(p)}")
    assert (leader_of(p) is far) == (who == "leader")
    topic.to_end().forget_most()
    topic.taken_over = 3  # the most that one of three holds of six, and a probe
    wait_until(lambda: far.metrics().sum("athena_query_held", lane="dml") > 0)
    wire.cut(silently)

    def share(executor):
        return executor.metrics().sum("athena_query_share", lane="dml")

    far.wait_log("partitions lost", timeout=20)
    p.topics.wait_members(p.executor_group, 2)

    def is_all_theirs():
        leading = [e for e in near if e in leaders(p)]
        return leading and sum(map(share, near)) == limit_of(leading[0])

    wait_until(is_all_theirs, 25, lambda: f"{shares(p)}")
    assert sum(e in near for e in leaders(p)) == 1
    wire.mend()
    p.topics.wait_members(p.executor_group, 3)
    # The limit may have come down meanwhile, and without work it stays there.
    wait_until(
        lambda: share(far) > 0 and sum(shares(p)) <= 7, 20,
        lambda: f"governed again, it is {shares(p)}",
    )  # fmt: skip
    more = burst(30, first=200)
    spread(p, more, 6)
    wait_all(p, queries | more)
    p.wait_committed()
    wait_until(lambda: leader_of(p), 20, "one leader")
    check_started_once(p, (queries | more).values())
    assert p.topics.count(p.rejected_topic) == 0
    assert topic.to_end().trouble == []
