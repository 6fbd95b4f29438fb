"""Queries that are done with are deleted from the query topic, and no others."""

from harness.judge import body, burst, check_started_once, wait_all
from harness.wait import wait_until

ENV = {
    "TOPIC_PARTITIONS": 1, "KEEP_DONE_MS": 0,
    "KAFKA_SESSION_TIMEOUT_MS": 2500, "KAFKA_HEARTBEAT_INTERVAL_MS": 300,
}  # fmt: skip


def bounds(p):
    return p.topics.watermarks(p.query_topic)[0]


def test_a_query_that_runs_is_kept_with_all_behind_it(pipeline):
    p = pipeline(redrivers=0, env=ENV, executor_env={"POLL_INTERVAL_MS": 50})
    quick = burst(6)
    slow = {"slow": "SELECT 'slow' /* sim: ms=8000 */"}
    order = ["q0", "q1", "slow", "q2", "q3", "q4", "q5"]
    values = [body(q, (quick | slow)[q]) for q in order]
    p.topics.produce_all(p.query_topic, [(None, v) for v in values])
    wait_all(p, quick)
    wait_until(lambda: bounds(p) == (2, 7), what="the deletion of what is before the slow one")
    # Whoever takes over finds all that it needs.
    p.executors[0].kill()
    p.executors[0].start()
    wait_all(p, slow)
    wait_until(lambda: bounds(p) == (7, 7), what="an empty topic")
    check_started_once(p, [*quick.values(), *slow.values()])
    # And goes on from there.
    p.post({"userId": "u", "queryId": "last", "query": "SELECT 'last'"})
    wait_all(p, ["last"])
    wait_until(lambda: bounds(p) == (8, 8), what="an empty topic again")
