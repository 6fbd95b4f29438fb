"""make bench: what a signature costs; bursts over the quota and the receiver's rate, on a real Kafka,
as one table each.

bench.py [--only signing|burst|receiver] [--queries 400] [--seconds 2] [--quota 20] [--executors 1 2]
"""

import argparse
import http.client
import json
import os
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

from harness.kafka import Kafka
from harness.paths import BUILD
from harness.program import Program
from harness.sim import Sim
from harness.wait import wait_until

WRK_SCRIPT = """
local body = '{"userId":"u%s","queryId":"%s-%s","query":"SELECT ' .. string.rep('x', 180) .. '"}'
local thread_count = 0
function setup(thread) thread:set("id", thread_count); thread_count = thread_count + 1 end
function init() n = 0 end
function request()
  n = n + 1
  return wrk.format("POST", "/athena/query", {["Content-Type"] = "application/json"},
                    string.format(body, n % 50, id, n))
end
"""


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Stand:
    """Kafka, the sim and the programs of one leg."""

    def __init__(self, directory, kafka, sim_env, executors, redrive_ms=12000):
        directory.mkdir()
        self.sim = Sim(directory, sim_env).start()
        common = {
            "STAGE": "b" + uuid.uuid4().hex[:8],
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "ADMIN_LISTEN": "127.0.0.1:0",
        }
        aws = self.sim.aws_env() | {"ATHENA_OUTPUT_LOCATION": "s3://results/"}
        self.receiver = self.start(directory, "receiver", common | {"LISTEN": "127.0.0.1:0"})
        self.executors = [
            self.start(directory, "executor", common | aws, f"-{i}") for i in range(executors)
        ]
        self.redriver = self.start(
            directory, "redriver", common | aws | {"REDRIVE_INTERVAL_MS": redrive_ms}
        )
        for program in [self.receiver, *self.executors, self.redriver]:
            program.wait_ready(30)

    def start(self, directory, kind, env, suffix=""):
        name = f"athena-query-{kind}"
        return Program(name, env, [], directory / (name + suffix), name + suffix).start()

    def stop(self):
        for program in [self.receiver, *self.executors, self.redriver, self.sim]:
            program.ask_to_stop()
        for program in [self.receiver, *self.executors, self.redriver, self.sim]:
            program.finish()


def post_all(url, count):
    host = url.split("//")[1]

    def some(first):
        connection = http.client.HTTPConnection(host)
        for i in range(first, count, 8):
            body = json.dumps({"userId": f"u{i % 10}", "queryId": f"q{i}", "query": f"SELECT {i}"})
            connection.request("POST", "/athena/query", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 202, answer.status

    threads = [threading.Thread(target=some, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def burst(directory, kafka, args, executors):
    stand = Stand(
        directory, kafka, {"SIM_ACTIVE_DML": args.quota, "SIM_QUERY_MS": int(args.seconds * 1000)},
        executors, redrive_ms=int(args.seconds * 6000),
    )  # fmt: skip
    began = time.monotonic()
    post_all(stand.receiver.url, args.queries)
    wait_until(
        lambda: stand.sim.stats()["ended"] >= args.queries,
        args.queries * args.seconds / args.quota * 5 + 60, "all to end", interval=0.02,
    )  # fmt: skip
    took = time.monotonic() - began
    ideal = args.queries * args.seconds / args.quota
    stats, ledger = stand.sim.stats(), stand.sim.ledger()
    row = {
        "executors": executors,
        "seconds": round(took, 2),
        "ideal": ideal,
        "time/ideal": round(took / ideal, 3),
        "calls": stats["start_calls"],
        "wasted %": round(100 * stats["throttled"] / stats["start_calls"], 1),
        "lost": args.queries - len({s["token"] for s in ledger}),
        "twice": len(ledger) - len({s["token"] for s in ledger}),
        "polls/s": round(stats["batch_calls"] / took, 1),
        "RSS MiB receiver": round(resident_mib(stand.receiver.pid), 1),
        "executor": round(max(resident_mib(e.pid) for e in stand.executors), 1),
        "redriver": round(resident_mib(stand.redriver.pid), 1),
    }
    stand.stop()
    return row


def receiver(directory, kafka, connections, seconds):
    stand = Stand(directory, kafka, {"SIM_ACTIVE_DML": 1, "SIM_QUERY_MS": 60000}, 0)
    script = directory / "post.lua"
    script.write_text(WRK_SCRIPT)
    before = cpu_seconds(stand.receiver.pid)
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script,
         stand.receiver.url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    used = cpu_seconds(stand.receiver.pid) - before
    words = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    rate = float(words["Requests/sec:"][1])
    count = next(int(w[0]) for w in words.values() if len(w) > 2 and w[1] == "requests")
    refused = next((line for line in out.splitlines() if "Non-2xx" in line), "")
    row = {
        "connections": connections,
        "acked/s": round(rate),
        "p50": words["50%"][1],
        "p99": words["99%"][1],
        "not 2xx": refused.split(":")[-1].strip() or "0",
        "CPU us/request": round(used * 1e6 / max(count, 1), 1),
        "RSS MiB": round(resident_mib(stand.receiver.pid), 1),
    }
    stand.stop()
    return row


def table(rows):
    heads = list(rows[0])
    widths = [max(len(h), *(len(str(r[h])) for r in rows)) for h in heads]
    for line in [heads] + [[str(r[h]) for h in heads] for r in rows]:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths)), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["signing", "burst", "receiver"])
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--quota", type=int, default=20)
    parser.add_argument("--executors", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    if args.only in (None, "signing"):
        print("signing: StartQueryExecution, ours beside curl's own", flush=True)
        subprocess.run([BUILD / "tests/tools/sign_bench"], check=True)
    if args.only == "signing":
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        kafka = Kafka(directory / "kafka").start()
        try:
            if args.only != "receiver":
                print(f"burst: {args.queries} queries of {args.seconds} s, quota {args.quota}")
                table([burst(directory / f"b{n}", kafka, args, n) for n in args.executors])
            if args.only != "burst":
                print("receiver: POST to 202, 250-byte bodies, wrk on the same machine")
                table([receiver(directory / f"r{n}", kafka, n, 10) for n in (64, 512)])
        finally:
            kafka.kill()


if __name__ == "__main__":
    main()
