"""The faults, by groups and kinds: each makes its steps of chance alone (pure).

A step is (time, method of lab.Steps, argument, ...). `tag` names what the fault has begun to the
step that ends it. Whatever is not ended is at the end of the round.
"""

RECEIVERS = ["receiver-1", "receiver-2"]
EXECUTORS = ["executor-1", "executor-2", "executor-3"]
REDRIVERS = ["redriver-1", "redriver-2"]
CALLERS = EXECUTORS + REDRIVERS  # of Athena
PROGRAMS = RECEIVERS + EXECUTORS + REDRIVERS
BROKERS = [1, 2, 3]


def begin(chance):
    return chance.uniform(0.2, 1.8)


# Processes --------------------------------------------------------------------------------------


def kills(names, most=5):
    """One after another, each is started again after a moment."""

    def make(chance, _):
        at = begin(chance)
        for _ in range(chance.randint(1, most)):
            victim = chance.choice(names)
            yield at, "kill", victim
            at += chance.uniform(0, 0.6)
            yield at, "start", victim
            at += chance.uniform(0.05, 0.8)

    return make


def kill_all(chance, _):
    at, down = begin(chance), chance.uniform(0, 2)
    for name in PROGRAMS:
        yield at, "kill", name
    for name in PROGRAMS:
        yield at + down, "start", name


def pauses(names):
    """Sometimes for longer than the group waits for a member (4 s)."""

    def make(chance, _):
        victim, at = chance.choice(names), begin(chance)
        yield at, "pause", victim
        yield at + chance.choice([0.5, 1.5, 3, 6]), "resume", victim

    return make


def executor_added(chance, _):
    at = begin(chance)
    yield at, "start", "executor-4"
    if chance.random() < 0.5:
        yield at + 0.2, "start", "executor-5"
    yield at + chance.uniform(0.5, 4), "stop", "executor-4"


def executor_removed(chance, _):
    victims = chance.sample(EXECUTORS, chance.randint(1, 2))
    at = begin(chance)
    for victim in victims:
        yield at, "stop", victim
    for victim in victims:
        yield at + chance.uniform(0.5, 4), "start", victim


# Brokers ----------------------------------------------------------------------------------------


def broker_death(chance, _):
    victim, at = chance.choice(BROKERS), begin(chance)
    yield at, "kill_broker", victim
    yield at + chance.uniform(0, 4), "start_broker", victim


def leader_death(chance, tag):
    """Of a partition of ours, or of the partition in which a group keeps its offsets."""
    what = chance.choice(["query", "query", "status", "deadletter", "quota", "offsets"])
    at = begin(chance)
    yield at, "kill_leader", tag, what, chance.randrange(4)
    yield at + chance.uniform(0.5, 4), "start_leader", tag


def broker_pause(chance, _):
    victim, at = chance.choice(BROKERS), begin(chance)
    yield at, "pause_broker", victim
    yield at + chance.choice([0.5, 2, 5]), "resume_broker", victim


def two_brokers_down(chance, _):
    victims, at = chance.sample(BROKERS, 2), begin(chance)
    for victim in victims:
        yield at, "kill_broker", victim
    for victim in victims:
        yield at + chance.uniform(1, 5), "start_broker", victim


def disk_full(chance, _):
    victim, at = chance.choice(BROKERS), begin(chance)
    yield at, "fill_disk", victim
    yield at + chance.uniform(2, 4), "free_disk", victim


# Connections ------------------------------------------------------------------------------------


def somewhere(chance):
    """(ports, client.id) of a connection between two: a program and brokers, an AWS, a client."""
    place = chance.choice(["kafka", "kafka", "athena", "client"])
    if place == "athena":
        callers = chance.choice([CALLERS, [chance.choice(CALLERS)]])
        return ",".join(f"athena:{name}" for name in callers), ""
    if place == "client":
        receivers = chance.choice([RECEIVERS, [chance.choice(RECEIVERS)]])
        return ",".join(f"client:{name}" for name in receivers), ""
    brokers = chance.choice([BROKERS, [chance.choice(BROKERS)]])
    client = chance.choice([chance.choice(PROGRAMS), chance.choice(PROGRAMS), ""])
    return ",".join(f"broker:{n}" for n in brokers), client or "all"


def link(modes, lengths, seconds=(0.3, 0.3)):
    def make(chance, tag):
        at, (ports, client) = begin(chance), somewhere(chance)
        mode, breaks = chance.choice(modes), chance.random() < 0.5
        pace = round(chance.uniform(*seconds), 2)
        yield at, "link", tag, mode, ports, client or "all", pace, "breaks" if breaks else "goes-on"
        yield at + chance.choice(lengths), "unlink", tag

    return make


# Athena -----------------------------------------------------------------------------------------


def misanswer(setting, values, least=1.0, most=3.0):
    def make(chance, _):
        at = begin(chance)
        yield at, "athena", setting, chance.choice(values)
        yield at + chance.uniform(least, most), "athena", setting, "usual"

    return make


def forgets(chance, _):
    at = begin(chance)
    for _ in range(chance.randint(1, 3)):
        yield at, "athena", "forget_tokens", 1
        at += chance.uniform(0.3, 1.5)


def credentials_gone(chance, _):
    """For longer than the last ones live (6 s), or not."""
    at = begin(chance)
    yield at, "credentials", "refused"
    yield at + chance.choice([2, 5, 8]), "credentials", "given"


# Topics -----------------------------------------------------------------------------------------


def quota_topic_again(chance, _):
    at = begin(chance)
    yield at, "delete_topic", "quota"
    yield at + chance.uniform(0.3, 3), "make_topic", "quota", 1


def partitions(topic):
    def make(chance, _):
        yield begin(chance), "add_partitions", topic, chance.randint(1, 2)

    return make


GROUPS = {
    "kill": {
        "kill-receiver": kills(RECEIVERS),
        "kill-executor": kills(EXECUTORS),
        "kill-redriver": kills(REDRIVERS),
        "kill-athena": kills(["athena"], most=2),
        "kill-any": kills(PROGRAMS, most=8),
        "kill-all": kill_all,
    },
    "pause": {
        "pause-receiver": pauses(RECEIVERS),
        "pause-executor": pauses(EXECUTORS),
        "pause-redriver": pauses(REDRIVERS),
        "pause-athena": pauses(["athena"]),
        "pause-broker": broker_pause,
    },
    "broker": {"broker-death": broker_death, "leader-death": leader_death},
    "brokers": {"two-brokers-down": two_brokers_down},
    "disk": {"disk-full": disk_full},
    "fleet": {"executor-added": executor_added, "executor-removed": executor_removed},
    "delay": {"link-delay": link(["delay"], [2, 4], (0.05, 1.5))},
    "cut": {"link-cut": link(["cut"], [0.1, 1, 3])},
    "half-open": {
        "link-silent": link(["silent"], [1, 3, 5]),
        "link-one-way": link(["one-way"], [1, 3, 5]),
        "link-half-open": link(["half-open"], [1, 3, 5]),
    },
    "reset": {"link-reset": link(["reset"], [1, 3], (0.03, 0.7))},
    "misanswer": {
        "athena-5xx": misanswer("fail_5xx", [0.3, 1]),
        "athena-cut": misanswer("cut_after_start", [0.3, 1]),
        "athena-nonsense": misanswer("nonsense", [0.3, 1]),
        "athena-rate": misanswer("rate", [1, 5], most=5),
        "athena-expired": misanswer("expired", [1]),
        "athena-slow": misanswer("delay_ms", [500, 3000]),
        "athena-full": misanswer("active_dml", [0, 1], most=4),
    },
    "forgets": {"athena-forgets": forgets},
    "credentials": {"credentials-gone": credentials_gone},
    "topic": {"quota-topic-again": quota_topic_again},
    "partitions": {
        "partitions-query": partitions("query"),
        "partitions-deadletter": partitions("deadletter"),
        "partitions-status": partitions("status"),
    },
}
