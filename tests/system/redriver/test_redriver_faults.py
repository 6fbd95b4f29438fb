"""Whatever is broken around it, a pass moves what can be moved, ends, and says what it left."""

import collections
import json
import random
import string
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import NewTopic

from harness.cluster import Cluster
from harness.program import run_program
from harness.redrive import NAME, Redrive
from harness.wait import wait_until

# Without Kafka ------------------------------------------------------------------------------------

BY_HAND = [["--once"], ["--dry-run"], ["--user", "u1"]]


@pytest.fixture
def nowhere(programs, stage):
    class Nowhere:
        bootstrap = "127.0.0.1:1"

    return Redrive(programs, Nowhere, None, stage)


def check_nothing_was_looked_at(program):
    assert "no dead letter was looked at: no broker reached at 127.0.0.1:1" in program.log()
    assert program.out_path.read_text() == "", "nothing that reads like a result"


def test_by_hand_without_kafka_gives_up_in_bounded_time(nowhere):
    started = [nowhere.start({"ADMIN_LISTEN": ""}, args, "".join(args)) for args in BY_HAND]
    for program in started:
        assert program.wait(60) == 111, program.log_tail()
        check_nothing_was_looked_at(program)


@pytest.mark.parametrize("args", BY_HAND, ids="".join)
def test_by_hand_stopped_without_kafka_is_no_success(nowhere, args):
    program = nowhere.start({"ADMIN_LISTEN": ""}, args)
    program.wait_log("not ready: no broker reached")
    program.stop(expect=111)
    check_nothing_was_looked_at(program)


# A group that does not fit the topic --------------------------------------------------------------


def commit(redrive, offsets):
    consumer = Consumer(redrive.topics.common | {"group.id": redrive.group})
    try:
        consumer.commit(
            offsets=[TopicPartition(redrive.deadletter, p, o) for p, o in offsets.items()],
            asynchronous=False,
        )
    finally:
        consumer.close()


def test_what_is_there_moves_where_the_commit_is_beyond_the_end(redrive):
    values = redrive.letters(6, partition=0)
    commit(redrive, {0: 1000, 1: 50})
    program = redrive.start()
    redrive.wait_moved(6)
    redrive.wait_lag(0)
    assert redrive.moved_values() == collections.Counter(values)
    wait_until(lambda: redrive.committed() == {0: 6, 1: 0}, what="commits that fit the topic")
    program.wait_log("committed offset is beyond the end.*partition=0 committed=1000 end=6")
    wait_until(
        lambda: program.metrics().sum("athena_query_deadletter_beyond_end_total") == 2,
        what="the metric, once for each",
    )
    more = redrive.letters(3, first=10, partition=1)
    redrive.wait_moved(9)
    assert redrive.moved_values() == collections.Counter(values + more)


def test_what_retention_took_is_logged_and_counted_once(redrive):
    redrive.letters(8, partition=0)
    commit(redrive, {0: 2})
    redrive.topics.admin.delete_records([TopicPartition(redrive.deadletter, 0, 5)])[
        TopicPartition(redrive.deadletter, 0)
    ].result(10)
    program = redrive.start()
    redrive.wait_moved(3)
    redrive.wait_lag(0)
    program.wait_log("retention took records that were not moved .*offsets=2..5")
    wait_until(lambda: program.metrics().sum("athena_query_redrive_passes_total") >= 3,
               what="more passes")  # fmt: skip
    assert program.metrics().sum("athena_query_deadletter_lost_total") == 3
    assert program.log().count("retention took") == 1


# Letters that do not fit --------------------------------------------------------------------------


@pytest.fixture
def narrow(programs, kafka, topics, stage):
    """The query topic takes 2000 bytes."""
    redrive = Redrive(programs, kafka, topics, stage)
    topics.create(redrive.query, 1, {"max.message.bytes": "2000"})
    for name in (redrive.deadletter, redrive.rejected, redrive.status):
        topics.create(name, 1)
    return redrive


GROWN = [
    ("athena-attempt", b"12"), ("athena-first-seen-ms", b"1700000000000"),
    ("athena-origin", b"athena-query/0/123456789"),
    ("athena-error", b"TooManyRequestsException"), ("foreign", b"kept"),
]  # fmt: skip


def random_letter(i, size):
    """Text that no compression makes much smaller."""
    pad = "".join(random.Random(i).choices(string.ascii_letters + string.digits, k=size))
    return json.dumps({"query": "SELECT 1", "queryId": f"q{i}", "pad": pad}).encode()


def test_a_letter_that_has_grown_fits_back_with_fewer_headers(narrow):
    sizes = {1: 1500, 2: 1760, 3: 1830}
    for i, size in sizes.items():
        narrow.topics.produce(narrow.deadletter, random_letter(i, size), b"k", GROWN)
    _, summary = narrow.by_hand("--once")
    assert summary == {"moved": 3, "skipped": 0, "left": 0, "elsewhere": 0}
    found = {json.loads(r.value)["queryId"]: r for r in narrow.moved()}
    assert {q: r.value for q, r in found.items()} == {
        f"q{i}": random_letter(i, size) for i, size in sizes.items()
    }
    first, second, third = (dict(found[f"q{i}"].header_list) for i in sizes)
    assert first == dict(GROWN)
    assert set(second) == {"athena-attempt", "athena-first-seen-ms", "foreign"}
    assert set(third) == {"foreign"}
    assert found["q3"].timestamp_ms == 1700000000000, "when it was first seen"


def test_letters_that_never_fit_do_not_use_up_the_limit(narrow):
    hopeless = [random_letter(i, 4000) for i in range(3)]
    narrow.topics.produce_all(narrow.deadletter, [(b"k", v) for v in hopeless])
    values = narrow.letters(4, first=10)
    env = {"REDRIVE_MAX_PER_PASS": 2}
    _, summary = narrow.by_hand("--once", env=env)
    assert (summary["moved"], summary["left"]) == (2, 5)
    program = narrow.start(env)
    narrow.wait_moved(4)
    assert narrow.moved_values() == collections.Counter(values)
    wait_until(lambda: program.metrics().sum("athena_query_deadletter_hopeless") == 3,
               what="the metric")  # fmt: skip


# More than one redriver ---------------------------------------------------------------------------


def test_once_says_in_words_what_is_left_elsewhere(redrive):
    redrive.start({"REDRIVE_INTERVAL_MS": 86400000}).wait_ready()
    redrive.topics.wait_members(redrive.group, 1)
    done = run_program(NAME, ["--once"], redrive.env(), 60)
    assert done.returncode == 0
    n = json.loads(done.stdout)["elsewhere"]
    assert n > 0
    assert f"{n} of 3 partitions are held by other redrivers" in done.stderr


# A partition without a leader ---------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path):
    with Cluster(tmp_path / "cluster") as cluster:
        yield cluster


def create_spread(redrive, cluster):
    """A partition of the dead-letter topic on each broker, with no other replica."""
    alone = {"min.insync.replicas": "1"}
    new = [NewTopic(redrive.deadletter, 3, 1, config=alone)]
    new += [NewTopic(n, 3, 3) for n in (redrive.query, redrive.rejected, redrive.status)]
    for done in cluster.admin.create_topics(new).values():
        done.result(20)
    cluster.wait_whole(60)


@pytest.mark.timeout(300)
def test_a_partition_that_is_offline_holds_no_other(programs, cluster, open_topics, stage):
    redrive = Redrive(programs, cluster, open_topics(cluster), stage)
    create_spread(redrive, cluster)
    values = {p: redrive.letters(20, first=100 * p, partition=p) for p in range(3)}
    found = cluster.admin.list_topics(redrive.deadletter, timeout=10)
    leader = found.topics[redrive.deadletter].partitions[0].leader
    cluster.brokers[leader].kill()

    def query_topic_has_leaders():
        seen = cluster.metadata()
        partitions = seen.topics[redrive.query].partitions.values() if seen else []
        return partitions and all(p.leader not in (-1, leader) for p in partitions)

    wait_until(query_topic_has_leaders, 60, "leaders elsewhere")
    here = values[1] + values[2]
    program = redrive.start({"REDRIVE_INTERVAL_MS": 1000})
    redrive.wait_moved(40, timeout=90)
    assert redrive.moved_values() == collections.Counter(here)
    program.wait_log("a partition is left to the next pass: partition=0", 60)
    wait_until(lambda: program.metrics().sum("athena_query_redrive_unread_partitions") == 1,
               30, "the metric")  # fmt: skip
    program.stop()
    # By hand it is no success.
    begun = time.monotonic()
    done = run_program(NAME, ["--once"], redrive.env(), 120)
    assert done.returncode == 111, done.stderr
    assert "the pass is not complete" in done.stderr
    assert json.loads(done.stdout)["moved"] == 0
    assert time.monotonic() - begun < 100
    cluster.brokers[leader].start()
    program.start()
    redrive.wait_moved(60, timeout=90)
    assert redrive.moved_values() == collections.Counter(sum(values.values(), []))
