"""make bench-burst: bursts over the quota, on a real Kafka, beside what people use today.

Judged by the median of the runs; of lost and twice by the worst. All figures are the stand-in's: its
ledger and counters, and when it ran each query.
"""

import argparse
import collections
import dataclasses
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from cases import CASES
from chart import write_chart
from harness.kafka import DIE_WITH_PARENT, Kafka
from harness.paths import TOP
from harness.pipeline import sha256
from harness.program import clean_environment
from harness.sim import Sim
from harness.wait import wait_until
from ideal import fairness, greedy, ideal, running
from stand import Stand, clock, table

OUT = TOP / "build" / "bench"
PEER_PYTHON = TOP / "build" / "bench-venv" / "bin" / "python"
PEERS = ["pyathena", "boto3"]


@dataclasses.dataclass
class Run:
    """One burst, measured. Times are seconds from the first injection."""

    name: str
    time: float  # to the last end
    first_start: float
    by_ideal: float
    by_greedy: float
    calls: int
    wasted: float
    lost: int
    twice: int
    fair: float = 0.0
    letters: int = 0
    without_redrive: float = 0.0  # ÷ ideal, of the last query that was never dead-lettered
    mib: float = 0.0
    curve: list = dataclasses.field(default_factory=list)
    steps: list = dataclasses.field(default_factory=list)


def measure(name, sim, queries, began, steps):
    """What the sim knows of this burst, and {query id: its last (start, end)} of what ran."""
    stats, starts = sim.stats(), sim.starts_by_text()
    ids = {q.text: q.id for q in queries}
    runs = [
        ((one["submitted"] - began, one["ends"] - began), ids[one["query"]])
        for one in requests.get(sim.url + "/_queries", timeout=30).json()["queries"]
    ]
    durations = [q.seconds for q in queries]
    time = max((end for (_, end), _ in runs), default=0.0)
    run = Run(
        name,
        time=time,
        first_start=min((start for (start, _), _ in runs), default=0.0),
        by_ideal=time / ideal(durations, steps),
        by_greedy=time / greedy(durations, steps),
        calls=stats["start_calls"],
        wasted=100 * stats["throttled"] / max(stats["start_calls"], 1),
        lost=sum(starts[sha256(q.text)] == 0 for q in queries),
        twice=sum(starts.values()) - len(starts),
        curve=running([when for when, _ in runs]),
        steps=steps,
    )
    return run, {query: when for when, query in sorted(runs)}


class Meanwhile:
    """Called often while a burst runs: moves the quota, notes when, and kills at half."""

    def __init__(self, case, sim, began, kill=None):
        self.case, self.sim, self.began, self.kill = case, sim, began, kill
        self.steps = [(0.0, case.quota)]
        self.timeout = 5 * ideal([case.seconds] * case.count, self.steps) + 120

    def look(self):
        """How many queries have ended."""
        case, now = self.case, clock() - self.began
        if case.moving_s and now >= len(self.steps) * case.moving_s:
            quota = case.quota // 2 if self.steps[-1][1] == case.quota else case.quota
            self.sim.set(active_dml=quota)
            self.steps.append((now, quota))
        ended = self.sim.stats()["ended"]
        if self.kill and ended >= case.count / 2:
            self.kill()
            self.kill = None
        return ended


def sim_env(case, args):
    return {
        "SIM_ACTIVE_DML": case.quota,
        "SIM_DELAY_MS": args.answer_ms,
        "SIM_READ_DELAY_MS": args.look_ms,
        "SIM_RATE": case.rate,
        "SIM_BURST": 4 * case.rate,
    }


# --- The programs -------------------------------------------------------------------------------


def killer(case, stand, owned):
    """What kills the executor that the case wants to die."""

    def kill():
        leads = next(number for number, places in owned.items() if 0 in places)
        others = [number for number in sorted(owned) if number != leads]
        victim = stand.executors[others[0] if case.kill == "member" else leads]
        victim.kill()
        if case.kill == "alone":
            victim.start()

    return kill if case.kill else None


def run_programs(case, args, kafka, seed, directory):
    queries = case.queries(seed)
    redrive_ms = round(6000 * case.seconds)
    env = {"MAX_IN_FLIGHT": case.max_in_flight} if case.max_in_flight else {}
    with Stand(directory, kafka, sim_env(case, args), case.executors, redrive_ms, env) as stand:
        owned = stand.owners()
        places = case.places(owned) if case.shares else []
        began = clock()
        if places:
            stand.inject([(place, q.body) for place, q in zip(places, queries)])
        else:
            stand.post([q.body for q in queries])
        meanwhile = Meanwhile(case, stand.sim, began, killer(case, stand, owned))
        give_up(lambda: meanwhile.look() >= case.count, meanwhile.timeout, "all to end", 0.1)
        # What is done twice may come late: until every offset is committed it still can.
        give_up(stand.all_committed, 30, "all offsets to be committed", 0.2)
        run, runs = measure(case.name, stand.sim, queries, began, meanwhile.steps)
        letters, run.letters = stand.dead_lettered()
        others = [end for query, (_, end) in runs.items() if query not in letters]
        run.without_redrive = run.by_ideal * max(others, default=0.0) / max(run.time, 1e-9)
        run.mib = max(e.memory_kib() for e in stand.executors if e.running) / 1024
    of = [q.user for q in queries]
    if case.executors > 1 and case.shares:  # by executor, by where each query was injected
        of = [next(n for n, parts in owned.items() if place in parts) for place in places]
    ends = [runs.get(q.id, (0, float("inf"))) for q in queries]
    run.fair = fairness(of, ends, run.time / 2)
    return run


def give_up(predicate, seconds, what, interval):
    """wait_until(), but what does not come is said and measured as it is."""
    try:
        wait_until(predicate, seconds, what, interval)
    except AssertionError as e:
        say(f"  ! {e}")


# --- Their peers --------------------------------------------------------------------------------


class Peer:
    """One process of tests/bench/peers.py with the whole list."""

    def __init__(self, who, directory, sim, queries):
        env = sim.aws_env()
        env |= {"AWS_DEFAULT_REGION": env["AWS_REGION"]}
        self.path = directory / "queries.json"
        self.path.write_text(json.dumps([q.text for q in queries]))
        with open(self.path) as source, open(directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                DIE_WITH_PARENT + [PEER_PYTHON, TOP / "tests/bench/peers.py", who],
                stdin=source, stdout=subprocess.PIPE, stderr=log, text=True,
                env=clean_environment(env, directory),
            )  # fmt: skip

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def done(self):
        return self.process.poll() is not None


def run_peer(case, args, who, seed, directory):
    directory.mkdir(parents=True)
    queries = case.queries(seed)
    sim = Sim(directory, sim_env(case, args)).start()
    peers = [Peer(who, directory, sim, queries)]
    try:
        line = peers[0].process.stdout.readline()
        assert line, f"{who} ended before it began: {directory}/log"
        hello = json.loads(line)

        def kill():
            peers[0].kill()
            peers.append(Peer(who, directory, sim, queries))

        meanwhile = Meanwhile(case, sim, hello["began"], kill if case.kill else None)

        def done():
            meanwhile.look()
            return peers[-1].done()

        give_up(done, meanwhile.timeout, "the peer to end", 0.1)
        run, _ = measure(
            f"{case.name}: {hello['name']}", sim, queries, hello["began"], meanwhile.steps
        )
        return run
    finally:
        for peer in peers:
            if not peer.done():
                peer.kill()
        sim.finish()


# --- All of them --------------------------------------------------------------------------------


def say(text):
    print(text, file=sys.stderr, flush=True)


def middle(runs):
    """The run with the median time (the slower of two)."""
    return sorted(runs, key=lambda r: r.time)[len(runs) // 2]


def median(runs, field):
    return statistics.median(getattr(r, field) for r in runs)


def verdict(case, runs):
    """What is missed, or `yes`; `-` where there is nothing to reach but that nothing is lost."""
    wanted = [
        ("ideal", median(runs, "by_ideal"), case.by_ideal),
        ("greedy", median(runs, "by_greedy"), case.by_greedy),
        ("wasted", median(runs, "wasted"), case.wasted),
        ("fairness", -median(runs, "fair"), -case.fair),
        ("lost", max(r.lost for r in runs), 0),
        ("twice", max(r.twice for r in runs), 0),
    ]
    missed = [name for name, value, limit in wanted if round(value, 4) > limit]
    return "no: " + ", ".join(missed) if missed else "yes"


def row(name, runs, case=None):
    """A line of the table. `case`: of the programs, not of a peer."""
    return {
        "case": name,
        "time s": f"{median(runs, 'time'):.1f}",
        "÷ ideal": f"{median(runs, 'by_ideal'):.3f}",
        "each run": " ".join(f"{r.by_ideal:.2f}" for r in runs),
        "without redrive": f"{median(runs, 'without_redrive'):.3f}" if case else "",
        "÷ greedy": f"{median(runs, 'by_greedy'):.3f}",
        "first start s": f"{median(runs, 'first_start'):.2f}",
        "calls": round(median(runs, "calls")),
        "wasted %": f"{median(runs, 'wasted'):.1f}",
        "lost": max(r.lost for r in runs),
        "twice": max(r.twice for r in runs),
        "fairness": f"{median(runs, 'fair'):.2f}" if case and has_fairness(case) else "",
        "letters": round(median(runs, "letters")) if case else "",
        "MiB": f"{median(runs, 'mib'):.0f}" if case else "",
        "reached": verdict(case, runs) if case else "",
    }


def has_fairness(case):
    return not case.kill and (not case.shares or len(set(case.shares)) == 1)


NOTES = """\
time: from the first injection to the last end; judged. So are ÷ ideal (the work ÷ the quota) and
÷ greedy (started in the order of injection, each end known at once). first start: how long after
the injection; time less this is from the first start to the last end. letters: records of the
dead-letter topic. without redrive: ÷ ideal, had the burst ended with the last query that was never
dead-lettered; REDRIVE_INTERVAL_MS is six query times. wasted: TooManyRequestsException in a hundred
calls to StartQueryExecution. fairness: least ÷ most queries that had ended at half time, of ten users
or of four executors' backlogs. lost, twice: by the ledger of starts, the worst run; else medians."""


def results(cases, args):
    """(case, {name: runs}) for each case, as they come; the first name is that of the programs."""
    logs = OUT / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        kafka = Kafka(Path(name) / "kafka", quick=False).start()
        try:
            for case in cases:
                found = collections.defaultdict(list)
                for seed in range(1, args.runs + 1):
                    run = run_programs(case, args, kafka, seed, logs / f"{case.name}-{seed}")
                    found[case.name].append(run)
                    say_run(case, run)
                todo = itertools.product(PEERS, range(1, args.peer_runs + 1))
                for who, seed in todo if case.peers and args.peers else ():
                    run = run_peer(case, args, who, seed, logs / f"{case.name}-{who}-{seed}")
                    found[run.name].append(run)
                    say_run(case, run)
                yield case, found
        finally:
            kafka.kill()


def say_run(case, run):
    say(
        f"  {run.name}: {run.time:.1f} s, {run.by_ideal:.3f} of ideal, {run.by_greedy:.3f} of greedy, "
        f"{run.wasted:.1f} % wasted, {run.lost} lost, {run.twice} twice"
    )


def arguments():
    names = [c.name for c in CASES]
    p = argparse.ArgumentParser(prog="make bench-burst", description=__doc__)
    p.add_argument("--scenario", nargs="+", choices=names, default=names, metavar="NAME",
                   help="of " + " ".join(names))
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--peer-runs", type=int, default=1)
    p.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--scale", type=float, default=1.0,
                   help="share of the queries that is sent; less than 1 is no measurement")
    p.add_argument("--answer-ms", type=int, default=250, help="how long Athena takes for a start")
    p.add_argument("--look-ms", type=int, default=50,
                   help="how long it takes for other calls, at most --answer-ms")
    p.add_argument("--json", type=Path, default=OUT / "burst.json")
    p.add_argument("--chart", type=Path, default=OUT / "burst.svg")
    return p.parse_args()  # fmt: skip


def report(args, rows, panels):
    print(f"{args.runs} runs, peers {args.peer_runs}; starts take {args.answer_ms} ms, other calls "
          f"{min(args.look_ms, args.answer_ms)} ms"
          + (f"; {args.scale:g} of the queries: no measurement" if args.scale != 1 else ""))  # fmt: skip
    table(rows)
    print(NOTES)
    for path in (args.chart, args.json):
        path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"runs": args.runs, "answer_ms": args.answer_ms, "look_ms": args.look_ms}
    args.json.write_text(json.dumps(settings | {"cases": rows}, indent=1) + "\n")
    print(f"the same as JSON: {args.json}")
    write_chart(args.chart, panels)
    print(f"running queries over time: {args.chart}")


def main():
    args = arguments()
    cases = [c.scaled(args.scale) for c in CASES if c.name in args.scenario]
    rows, panels = [], []
    try:
        for case, found in results(cases, args):
            for name, runs in found.items():
                rows.append(row(name, runs, case if name == case.name else None))
            curves = [
                (name.split(": ")[1] if name != case.name else "athena-query", middle(runs).curve)
                for name, runs in found.items()
            ]
            title = f"{case.name}: {case.about}"
            panels.append((title, middle(found[case.name]).steps, curves))
    finally:  # what was measured until then
        if rows:
            report(args, rows, panels)


if __name__ == "__main__":
    main()
