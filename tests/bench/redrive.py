"""What a dead letter costs on its way back: the redriver beside `kcat -C | kcat -P`.

Each leg moves the same letters between two topics of its own, one leg after the other, in every
round; medians of the rounds are printed. kcat copies keys and values and nothing else: no headers,
no rules, no commit for each letter, and what is under way when it dies is moved twice or not at all.

redriver    athena-query-redriver --once; its time is that of the pass, without joining the group
kcat        kcat -C | kcat -P with acks=all and enable.idempotence, from start to end
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from harness.kafka import Kafka
from harness.paths import BIN
from harness.topics import Topics
from stand import table

PARTITIONS = 6
BATCH = 20000


def letters(count, size):
    pad = "x" * size
    for i in range(count):
        body = {"userId": f"u{i % 50}", "queryId": f"q{i}", "query": f"SELECT '{pad}'"}
        yield f"u{i % 50}".encode(), json.dumps(body).encode()


def run_counted(commands):
    """Runs a pipe of commands. (seconds, seconds of CPU, what the last one wrote to stderr)"""
    before, began = os.times(), time.monotonic()
    processes = []
    for env, command in commands:
        processes.append(
            subprocess.Popen(
                list(map(str, command)), env=os.environ | env, stderr=subprocess.PIPE,
                stdin=processes[-1].stdout if processes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if len(processes) + 1 < len(commands) else subprocess.DEVNULL,
            )  # fmt: skip
        )
    for process in processes[:-1]:
        process.stdout.close()
    errors = [p.communicate()[1].decode(errors="replace") for p in reversed(processes)]
    assert not any(p.returncode for p in processes), errors
    after = os.times()
    cpu = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    return time.monotonic() - began, cpu, errors[0]


class Bench:
    def __init__(self, kafka, count, size):
        self.kafka = kafka
        self.topics = Topics(kafka.bootstrap)
        self.count = count
        self.size = size

    def prepare(self):
        """(stage, the topic with the letters, the one that they go to)"""
        stage = "b" + uuid.uuid4().hex[:8]
        names = [f"athena-query{n}-{stage}" for n in ("-deadletter", "", "-rejected", "-status")]
        for name in names:
            self.topics.create(name, PARTITIONS)
        some = []
        for pair in letters(self.count, self.size):
            some.append(pair)
            if len(some) == BATCH:
                self.topics.produce_all(names[0], some)
                some = []
        self.topics.produce_all(names[0], some)
        return stage, names[0], names[1]

    def figures(self, seconds, cpu, to):
        moved = self.topics.count(to)
        assert moved == self.count, f"{moved} of {self.count} were moved"
        return {"per_s": self.count / seconds, "cpu_us": cpu * 1e6 / self.count}

    def redriver(self):
        stage, _, to = self.prepare()
        env = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap, "STAGE": stage}
        _, cpu, log = run_counted([(env, [BIN / "athena-query-redriver", "--once"])])
        seconds = float(re.search(r"pass over moved=\d+ .*seconds=([\d.]+)", log)[1])
        return self.figures(seconds, cpu, to)

    def kcat(self):
        _, source, to = self.prepare()
        b = ["-b", self.kafka.bootstrap]
        take = ["kcat", *b, "-C", "-t", source, "-o", "beginning", "-e", "-q", "-f", "%k\t%s\n"]
        # Its queue is 100,000 records, and it waits when that is full.
        give = ["kcat", *b, "-P", "-t", to, "-K", "\t", "-X", "acks=all",
                "-X", "enable.idempotence=true"]  # fmt: skip
        seconds, cpu, _ = run_counted([({}, take), ({}, give)])
        return self.figures(seconds, cpu, to)


def arguments():
    p = argparse.ArgumentParser(
        prog="tests/bench/run redrive", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("--count", type=int, default=200000, help="letters")
    p.add_argument("--size", type=int, default=200, help="bytes of SQL in each")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=Path, metavar="F", help="where the figures are written, too")
    return p.parse_args()


def measure(args, legs):
    found = {leg: [] for leg in legs}
    with tempfile.TemporaryDirectory() as name:
        kafka = Kafka(Path(name) / "kafka", quick=False, heap="1g").start()
        try:
            bench = Bench(kafka, args.count, args.size)
            for _ in range(args.rounds):
                for leg in legs:
                    found[leg].append(getattr(bench, leg)())
        finally:
            kafka.kill()
    return {
        leg: {key: round(statistics.median(r[key] for r in runs), 2) for key in runs[0]}
        for leg, runs in found.items()
    }


def main():
    args = arguments()
    legs = ["redriver", "kcat"]
    if not shutil.which("kcat"):
        print("kcat: skipped, it is not installed", flush=True)
        legs = ["redriver"]
    found = measure(args, legs)
    peer = found.get("kcat")
    rows = []
    for leg, one in found.items():
        by = {key: f"{one[key] / peer[key]:.2f}" if peer else "-" for key in one}
        rows.append(
            {
                "leg": leg, "letters/s": round(one["per_s"]), "x kcat": by["per_s"],
                "CPU us": one["cpu_us"], "x kcat ": by["cpu_us"],
            }
        )  # fmt: skip
    table(rows)
    print(f"medians of {args.rounds}, {args.count} letters; load {os.getloadavg()[0]:.1f}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
