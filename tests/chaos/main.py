"""The laboratory: faults alone, in pairs or more at once, on the whole pipeline. `--help` says how.

Each round begins some faults and a load, ends the faults, and waits until all is quiet; then the
stand-in's ledger and what clients were told must agree. The seed makes all rounds.
"""

import argparse
import collections
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import evidence
import plan
import verdict
from faults import GROUPS
from harness.paths import BUILD
from lab import Lab, ProgramEnded, Steps
from load import Clients

ROUNDS_OF_A_STAGE = 8  # then all is stopped, which must go well, and begun anew


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    env = os.environ.get
    p.add_argument("--seed", type=int, default=env("CHAOS_SEED") or None, help="CHAOS_SEED")
    p.add_argument("--seconds", type=float, default=env("CHAOS_SECONDS") or 300, help="CHAOS_SECONDS")
    p.add_argument("--rounds", type=int, default=env("CHAOS_ROUNDS") or 10**9, help="CHAOS_ROUNDS")
    p.add_argument("--first", type=int, default=env("CHAOS_FIRST") or 0, help="CHAOS_FIRST: number of the first round")
    p.add_argument("--depth", type=int, default=env("CHAOS_DEPTH") or 2, help="CHAOS_DEPTH: faults at once")
    p.add_argument("--faults", default=env("CHAOS_FAULTS") or "", help="CHAOS_FAULTS: " + " ".join(GROUPS))
    p.add_argument("--without", default=env("CHAOS_WITHOUT") or "", help="CHAOS_WITHOUT: kinds of faults that are left out")
    p.add_argument("--queries", type=int, default=env("CHAOS_QUERIES") or 20, help="CHAOS_QUERIES: of a round")
    p.add_argument("--keep-going", action="store_true", help="after a failure, with a new stage")
    p.add_argument("--plan", action="store_true", help="print the rounds and run none")
    p.add_argument("--json", action="store_true", help="the statistics as JSON on stdout")
    a = p.parse_args()
    a.seed = random.SystemRandom().randrange(10**6) if a.seed is None else a.seed
    a.without = a.without.replace(",", " ").split()
    a.groups = a.faults.replace(",", " ").split() or list(GROUPS)
    kinds = {kind for group in GROUPS.values() for kind in group}
    if unknown := (set(a.groups) - set(GROUPS)) | (set(a.without) - kinds):
        p.error(f"no such faults: {' '.join(unknown)}")
    a.groups = [g for g in a.groups if set(GROUPS[g]) - set(a.without)]
    return a


def say(*what):
    print(*what, file=sys.stderr, flush=True)


class Run:
    """All rounds of one seed."""

    def __init__(self, args, directory):
        self.args = args
        self.directory = directory
        self.counts = collections.Counter(dict.fromkeys(verdict.CATEGORIES, 0))
        self.kills, self.faults, self.pairs = (collections.Counter() for _ in range(3))
        self.failures = []
        self.broken = None  # where the laboratory itself failed
        self.clients = None
        self.began = time.monotonic()

    def round_of(self, number):
        a = self.args
        return plan.make_round(a.seed, number, a.depth, a.groups, a.queries, without=a.without)

    def numbers(self):
        for number in range(self.args.first, self.args.first + self.args.rounds):
            if time.monotonic() - self.began > self.args.seconds:
                return
            yield number

    def replay(self, number):
        """The command that does it again, from the first round of this stage on."""
        a = self.args
        only = "" if a.groups == list(GROUPS) else f" CHAOS_FAULTS={','.join(a.groups)}"
        only += f" CHAOS_WITHOUT={','.join(a.without)}" if a.without else ""
        first = number - self.lab.stage.rounds  # what a stage has seen matters
        return (
            f"make chaos CHAOS_SEED={a.seed} CHAOS_DEPTH={a.depth} CHAOS_QUERIES={a.queries}{only} "
            f"CHAOS_FIRST={first} CHAOS_ROUNDS={number - first + 1}"
        )

    def run(self, lab):
        try:
            self.run_rounds(lab)
        except Exception:
            self.broken = traceback.format_exc()
        finally:
            if self.clients:
                self.clients.stopping.set()

    def run_rounds(self, lab):
        self.lab = lab
        if not lab.has_small_disks:
            say("disk-full: no file system can be mounted here, so nothing fills up")
        for number in self.numbers():
            if lab.stage is None:
                self.begin_stage()
            good = self.run_round(self.round_of(number))
            if not good:
                self.end_stage(None)
                if not self.args.keep_going:
                    return
            elif lab.stage.rounds == ROUNDS_OF_A_STAGE:
                self.end_stage(number)
        if lab.stage:
            self.end_stage(number)

    def begin_stage(self):
        self.lab.new_stage()
        self.clients = Clients(self.lab, self.args.seed)
        self.judge = verdict.Judge(self.lab.stage, self.clients)

    def end_stage(self, number):
        """`number`: of its last round, after which all must stop cleanly; None where it failed."""
        stage = self.lab.stage
        self.clients.close()
        if number is not None:
            found = [verdict.Finding(verdict.ENDED, trouble) for trouble in stage.stop()]
            if found:
                say(*(f"  {f}" for f in found))
                self.failed(self.round_of(number), found)
        self.kills += stage.kills
        self.counts["queries"] += len(self.clients.queries)
        self.counts["starts"] += len(stage.athena.ledger())
        self.counts["forgiven"] += self.judge.forgiven
        self.lab.end_stage()

    def run_round(self, round_):
        say(round_)
        began = time.monotonic()
        found = self.judged(round_)
        self.counts["rounds"] += 1
        self.faults.update(f.kind for f in round_.faults)
        self.pairs.update(round_.pairs)
        say(f"  {time.monotonic() - began:.1f} s", *(f"\n  {f}" for f in found))
        if found:
            self.failed(round_, found)
        self.lab.stage.rounds += 1
        return not found

    def judged(self, round_):
        steps = Steps(self.lab)
        jobs = self.clients.run(round_)
        try:
            began = time.monotonic()
            for step in round_.steps:
                time.sleep(max(0, began + step.at - time.monotonic()))
                steps.run(step)
            steps.restore()
            return self.judge.settle(jobs)
        except ProgramEnded as e:
            return [verdict.Finding(verdict.ENDED, f"{e}\n{e.program.log_tail(15)}")]

    def failed(self, round_, found):
        self.counts.update(f.category for f in found)
        place = self.directory / f"seed-{self.args.seed}-depth-{self.args.depth}-round-{round_.number}"
        replay, snapshot = self.replay(round_.number), self.judge.snapshot
        account = evidence.keep(place, self.lab, round_, found, replay, snapshot)
        self.failures.append(
            {
                "round": round_.number, "faults": [f.kind for f in round_.faults],
                "found": [str(f)[:300] for f in found], "account": str(account),
                "replay": replay,
            }
        )  # fmt: skip
        say(f"  account: {account}")

    def statistics(self):
        return {
            "seed": self.args.seed,
            "depth": self.args.depth,
            "seconds": round(time.monotonic() - self.began),
            **{name: self.counts[name] for name in ("rounds", "queries", "starts", "forgiven")},
            "kills": self.kills.total(),
            "killed": dict(self.kills),
            "pairs": self.pairs.total(),
            "different_pairs": len(self.pairs),
            **{name: self.counts[name] for name in verdict.CATEGORIES},
            "faults": dict(sorted(self.faults.items())),
            "each_pair": {"+".join(pair): n for pair, n in sorted(self.pairs.items())},
            "failures": self.failures,
            "broken": self.broken,
        }


def summary(s):
    """A few lines for people."""
    heads = ["rounds", "queries", "starts", "kills", "pairs", "different_pairs", *verdict.CATEGORIES]
    yield "  ".join(f"{name.replace('_', ' ')} {s[name]}" for name in heads)
    if s["forgiven"]:
        yield f"started again because Athena had forgotten, and nobody could know: {s['forgiven']}"
    if s["broken"]:
        yield f"the laboratory itself failed:\n{s['broken']}"
    for failure in s["failures"]:
        yield f"FAILED round {failure['round']}: {' + '.join(failure['faults'])}"
        yield from (f"    {line}" for line in failure["found"])
        yield f"    {failure['replay']}"


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kept = BUILD / "chaos"
    run = Run(args, kept)
    say(f"seed {args.seed}, {args.depth} at once, faults: {' '.join(args.groups)}")
    if args.plan:
        for number in range(args.first, args.first + min(args.rounds, 1000)):
            print(run.round_of(number))
        return 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        with Lab(Path(directory), args.seed) as lab:
            run.run(lab)
    statistics = run.statistics()
    say("\n".join(summary(statistics)))
    kept.mkdir(parents=True, exist_ok=True)
    with open(kept / "runs.jsonl", "a") as f:
        print(json.dumps(statistics), file=f)
    if args.json:
        print(json.dumps(statistics, indent=2))
    return 2 if run.broken else 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
