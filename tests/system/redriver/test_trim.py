"""Dead letters that are done with are deleted from their topic, and no others."""

import time

from harness.redrive import Redrive
from harness.wait import stays, wait_until

HOUR_MS = 3600_000


def lows(redrive):
    return {p: low for p, (low, _) in redrive.topics.watermarks(redrive.deadletter).items()}


def ends(redrive):
    return {p: high for p, (_, high) in redrive.topics.watermarks(redrive.deadletter).items()}


def test_at_once_nothing_that_is_done_with_stays(redrive):
    program = redrive.start({"KEEP_DONE_MS": 0}).wait_ready()
    for round_ in range(2):
        redrive.letters(60, first=100 * round_)
        redrive.wait_lag(0)
        wait_until(lambda: lows(redrive) == ends(redrive), what="an empty topic")
    assert redrive.topics.count(redrive.query) == 120
    assert program.metrics().sum("athena_query_deadletter_deleted_total") == 120
    assert redrive.lag() == 0


def test_what_is_not_done_with_is_never_deleted(redrive):
    old = redrive.letters(5, partition=0, timestamp_ms=int(time.time() * 1000) - HOUR_MS)
    young = redrive.letters(4, first=10, partition=0)
    redrive.letters(3, first=20, partition=0, timestamp_ms=int(time.time() * 1000) - HOUR_MS)
    redrive.start({"KEEP_DONE_MS": 0, "REDRIVE_MIN_AGE_MS": HOUR_MS // 2}).wait_ready()
    redrive.wait_moved(8)
    wait_until(lambda: lows(redrive)[0] == 5, what="the deletion of what was moved first")
    stays(lambda: lows(redrive)[0] == 5, 3, "the young ones hold back what follows them")
    left = {r.value for r in redrive.topics.read(redrive.deadletter)}
    assert set(young) <= left and not set(old) & left


def test_what_is_younger_than_its_time_is_kept_also_after_a_restart(redrive):
    now_ms = int(time.time() * 1000)
    redrive.letters(5, partition=0, timestamp_ms=now_ms - 2 * HOUR_MS)
    redrive.letters(4, first=10, partition=0, timestamp_ms=now_ms - HOUR_MS // 2)
    redrive.letters(3, first=20, partition=1, timestamp_ms=now_ms - 2 * HOUR_MS)
    first = redrive.start({"KEEP_DONE_MS": -1}).wait_ready()
    redrive.wait_lag(0)
    stays(lambda: set(lows(redrive).values()) == {0}, 2, "kept for ever")
    first.stop()
    redrive.start({"KEEP_DONE_MS": HOUR_MS}, label="second").wait_ready()
    wait_until(lambda: lows(redrive) == {0: 5, 1: 3, 2: 0}, what="the old ones deleted")


def test_a_broker_that_refuses_is_logged_once(programs, kafka, topics, stage):
    """DeleteRecords needs `delete` among the topic's policies."""
    redrive = Redrive(programs, kafka, topics, stage).create()
    topics.delete(redrive.deadletter)
    wait_until(lambda: not topics.partitions(redrive.deadletter), what="the topic gone")
    topics.create(redrive.deadletter, 3, {"cleanup.policy": "compact"})
    program = redrive.start({"KEEP_DONE_MS": 0, "ALLOW_UNSAFE_TOPICS": "true"}).wait_ready()
    redrive.letters(20)
    redrive.wait_lag(0)
    program.wait_log("cannot be deleted from .*-deadletter")
    stays(lambda: program.log().count("cannot be deleted from") == 1, 4, "logged once")
