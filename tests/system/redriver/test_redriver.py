"""The redriver: dead letters back to the query topic, byte for byte, and none of them lost."""

import collections
import json
import threading
import time

import pytest
import requests

from harness.program import run_program
from harness.redrive import NAME, Redrive, letter
from harness.wait import stays, wait_until

# What is moved ------------------------------------------------------------------------------------


def test_redriver_moves_bytes_key_and_headers_as_they_came(redrive):
    foreign = [("z", b"\x00\xff\xfe"), ("a", b""), ("z", b"again"), ("null", None)]
    own = [("athena-query-id", b"id"), ("athena-attempt", b"3"), ("traceparent", b"00-a-b-01")]
    number = b'{"query":"SELECT 1", "queryId":"n","big":9007199254740993 , "u":"\\u00e9"}'
    cases = [
        (b"key", number, foreign + own),
        (None, b'{"query":"x","queryId":"1"}', []),
        (b"", b'{"query":"x","queryId":"2"}', foreign),
        (b"\x00\x01", b"not JSON at all \xff\x00", own),
        (b"tombstone", None, foreign),
        (b"empty", b"", own),
    ]
    for key, value, headers in cases:
        redrive.topics.produce(redrive.deadletter, value, key, headers)
    _, summary = redrive.by_hand("--once")
    assert summary == {"moved": 6, "skipped": 0, "left": 0, "elsewhere": 0}
    key = lambda r: repr((r[0], r[1]))  # noqa: E731
    found = sorted(((r.key, r.value, r.header_list) for r in redrive.moved()), key=key)
    assert found == sorted(cases, key=key)


def test_redriver_never_repeats_a_header_of_ours(redrive):
    headers = [
        ("athena-attempt", b"1"), ("f", b"1"), ("athena-attempt", b"2"), ("athena-error", b"A"),
        ("f", b"2"), ("athena-error", b"B"),
    ]  # fmt: skip
    redrive.topics.produce(redrive.deadletter, letter(1), b"k", headers)
    redrive.by_hand("--once")
    (record,) = redrive.moved()
    assert collections.Counter(n for n, _ in record.header_list) == {
        "athena-attempt": 1, "athena-error": 1, "f": 2,
    }  # fmt: skip
    assert dict(record.header_list)["athena-attempt"] == b"2"
    assert [v for n, v in record.header_list if n == "f"] == [b"1", b"2"]


def test_redriver_names_a_query_without_a_name_once_and_for_all(redrive):
    """Its queryId would be derived from where a copy lies: two copies would be two queries."""
    redrive.topics.produce(redrive.deadletter, b'{"query":"SELECT 1","userId":"u"}')
    (line,), _ = redrive.by_hand("--dry-run")
    redrive.by_hand("--user", "u")
    redrive.by_hand("--once")
    copies = redrive.moved()
    assert len(copies) == 2
    assert {r.headers["athena-query-id"] for r in copies} == {line["queryId"]}


def test_redriver_moves_all_in_one_pass_and_commits(redrive):
    values = redrive.letters(5000, size=200)
    redrive.start({"REDRIVE_INTERVAL_MS": 86400000}).wait_ready()
    redrive.wait_lag(0)
    assert redrive.moved_values() == collections.Counter(values)
    assert sum(redrive.committed().values()) == 5000


def test_redriver_makes_a_pass_every_interval(redrive):
    program = redrive.start({"REDRIVE_INTERVAL_MS": 400}).wait_ready()
    for round_ in range(3):
        redrive.letters(10, first=10 * round_)
        redrive.wait_lag(0)
    assert redrive.topics.count(redrive.query) == 30
    assert program.metrics().sum("athena_query_redrive_passes_total") >= 3
    assert program.metrics().sum("athena_query_restarted_total") == 30


def test_redriver_creates_missing_topics(programs, kafka, topics, stage):
    redrive = Redrive(programs, kafka, topics, stage)
    redrive.start({"TOPIC_PARTITIONS": 2}).wait_ready()
    assert topics.partitions(redrive.deadletter) == 2
    redrive.letters(3)
    redrive.wait_moved(3)


# Where a pass ends --------------------------------------------------------------------------------


def test_redriver_does_not_chase_its_tail(redrive):
    """Throttled queries come back while a pass runs: it ends where the topic ended."""
    redrive.letters(3000, size=100)
    stop, written = threading.Event(), []

    def come_back():
        writer = type(redrive.topics)(redrive.topics.bootstrap)
        while not stop.is_set():
            pairs = [(b"k", letter(10**6 + len(written) + i, 100)) for i in range(200)]
            written.extend(writer.produce_all(redrive.deadletter, pairs))
        writer.close()

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        _, summary = redrive.by_hand("--once", env={"REDRIVE_RATE": 2000}, timeout=60)
    finally:
        stop.set()
        thread.join()
    assert summary["moved"] >= 3000 and summary["left"] == 0
    total = 3000 + len(written)
    assert summary["moved"] < total, "what came while the pass ran is for the next"
    assert redrive.topics.count(redrive.query) == summary["moved"]
    assert redrive.lag() == total - summary["moved"]


def test_redriver_leaves_the_young_for_later(redrive):
    now = int(time.time() * 1000)
    young = redrive.letters(3, first=0, partition=0, timestamp_ms=now)
    old = redrive.letters(4, first=10, partition=0, timestamp_ms=now - 3600000)
    newer = redrive.letters(2, first=20, partition=0, timestamp_ms=now)
    env = {"REDRIVE_MIN_AGE_MS": 600000}
    _, summary = redrive.by_hand("--once", env=env)
    assert summary == {"moved": 4, "skipped": 5, "left": 0, "elsewhere": 0}
    assert redrive.moved_values() == collections.Counter(old)
    _, summary = redrive.by_hand("--once", env=env)
    assert summary["moved"] == 0 and summary["skipped"] == 5, "the old ones are not moved again"
    _, summary = redrive.by_hand("--once")
    assert summary == {"moved": 5, "skipped": 0, "left": 0, "elsewhere": 0}
    assert redrive.moved_values() == collections.Counter(old + young + newer)


def test_redriver_moves_the_young_when_they_are_old_enough(redrive):
    begun = time.time()
    redrive.letters(5)
    program = redrive.start({"REDRIVE_MIN_AGE_MS": 2500}).wait_ready()
    wait_until(lambda: program.metrics().sum("athena_query_redrive_skipped_total") >= 5,
               what="a pass that finds them too young")  # fmt: skip
    assert program.metrics().sum("athena_query_deadletter_oldest_seconds") > 0
    redrive.wait_moved(5)
    assert time.time() - begun >= 2.5
    redrive.wait_lag(0)
    assert redrive.topics.count(redrive.query) == 5


def test_redriver_moves_no_more_than_its_limit_a_pass(redrive):
    redrive.letters(50)
    env = {"REDRIVE_MAX_PER_PASS": 20}
    for moved, left in ((20, 30), (20, 10), (10, 0), (0, 0)):
        _, summary = redrive.by_hand("--once", env=env)
        assert (summary["moved"], summary["left"]) == (moved, left)
        assert redrive.lag() == left
    assert redrive.topics.count(redrive.query) == 50


def test_redriver_limits_every_pass_of_the_service(redrive):
    redrive.letters(50)
    program = redrive.start({"REDRIVE_MAX_PER_PASS": 20})
    program.wait_log("pass over moved=20 skipped=0 left=30")
    program.wait_log("pass over moved=20 skipped=0 left=10")
    program.wait_log("pass over moved=10 skipped=0 left=0")
    redrive.wait_lag(0)
    assert redrive.topics.count(redrive.query) == 50
    assert program.metrics().sum("athena_query_redrive_passes_total") >= 3


def test_redriver_keeps_the_rate(redrive):
    redrive.letters(60)
    program = redrive.start({"REDRIVE_RATE": 20, "REDRIVE_INTERVAL_MS": 86400000})
    redrive.wait_moved(1)
    begun = time.monotonic()
    redrive.wait_moved(50)
    assert time.monotonic() - begun > 1.7
    redrive.wait_lag(0)
    assert program.metrics().sum("athena_query_redrive_passes_total") == 1


# Nothing is lost ----------------------------------------------------------------------------------


def test_redriver_killed_in_a_pass_loses_nothing(redrive):
    values = redrive.letters(4000, size=100)
    program = redrive.start({"REDRIVE_RATE": 2000}, label="first")
    for n in (500, 1500):
        redrive.wait_moved(n)
        program.kill()
        assert redrive.lag() > 0
        # What is committed is in the query topic.
        moved = redrive.moved_values()
        done = redrive.committed()
        for record in redrive.topics.read(redrive.deadletter):
            if record.offset < done.get(record.partition, 0):
                assert record.value in moved
        program.start()
    program.kill()
    redrive.start(label="last")
    redrive.wait_lag(0, timeout=40)
    moved = redrive.moved_values()
    assert set(moved) == set(values)
    assert sum(moved.values()) < 2 * len(values), "only what was not committed is repeated"


def test_redriver_stops_within_a_pass_and_goes_on_after(redrive):
    values = redrive.letters(3000)
    program = redrive.start({"REDRIVE_RATE": 1000, "DRAIN_TIMEOUT_MS": 5000})
    redrive.wait_moved(300)
    program.stop()
    moved = redrive.topics.count(redrive.query)
    assert 300 <= moved < 3000
    assert redrive.lag() == 3000 - moved, "what was acknowledged is committed"
    assert redrive.topics.members(redrive.group) == {}, "it left the group"
    program.env["REDRIVE_RATE"] = 0
    program.start()
    redrive.wait_lag(0)
    assert redrive.moved_values() == collections.Counter(values), "none twice"


@pytest.mark.timeout(240)
def test_redriver_waits_for_a_broker_that_was_killed(own_redrive):
    redrive = own_redrive
    values = redrive.letters(4000, size=100)
    program = redrive.start({"REDRIVE_RATE": 1000})
    redrive.wait_moved(500)
    redrive.broker.kill()
    program.wait_log("(?i)brokers? (are )?down|refused")
    stays(lambda: program.running, 2, "it runs on without a broker")
    redrive.broker.start()
    redrive.wait_lag(0, timeout=90)
    assert set(redrive.moved_values()) == set(values)
    program.wait_ready()


@pytest.mark.timeout(240)
def test_redriver_by_hand_waits_for_the_broker(own_redrive):
    redrive = own_redrive
    redrive.letters(10)
    redrive.broker.kill()
    program = redrive.start(args=["--once"], env={"ADMIN_LISTEN": ""})
    program.wait_log("not ready: no broker reached")
    redrive.broker.start()
    assert program.wait(60) == 0, program.log_tail()
    summary = json.loads(program.out_path.read_text().splitlines()[-1])
    assert summary == {"moved": 10, "skipped": 0, "left": 0, "elsewhere": 0}


def test_redriver_stops_while_it_waits_for_the_broker(programs, topics, stage):
    class Nowhere:
        bootstrap = "127.0.0.1:1"

    redrive = Redrive(programs, Nowhere, topics, stage)
    program = redrive.start()
    program.wait_log("not ready")
    assert not program.ready()
    program.stop()


def test_redriver_keeps_a_letter_that_the_query_topic_does_not_take(programs, kafka, topics, stage):
    redrive = Redrive(programs, kafka, topics, stage)
    topics.create(redrive.query, 1, {"max.message.bytes": "2000"})
    topics.create(redrive.deadletter, 1)
    topics.create(redrive.rejected, 1)
    topics.create(redrive.status, 1)
    redrive.letters(2)
    redrive.letters(1, first=10, size=5000)
    redrive.letters(2, first=20)
    _, summary = redrive.by_hand("--once")
    assert summary == {"moved": 4, "skipped": 0, "left": 1, "elsewhere": 0}
    _, summary = redrive.by_hand("--once")
    assert summary == {"moved": 0, "skipped": 0, "left": 1, "elsewhere": 0}
    assert topics.count(redrive.query) == 4
    assert redrive.committed()[0] == 2, "not committed beyond it"


# More than one ------------------------------------------------------------------------------------


def test_redriver_two_share_the_partitions(redrive):
    first = redrive.start().wait_ready()
    second = redrive.start().wait_ready()
    redrive.topics.wait_members(redrive.group, 2)
    values = redrive.letters(600)
    redrive.wait_lag(0)
    assert redrive.moved_values() == collections.Counter(values)
    count = [p.metrics().sum("athena_query_restarted_total") for p in (first, second)]
    assert all(count) and sum(count) == 600
    second.stop()
    more = redrive.letters(300, first=1000)
    redrive.wait_lag(0)
    assert redrive.moved_values() == collections.Counter(values + more)


def test_redriver_hands_over_in_the_middle_of_a_pass(redrive):
    values = redrive.letters(3000)
    redrive.start({"REDRIVE_RATE": 500, "REDRIVE_INTERVAL_MS": 86400000})
    redrive.wait_moved(300)
    redrive.start({"REDRIVE_INTERVAL_MS": 86400000})
    redrive.topics.wait_members(redrive.group, 2)
    redrive.wait_lag(0, timeout=40)
    moved = redrive.moved_values()
    assert set(moved) == set(values)
    assert sum(moved.values()) == len(values), "what was in flight was waited for and committed"


def test_redriver_once_leaves_a_running_one_its_partitions(redrive):
    redrive.start({"REDRIVE_INTERVAL_MS": 86400000}).wait_ready()
    redrive.topics.wait_members(redrive.group, 1)
    values = redrive.letters(300)
    _, summary = redrive.by_hand("--once")
    assert 0 < summary["elsewhere"] < 3
    assert summary["skipped"] == summary["left"] == 0
    here = summary["moved"]
    assert 0 < here < 300
    # The rest is the running one's, at its next pass.
    assert redrive.lag() == 300 - here
    _, summary = redrive.by_hand("--user", "u1")
    assert summary["skipped"] == 300 - here - summary["moved"]
    assert set(redrive.moved_values()) <= set(values)


# By hand ------------------------------------------------------------------------------------------


def test_redriver_dry_run_tells_and_does_nothing(redrive):
    now = int(time.time() * 1000)
    headers = [("athena-attempt", b"4"), ("athena-error", b"TooManyRequestsException")]
    value = letter(1, user="ann")
    places = [redrive.topics.produce(redrive.deadletter, value, b"ann", headers, 0, now - 5000)]
    places.append(redrive.topics.produce(redrive.deadletter, b"no JSON", None, None, 1))
    places.append(
        redrive.topics.produce(redrive.deadletter, b'{"query":"x"}', None,
                               [("athena-query-id", b"named")], 2)  # fmt: skip
    )
    lines, summary = redrive.by_hand("--dry-run")
    assert summary == {"moved": 3, "skipped": 0, "left": 0}
    lines.sort(key=lambda line: line["partition"])
    assert [(line["partition"], line["offset"]) for line in lines] == places
    assert all(
        list(line) == ["partition", "offset", "userId", "queryId", "attempt", "ageMs", "error"]
        for line in lines
    )
    first, second, third = lines
    assert (first["userId"], first["queryId"], first["attempt"]) == ("ann", "q1", 4)
    assert first["error"] == "TooManyRequestsException"
    assert 5000 <= first["ageMs"] < 65000
    assert second["userId"] is None and second["queryId"] and second["error"] is None
    assert (third["userId"], third["queryId"], third["attempt"]) == (None, "named", 0)
    assert redrive.topics.count(redrive.query) == 0
    assert redrive.committed() == {}
    assert redrive.topics.members(redrive.group) == {}


def test_redriver_dry_run_begins_where_the_group_is(redrive):
    redrive.letters(10)
    redrive.by_hand("--once")
    redrive.letters(3, first=100)
    lines, summary = redrive.by_hand("--dry-run")
    assert summary["moved"] == 3
    assert {line["queryId"] for line in lines} == {"q100", "q101", "q102"}
    lines, summary = redrive.by_hand("--dry-run", "--limit", "2")
    assert (len(lines), summary) == (2, {"moved": 2, "skipped": 0, "left": 1})
    lines, summary = redrive.by_hand("--once", "--dry-run", "--query-id=q101")
    assert [line["queryId"] for line in lines] == ["q101"]
    assert (summary["moved"], summary["skipped"], summary["left"]) == (1, 2, 0)


def test_redriver_copies_what_is_chosen_and_commits_nothing(redrive):
    values = redrive.letters(70)
    chosen = [v for i, v in enumerate(values) if i % 7 == 3]
    _, summary = redrive.by_hand("--user", "u3")
    assert summary == {"moved": 10, "skipped": 60, "left": 0}
    assert redrive.moved_values() == collections.Counter(chosen)
    assert redrive.committed() == {}
    _, summary = redrive.by_hand("--query-id", "q12")
    assert summary == {"moved": 1, "skipped": 69, "left": 0}
    _, summary = redrive.by_hand("--query-id", "q12", "--user", "u3")
    assert summary == {"moved": 0, "skipped": 70, "left": 0}
    _, summary = redrive.by_hand("--user=u3", "--limit=4")
    assert summary == {"moved": 4, "skipped": 60, "left": 6}
    _, summary = redrive.by_hand("--once")
    assert summary["moved"] == 70, "they move again in the next full pass"
    assert redrive.lag() == 0


def test_redriver_user_of_nobody(redrive):
    redrive.letters(5)
    for body in (b'{"query":"x","queryId":"a"}', b'{"query":"x","queryId":"b","userId":null}',
                 b'{"query":"x","queryId":"c","userId":""}'):  # fmt: skip
        redrive.topics.produce(redrive.deadletter, body)
    lines, summary = redrive.by_hand("--dry-run", "--user", "")
    assert summary == {"moved": 3, "skipped": 5, "left": 0}
    assert sorted(line["queryId"] for line in lines) == ["a", "b", "c"]


def test_redriver_filters_while_another_runs(redrive):
    """They need no partitions of the group."""
    redrive.start({"REDRIVE_INTERVAL_MS": 86400000}).wait_ready()
    redrive.topics.wait_members(redrive.group, 1)
    redrive.letters(14)
    _, summary = redrive.by_hand("--user", "u1")
    assert summary == {"moved": 2, "skipped": 12, "left": 0}
    _, summary = redrive.by_hand("--once", "--user", "u1")
    assert summary == {"moved": 2, "skipped": 12, "left": 0, "elsewhere": 0}
    assert redrive.lag() == 14


def test_redriver_limit(redrive):
    redrive.letters(30)
    _, summary = redrive.by_hand("--limit", "12")
    assert summary == {"moved": 12, "skipped": 0, "left": 18}
    assert redrive.lag() == 18, "what moved is committed"
    _, summary = redrive.by_hand("--once", "--limit", "100")
    assert summary == {"moved": 18, "skipped": 0, "left": 0, "elsewhere": 0}
    assert redrive.topics.count(redrive.query) == 30


def test_redriver_copies_rejected_records(redrive):
    headers = [("athena-error", b"InvalidRequestException"), ("f", b"1")]
    values = [letter(i) for i in range(5)]
    redrive.topics.produce_all(redrive.rejected, [(b"k", v) for v in values], headers)
    redrive.letters(3, first=50)
    lines, _ = redrive.by_hand("--from", "rejected", "--dry-run")
    assert {line["queryId"] for line in lines} == {f"q{i}" for i in range(5)}
    assert {line["error"] for line in lines} == {"InvalidRequestException"}
    _, summary = redrive.by_hand("--from", "rejected", "--query-id", "q2")
    assert summary == {"moved": 1, "skipped": 4, "left": 0}
    (record,) = redrive.moved()
    assert (record.key, record.value, record.header_list) == (b"k", values[2], headers)
    for _ in range(2):  # nothing is committed: all of them again
        _, summary = redrive.by_hand("--from=rejected", "--limit", "4")
        assert summary == {"moved": 4, "skipped": 0, "left": 1}
    assert redrive.committed() == {}


def test_redriver_from_deadletter_is_one_pass(redrive):
    redrive.letters(4)
    _, summary = redrive.by_hand("--from", "deadletter")
    assert summary == {"moved": 4, "skipped": 0, "left": 0}
    assert redrive.lag() == 0


def test_redriver_by_hand_with_nothing_there(redrive):
    assert redrive.by_hand("--once") == ([], {"moved": 0, "skipped": 0, "left": 0, "elsewhere": 0})
    assert redrive.by_hand("--dry-run") == ([], {"moved": 0, "skipped": 0, "left": 0})
    assert redrive.by_hand("--from", "rejected") == ([], {"moved": 0, "skipped": 0, "left": 0})


def test_redriver_stopped_by_hand_tells_what_is_left(redrive):
    redrive.letters(2000)
    program = redrive.start({"REDRIVE_RATE": 400, "ADMIN_LISTEN": ""}, ["--once"])
    redrive.wait_moved(100)
    program.stop()
    (line,) = program.out_path.read_text().splitlines()
    summary = json.loads(line)
    assert summary["moved"] == redrive.topics.count(redrive.query) >= 100
    assert summary["moved"] + summary["left"] == 2000
    assert redrive.lag() == summary["left"]


# What it says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, env, fault",
    [
        (["--limit", "0"], {}, "--limit"),
        (["--limit", "x"], {}, "--limit"),
        (["--from", "elsewhere"], {}, "--from"),
        (["--query-id", ""], {}, "--query-id"),
        ([], {"REDRIVE_INTERVAL_MS": "0"}, "REDRIVE_INTERVAL_MS"),
        ([], {"REDRIVE_MIN_AGE_MS": "-1"}, "REDRIVE_MIN_AGE_MS"),
        ([], {"REDRIVE_MAX_PER_PASS": "many"}, "REDRIVE_MAX_PER_PASS"),
        ([], {"REDRIVE_RATE": "1.5"}, "REDRIVE_RATE"),
        ([], {"CLOUDWATCH_METRICS": "perhaps"}, "CLOUDWATCH_METRICS"),
    ],
)
def test_redriver_reports_faults(args, env, fault):
    done = run_program(NAME, [*args, "--check-config"], env)
    assert done.returncode == 100
    assert fault in done.stderr
    assert done.stdout == ""


def test_redriver_metrics_and_readiness(redrive):
    redrive.letters(20)
    program = redrive.start({"REDRIVE_MAX_PER_PASS": 5, "REDRIVE_INTERVAL_MS": 86400000})
    program.wait_ready()
    redrive.wait_lag(15)
    metrics = wait_until(
        lambda: (m := program.metrics()).sum("athena_query_redrive_passes_total") == 1 and m,
        what="the end of the pass",
    )
    assert metrics.sum("athena_query_restarted_total") == 5
    assert metrics.sum("athena_query_redrive_left") == 15
    assert metrics.sum("athena_query_redrive_partitions") == 3
    assert metrics.sum("athena_query_redrive_pass_seconds_count") == 1
    assert metrics.sum("athena_query_redrive_failures_total") == 0
    wait_until(lambda: program.metrics().sum("athena_query_deadletter_waiting") == 15,
               what="the lag")  # fmt: skip


def test_redriver_counts_for_cloudwatch_by_database(redrive, sim):
    cloud = sim()
    for database in ("one", "one", "two", None):
        body = {"query": "SELECT 1", "queryId": f"{database}", "database": database}
        redrive.topics.produce(redrive.deadletter, json.dumps(body).encode())
    env = cloud.aws_env() | {"CLOUDWATCH_METRICS": "on", "ATHENA_DATABASE": "usual"}
    _, summary = redrive.by_hand("--once", env=env)
    assert summary["moved"] == 4
    counts = collections.Counter()
    for datum in requests.get(cloud.url + "/_metrics", timeout=10).json()["metrics"]:
        assert (datum["Namespace"], datum["MetricName"]) == ("AthenaQuery", "RestartQueryCount")
        (dimension,) = datum["Dimensions"]
        assert dimension["Name"] == "DATABASE"
        counts[dimension["Value"]] += datum["Value"]
    assert counts == {"one": 2, "two": 1, "usual": 1}


def test_limit_leaves_those_too_young_behind_it(redrive):
    """What the limit leaves is not committed over, whatever would have become of it."""
    now_ms = int(time.time() * 1000)
    old = redrive.letters(3, partition=0, timestamp_ms=now_ms - 3600_000)
    young = redrive.letters(1, first=3, partition=0, timestamp_ms=now_ms)
    redrive.by_hand("--once", "--limit", "1", env={"REDRIVE_MIN_AGE_MS": 600_000})
    redrive.by_hand("--once")
    assert redrive.moved_values() == collections.Counter(old + young)
