"""A deep queue: five users with one query each behind very many of another user, in one partition.

An executor starts on the whole backlog. Printed: when it knew all of it, what it takes of memory
then, the CPU a record, and which starts in order those of the five users were. The promise is twice
as many starts as there are users with something waiting, here 12.
"""

import argparse
import json
import re
import tempfile
import time
from pathlib import Path

from harness.kafka import Kafka
from harness.pipeline import sha256
from harness.wait import wait_until
from stand import Stand, table

USERS = [f"user{i}" for i in range(5)]
BATCH = 20000
PAD = "x" * 150  # a record of 250 bytes, or so


def body(query_id, text, user):
    return json.dumps({"userId": user, "queryId": query_id, "query": text}).encode()


def fill(stand, count):
    """The deep user's records, and behind them one of each of the others; their texts."""
    topic = stand.name("")
    for first in range(0, count, BATCH):
        some = range(first, min(first + BATCH, count))
        pairs = [(None, body(f"q{i}", f"SELECT {i} /* {PAD} */", "deep")) for i in some]
        stand.topics.produce_all(topic, pairs, partition=0)
    few = [f"SELECT '{user}'" for user in USERS]
    pairs = [(None, body("q", text, user)) for user, text in zip(USERS, few, strict=True)]
    stand.topics.produce_all(topic, pairs, partition=0)
    return few


def peak_mib(executor):
    status = Path(f"/proc/{executor.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def places(stand, texts):
    order = {entry["sha256"]: i for i, entry in enumerate(stand.sim.ledger())}
    return [order.get(sha256(text)) for text in texts]


def run(directory, kafka, count, quota):
    sim_env = {"SIM_ACTIVE_DML": quota, "SIM_QUERY_MS": 1000}
    with Stand(directory, kafka, sim_env, executors=0) as stand:
        few = fill(stand, count)
        aws = stand.sim.aws_env() | {"ATHENA_OUTPUT_LOCATION": "s3://results/"}
        began = time.monotonic()
        executor = stand.add("executor", aws | {"LOG_LEVEL": "info"}, "executor-0")

        def waiting():
            return executor.metrics().sum("athena_query_received_total")

        wait_until(lambda: waiting() >= count, 600, "all to be known", interval=0.1)
        known_s, known_cpu = time.monotonic() - began, executor.cpu_seconds()
        wait_until(lambda: None not in places(stand, few), 120, "the five", interval=0.2)
        metrics = executor.metrics()
        return {
            "records": count,
            "known after s": round(known_s, 1),
            "CPU us a record": round(known_cpu / count * 1e6, 1),
            "MiB resident": round(executor.memory_kib() / 1024),
            "MiB at most": round(peak_mib(executor)),
            "indexed": int(metrics.sum("athena_query_indexed")),
            "unread": int(metrics.sum("athena_query_unread")),
            "starts of the five": places(stand, few),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, nargs="*", default=[30000, 1000000])
    parser.add_argument("--quota", type=int, default=10)
    parser.add_argument("--json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        kafka = Kafka(directory / "kafka", quick=False, heap="1g").start()
        try:
            rows = [
                run(directory / f"deep-{count}", kafka, count, options.quota)
                for count in options.records
            ]
        finally:
            kafka.kill()
    table(rows)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
