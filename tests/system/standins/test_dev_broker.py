"""dev-broker: a Kafka to try things out with."""

import signal

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from harness.program import run_program
from harness.wait import wait_until

TOPICS = ["athena-query", "athena-query-deadletter", "athena-query-rejected", "athena-query-status"]


def start(programs, tmp_path, env=None):
    """(the program, its address)"""
    path = tmp_path / "bootstrap"
    program = programs("dev-broker", env, ["--bootstrap-file", path])
    wait_until(path.exists, 20, lambda: "the address:\n" + program.log_tail())
    return program, path.read_text().strip()


def partitions(bootstrap):
    found = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=20).topics
    return {name: len(topic.partitions) for name, topic in found.items()}


def test_topics_are_there(programs, tmp_path):
    program, bootstrap = start(programs, tmp_path)
    assert partitions(bootstrap) == dict.fromkeys(TOPICS, 6) | {"athena-query-quota": 1}
    assert program.out_path.read_text() == f"bootstrap={bootstrap}\n"
    assert program.address == bootstrap


def test_topics_of_a_stage(programs, tmp_path):
    env = {"STAGE": "dev", "TOPIC_PARTITIONS": 2, "QUERY_TOPIC": "q"}
    _, bootstrap = start(programs, tmp_path, env)
    names = ["q", *TOPICS[1:]]
    quota = dict.fromkeys(["athena-query-quota", "athena-query-quota-dev"], 1)
    assert partitions(bootstrap) == dict.fromkeys([*names, *(n + "-dev" for n in names)], 2) | quota


def test_a_record_comes_back(programs, tmp_path):
    program, bootstrap = start(programs, tmp_path)
    acknowledged = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    producer.produce(
        "athena-query", b"value", b"key", partition=3, headers=[("a", b"1")],
        on_delivery=lambda error, _: acknowledged.append(error),
    )  # fmt: skip
    assert producer.flush(20) == 0
    assert acknowledged == [None]
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g"})
    consumer.assign([TopicPartition("athena-query", 3, 0)])
    record = consumer.poll(20)
    assert (record.key(), record.value(), record.headers()) == (b"key", b"value", [("a", b"1")])
    consumer.close()
    program.signal(signal.SIGINT)
    assert program.wait() == 0


def test_help_and_faults(tmp_path):
    run = run_program("dev-broker", ["--help"])
    assert run.returncode == 0 and "--bootstrap-file" in run.stdout
    run = run_program("dev-broker", ["--check-config"], {"TOPIC_PARTITIONS": "0"})
    assert run.returncode == 100 and "TOPIC_PARTITIONS" in run.stderr
    run = run_program("dev-broker", ["--bootstrap-file", tmp_path / "no" / "file"])
    assert run.returncode == 111 and "no/file" in run.stderr
