"""What is measured: the programs of one stage on a real Kafka, and the stand-in behind them."""

import contextlib
import http.client
import json
import threading
import time
import uuid

from confluent_kafka import KafkaException, Producer

from harness.program import Program
from harness.sim import Sim
from harness.topics import Topics
from harness.wait import wait_until


class Stand:
    """All defaults but REDRIVE_INTERVAL_MS. A context manager: its end ends all that it started."""

    def __init__(
        self, directory, kafka, sim_env, executors=1, redrive_ms=60000, executor_env=None
    ):
        directory.mkdir(parents=True)
        self.directory = directory
        self.stage = "b" + uuid.uuid4().hex[:8]
        self.kafka = kafka
        self.topics = Topics(kafka.bootstrap)
        self.sim = Sim(directory, sim_env)
        self.counts = (executors, redrive_ms)
        self.executor_env = executor_env or {}
        self.programs = [self.sim]
        self.executors = []

    def name(self, base):
        return f"athena-query{base}-{self.stage}"

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        executors, redrive_ms = self.counts
        self.sim.start()
        aws = self.sim.aws_env() | {"ATHENA_OUTPUT_LOCATION": "s3://results/"}
        self.receiver = self.add("receiver", {"LISTEN": "127.0.0.1:0"})
        for i in range(executors):
            label = f"executor-{i}"
            self.executors.append(self.add("executor", aws | {"KAFKA_CLIENT_ID": label} | self.executor_env, label))
        self.redriver = self.add("redriver", aws | {"REDRIVE_INTERVAL_MS": redrive_ms})
        for program in self.programs[1:]:
            program.wait_ready(60)
        if executors:
            wait_until(self.all_owned, 60, "every executor to have partitions", interval=0.2)

    def add(self, kind, env, label=None):
        common = {
            "STAGE": self.stage,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "ADMIN_LISTEN": "127.0.0.1:0",
        }
        label = label or kind
        program = Program(f"athena-query-{kind}", common | env, [], self.directory / label, label)
        self.programs.append(program.start())
        return program

    def stop(self):
        self.topics.close()
        for program in reversed(self.programs):
            program.ask_to_stop()
        for program in reversed(self.programs):
            trouble = program.finish()
            if trouble:
                print(trouble, flush=True)

    # Kafka --------------------------------------------------------------------------------------

    def owners(self):
        """{executor's number: its partitions of the query topic}, as the group has them now."""
        group, topic = self.name("-executor"), self.name("")
        found = {}
        answer = self.topics.admin.describe_consumer_groups([group])[group].result(10)
        for member in answer.members:
            places = member.assignment.topic_partitions if member.assignment else []
            number = int(member.client_id.rsplit("-", 1)[1])
            found[number] = sorted(p.partition for p in places if p.topic == topic)
        return found

    def all_owned(self):
        with contextlib.suppress(KafkaException):
            owned = self.owners()
            count = sum(map(len, owned.values()))
            return (
                len(owned) == len(self.executors)
                and all(owned.values())
                and count == self.topics.partitions(self.name(""))
            )
        return False

    def inject(self, records):
        """[(partition, value)] into the query topic, in this order."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "acks": "all"})
        errors = []

        def report(error, _):
            if error:
                errors.append(error)

        for partition, value in records:
            producer.produce(self.name(""), value, partition=partition, on_delivery=report)
        left = producer.flush(30)
        assert not errors and not left, f"{left} records not taken: {errors[:3]}"

    def post(self, bodies):
        """Through the receiver, by eight clients."""
        host, troubles = self.receiver.address, []

        def some(first):
            connection = http.client.HTTPConnection(host, timeout=30)
            with contextlib.closing(connection):
                for body in bodies[first::8]:
                    connection.request("POST", "/athena/query", body)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 202:
                        troubles.append(answer.status)

        threads = [threading.Thread(target=some, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not troubles, f"not accepted: {troubles[:3]}"

    def dead_lettered(self):
        """The ids of all queries that were ever in the dead-letter topic, and how many letters."""
        letters = self.topics.read(self.name("-deadletter"))
        return {json.loads(r.value)["queryId"] for r in letters}, len(letters)

    def all_committed(self):
        return self.topics.lag(self.name("-executor"), self.name("")) == 0


def clock():
    """The clock of the sim's stamps."""
    return time.time()


def table(rows):
    heads = list(rows[0])
    widths = [max(len(h), *(len(str(r[h])) for r in rows)) for h in heads]
    for line in [heads] + [[str(r[h]) for h in heads] for r in rows]:
        first, *others = zip(line, widths)
        print("  ".join([first[0].ljust(first[1])] + [t.rjust(w) for t, w in others]), flush=True)
