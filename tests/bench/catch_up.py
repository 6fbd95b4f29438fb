"""make bench-catch-up: what a long past costs at start, on a real Kafka.

Fills the status topic with ended queries, one record each, and measures from the start of a process
to an executor's first StartQueryExecution and to a receiver's first look-up that is answered, and
the records/s of both beside a bare consumer of the same topic (tests/tools/status_history.c).
"""

import argparse
import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import requests
from confluent_kafka.admin import AdminClient, NewTopic

from harness.kafka import Kafka
from harness.paths import BIN
from harness.program import Program
from harness.sim import Sim
from harness.topics import Topics
from harness.wait import wait_until
from stand import table

TOOL = BIN.parent / "tests" / "tools" / "status_history"
PARTITIONS = 6
TIMEOUT = 900


def tool(*args):
    return subprocess.run(
        [TOOL, *map(str, args)], capture_output=True, text=True, check=True, timeout=TIMEOUT
    ).stdout


class Peak:
    """The most memory that a process had resident, in MiB."""

    def __init__(self, program):
        self.program, self.kib, self.done = program, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.done.wait(0.05):
            self.kib = max(self.kib, self.program.memory_kib())

    def stop(self):
        self.done.set()
        self.thread.join()
        return round(self.kib / 1024)


class Bench:
    def __init__(self, directory, kafka, count):
        self.directory, self.kafka, self.count = directory, kafka, count
        self.stage = f"c{count}"
        self.rows = []

    def name(self, base):
        return f"athena-query{base}-{self.stage}"

    def env(self, *more):
        base = {
            "STAGE": self.stage,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "ADMIN_LISTEN": "127.0.0.1:0",
        }
        for extra in more:
            base |= extra
        return base

    def fill(self):
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        topics = [NewTopic(self.name(b), PARTITIONS, 1) for b in ("", "-deadletter", "-rejected")]
        topics.append(NewTopic(self.name("-status"), PARTITIONS, 1, config={"retention.ms": "-1"}))
        topics.append(NewTopic(self.name("-quota"), 1, 1))
        for future in admin.create_topics(topics).values():
            future.result(30)
        began = time.monotonic()
        tool("fill", self.kafka.bootstrap, self.name("-status"), self.count)
        print(f"{self.count:,} ended queries written in {time.monotonic() - began:.0f} s", flush=True)

    def add(self, what, took, peak="", cpu=""):
        self.rows.append(
            {
                "records": f"{self.count:,}",
                "what": what,
                "s": round(took, 2),
                "records/s": round(self.count / took),
                "CPU s": cpu,
                "peak RSS MiB": peak,
            }
        )

    def bare(self):
        took = json.loads(tool("read", self.kafka.bootstrap, self.name("-status")))
        self.add("bare consumer", took["seconds"])

    def receiver(self, number):
        program = Program(
            "athena-query-receiver", self.env({"LISTEN": "127.0.0.1:0"}), [],
            self.directory / f"receiver-{number}",
        )  # fmt: skip
        began = time.monotonic()
        program.start()
        peak = Peak(program)
        url = f"{program.url}/athena/query/h-{self.count - 1}"
        user = f"user-{(self.count - 1) % 100}"
        try:
            while True:
                answer = requests.get(url, params={"userId": user}, timeout=TIMEOUT)
                if answer.status_code != 503:
                    break
            assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
            assert answer.json()["state"] == "SUCCEEDED"
            took, cpu = time.monotonic() - began, program.cpu_seconds()
        finally:
            most = peak.stop()
            program.stop()
        self.add("receiver, first look-up", took, most, round(cpu, 2))

    def executor(self, number):
        sim = Sim(self.directory / f"sim-{number}", {"SIM_QUERY_MS": 10})
        sim.start()
        aws = sim.aws_env() | {"ATHENA_OUTPUT_LOCATION": "s3://results/"}
        program = Program(
            "athena-query-executor", self.env(aws), [], self.directory / f"executor-{number}"
        )
        query = {"userId": "new", "queryId": f"n-{number}", "query": "SELECT 1"}
        with contextlib.closing(Topics(self.kafka.bootstrap)) as topics:
            topics.produce(self.name(""), json.dumps(query).encode())
        began = time.monotonic()
        program.start()
        peak = Peak(program)
        try:
            wait_until(lambda: sim.ledger(), TIMEOUT, "the first start", interval=0.02)
            took, cpu = time.monotonic() - began, program.cpu_seconds()
            wait_until(lambda: program.metrics().sum("athena_query_lag") == 0, 30, "no lag")
        finally:
            most = peak.stop()
            program.stop()
            sim.stop()
        self.add("executor, first start", took, most, round(cpu, 2))


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run catch_up", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=["bare", "receiver", "executor"], nargs="+")
    parser.add_argument("--json", help="a file for the figures")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        kafka = Kafka(Path(name) / "kafka", heap="1g", quick=False).start()
        try:
            for count in args.records:
                bench = Bench(Path(name) / str(count), kafka, count)
                bench.fill()
                for number in range(args.rounds):
                    for leg in args.only or ["bare", "receiver", "executor"]:
                        getattr(bench, leg)(*([number] if leg != "bare" else []))
                rows += bench.rows
        finally:
            kafka.kill()
    print(f"load average {os.getloadavg()[0]:.1f}")
    table(rows)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
