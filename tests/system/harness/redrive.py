"""A redriver and the topics it works on."""

import collections
import contextlib
import json

from confluent_kafka import Consumer, KafkaException, TopicPartition

from harness.program import run_program
from harness.wait import wait_until

NAME = "athena-query-redriver"
NAMES = ("athena-query", "athena-query-deadletter", "athena-query-rejected", "athena-query-status")


class Redrive:
    """The topics of one stage, and redrivers on them."""

    def __init__(self, programs, broker, topics, stage):
        self.programs = programs
        self.broker = broker
        self.topics = topics
        self.stage = stage
        self.query, self.deadletter, self.rejected, self.status = (f"{n}-{stage}" for n in NAMES)
        self.group = f"athena-query-redriver-{stage}"

    def create(self, partitions=3):
        for name in (self.query, self.deadletter, self.rejected):
            self.topics.create(name, partitions)
        self.topics.create(self.status, partitions, {"cleanup.policy": "compact"})
        return self

    def env(self, more=None):
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap,
            "STAGE": self.stage,
            "KAFKA_SESSION_TIMEOUT_MS": 6000,
            "KAFKA_HEARTBEAT_INTERVAL_MS": 300,
        } | (more or {})

    def start(self, env=None, args=(), label=None):
        own = {"REDRIVE_INTERVAL_MS": 300, "ADMIN_LISTEN": "127.0.0.1:0"}
        return self.programs(NAME, self.env(own | (env or {})), args, label)

    def by_hand(self, *args, env=None, timeout=60):
        """Its lines as objects, and the last one."""
        done = run_program(NAME, args, self.env(env), timeout)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        return lines[:-1], lines[-1]

    def letters(self, n, first=0, size=0, **how):
        """Puts n dead letters there; returns their values."""
        values = [letter(i, size) for i in range(first, first + n)]
        pairs = [(f"u{i % 7}".encode(), v) for i, v in enumerate(values, first)]
        self.topics.produce_all(self.deadletter, pairs, **how)
        return values

    def moved(self):
        return self.topics.read(self.query)

    def moved_values(self):
        return collections.Counter(r.value for r in self.moved())

    def committed(self):
        """{partition: offset}. Not by the admin client: it reads metadata beyond their end."""
        consumer = Consumer(self.topics.common | {"group.id": self.group})
        try:
            all_ = range(self.topics.partitions(self.deadletter))
            asked = [TopicPartition(self.deadletter, p) for p in all_]
            return {p.partition: p.offset for p in consumer.committed(asked, 10) if p.offset >= 0}
        finally:
            consumer.close()

    def lag(self):
        done = self.committed()
        marks = self.topics.watermarks(self.deadletter)
        return sum(high - max(low, done.get(p, 0)) for p, (low, high) in marks.items())

    def wait_lag(self, n=0, timeout=30):
        last = []

        def look():
            with contextlib.suppress(KafkaException):  # a coordinator that is not there yet
                last[:] = [self.lag()]
                return last == [n]

        wait_until(look, timeout, lambda: f"a lag of {n}, it is {last}", interval=0.1)

    def wait_moved(self, n, timeout=30):
        def look():
            return self.topics.count(self.query) >= n

        wait_until(look, timeout, lambda: f"{n} moved, it is {self.topics.count(self.query)}",
                   interval=0.1)  # fmt: skip


def letter(i, size=0, user=None):
    user = f"u{i % 7}" if user is None else user
    body = {"query": f"SELECT {i}", "queryId": f"q{i}", "userId": user}
    if size:
        body["pad"] = "x" * size
    return json.dumps(body).encode()
