"""Looks into Kafka, and things put there, with clients that are not the project's."""

import contextlib
import dataclasses
import socket
import struct
import subprocess

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness.kafka import environment, java
from harness.wait import SLOWNESS, wait_until


@dataclasses.dataclass
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    header_list: list  # of (name, bytes), in order
    timestamp_ms: int

    @property
    def headers(self):
        """name → text; fails where one is repeated, which none of the project's may be."""
        names = [n for n, _ in self.header_list]
        assert len(names) == len(set(names)), f"a header twice: {names}"
        return {n: v.decode() if v is not None else None for n, v in self.header_list}


def offset_fetch(bootstrap, group):
    """(error code, {topic: {partition: (offset, metadata)}}), of the group's coordinator.

    Of several brokers each is asked: only the coordinator answers without an error.
    """
    answer = None
    for address in bootstrap.split(","):
        try:
            answer = offset_fetch_of(address, group)
        except OSError:
            if "," not in bootstrap:
                raise
            continue
        if answer[0] == 0:
            return answer
    return answer or (-1, {})


def offset_fetch_of(address, group):
    """The same of one broker. By hand, OffsetFetch version 5: the Python client reads metadata
    beyond its end."""
    name = group.encode()
    body = struct.pack(">hhih", 9, 5, 1, -1) + struct.pack(">h", len(name)) + name
    body += struct.pack(">i", -1)  # all topics
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(struct.pack(">i", len(body)) + body)
        stream = s.makefile("rb")

        def take(kind):
            return struct.unpack(">" + kind, stream.read(struct.calcsize(">" + kind)))

        def text():
            (n,) = take("h")
            return stream.read(n).decode() if n > 0 else ""

        take("iii")  # length, correlation, throttle time
        topics = {}
        for _ in range(take("i")[0]):
            partitions = topics.setdefault(text(), {})
            for _ in range(take("i")[0]):
                partition, offset, _ = take("iqi")
                metadata = text()
                (error,) = take("h")
                assert error == 0, f"error {error} for partition {partition}"
                if offset >= 0:
                    partitions[partition] = (offset, metadata)
        return take("h")[0], topics


class Topics:
    """One broker, or a cluster, seen from outside. Close it."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.common = {
            "bootstrap.servers": bootstrap, "reconnect.backoff.max.ms": 200, "log_level": 0,
        }  # fmt: skip
        self.admin = AdminClient(self.common)
        self._producer = None

    def close(self):
        if self._producer:
            self._producer.flush(5)
            self._producer = None

    # Topics ---------------------------------------------------------------------------------

    def create(self, name, partitions=1, config=None):
        topic = NewTopic(name, partitions, 1, config=config or {})
        self.admin.create_topics([topic])[name].result(10)
        wait_until(lambda: self.partitions(name) == partitions, 10, f"topic {name}")

    def partitions(self, name):
        """How many it has; 0 where it does not exist."""
        found = self.admin.list_topics(name, timeout=10).topics.get(name)
        return len(found.partitions) if found and not found.error else 0

    def names(self):
        return set(self.admin.list_topics(timeout=10).topics)

    def delete(self, *names):
        """Asks for it; a topic is gone some time later."""
        if names:
            for done in self.admin.delete_topics(list(names)).values():
                with contextlib.suppress(KafkaException):
                    done.result(10)

    # Records --------------------------------------------------------------------------------

    def produce(self, topic, value, key=None, headers=None, partition=-1, timestamp_ms=0):
        """One record; returns (partition, offset) once the broker has it."""
        return self.produce_all(topic, [(key, value)], headers, partition, timestamp_ms)[0]

    def produce_all(self, topic, pairs, headers=None, partition=-1, timestamp_ms=0):
        """(key, value) pairs; returns their (partition, offset)s in the same order."""
        if not self._producer:
            self._producer = Producer(
                self.common
                | {"acks": "all", "linger.ms": 1, "topic.metadata.propagation.max.ms": 2000}
                | {"message.max.bytes": 2162688}
            )
        places, errors = {}, []

        def report(i):
            def done(error, message):
                if error:
                    errors.append(error)
                else:
                    places[i] = (message.partition(), message.offset())

            return done

        for i, (key, value) in enumerate(pairs):
            extra = {"partition": partition} if partition >= 0 else {}
            while True:
                try:
                    self._producer.produce(
                        topic, value, key, headers=headers, timestamp=timestamp_ms,
                        on_delivery=report(i), **extra,
                    )  # fmt: skip
                    break
                except BufferError:
                    self._producer.poll(0.1)
        self._producer.flush(30)
        assert not errors, errors
        assert len(places) == len(pairs), f"{len(places)} of {len(pairs)} records acknowledged"
        return [places[i] for i in range(len(pairs))]

    def read(self, topic):
        """All records of a topic that were there when this was called, by partition and offset."""
        consumer = Consumer(
            self.common
            | {
                "group.id": "harness-reads-without-a-group",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": False,
                "fetch.wait.max.ms": 20,
            }
        )
        try:
            ends = {}
            for p in range(self.partitions(topic)):
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
                if high > low:
                    ends[p] = high
            consumer.assign([TopicPartition(topic, p, 0) for p in ends])
            records, waiting = [], set(ends)

            def at_end():
                for message in consumer.consume(1000, 0.05):
                    if message.error():
                        raise KafkaException(message.error())
                    if message.offset() < ends[message.partition()]:
                        records.append(
                            Record(
                                topic, message.partition(), message.offset(), message.key(),
                                message.value(), message.headers() or [], message.timestamp()[1],
                            )
                        )  # fmt: skip
                # By position: where compaction took the last records, none comes with that offset.
                for place in consumer.position([TopicPartition(topic, p) for p in waiting]):
                    if place.offset >= ends[place.partition]:
                        waiting.discard(place.partition)
                return not waiting

            wait_until(at_end, 30, f"the end of {topic}", interval=0)
            return sorted(records, key=lambda r: (r.partition, r.offset))
        finally:
            consumer.close()

    def count(self, topic):
        """Records in the topic, by watermarks."""
        return sum(high - low for low, high in self.watermarks(topic).values())

    def watermarks(self, topic):
        """{partition: (low, high)}"""
        consumer = Consumer(self.common | {"group.id": "harness-reads-without-a-group"})
        try:
            return {
                p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
                for p in range(self.partitions(topic))
            }
        finally:
            consumer.close()

    # Groups ---------------------------------------------------------------------------------

    def committed(self, group, topic):
        """{partition: (offset, metadata)} of what the group has committed; without a commit none."""
        found = {}

        def look():
            error, topics = offset_fetch(self.bootstrap, group)
            found.update(topics.get(topic, {}))
            return error == 0  # else its coordinator is not up yet

        wait_until(look, 10, f"the offsets of {group}")
        return found

    def lag(self, group, topic):
        """Records behind what the group has committed."""
        done = self.committed(group, topic)
        return sum(
            high - max(low, done.get(p, (0, ""))[0])
            for p, (low, high) in self.watermarks(topic).items()
        )

    def members(self, group):
        """{client id or member id: number of partitions} of a group."""
        answer = self.admin.describe_consumer_groups([group])[group].result(10)
        return {
            m.member_id: len(m.assignment.topic_partitions) if m.assignment else 0
            for m in answer.members
        }

    def wait_members(self, group, n, timeout=20):
        """Waits until the group has n members and each of them has partitions."""

        def look():
            try:
                counts = list(self.members(group).values())
            except KafkaException:
                return False
            return len(counts) == n and all(counts)

        wait_until(look, timeout, f"{n} members in {group}", interval=0.1)

    # Kafka's own tools ----------------------------------------------------------------------

    def console_producer(self, topic, lines, *args):
        """kafka-console-producer with these lines (without newlines) on its stdin."""
        self.tool(
            "org.apache.kafka.tools.ConsoleProducer", "--topic", topic, *args,
            input=b"".join(line + b"\n" for line in lines),
        )  # fmt: skip

    def tool(self, main, *args, input=b"", timeout=60):
        """One of Kafka's console tools, against this broker; returns its stdout."""
        done = subprocess.run(
            java(main, "--bootstrap-server", self.bootstrap, *args,
                 heap="256m", options=["-XX:TieredStopAtLevel=1", "-Dkafka.log.level=WARN"]),
            input=input, capture_output=True, env=environment(), timeout=timeout * SLOWNESS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()
