"""The laboratory of faults (tests/chaos): a short run of it, and that it finds what it looks for."""

import importlib
import json
import os
import subprocess
import sys
import types

import pytest

from harness.kafka import DIE_WITH_PARENT
from harness.paths import BUILD, TOP
from harness.pipeline import sha256
from harness.wait import SLOWNESS

# Those that any run may have; what is not yet as promised has a small test of its own.
SHORT = "kill,pause,broker,fleet,delay,cut,half-open,reset,misanswer,credentials"


def chaos(*args, timeout=60):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CHAOS_")}
    env["AQ_BUILD"] = str(BUILD)
    return subprocess.run(
        [*DIE_WITH_PARENT, str(TOP / "tests/chaos/run"), *map(str, args)], env=env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout * SLOWNESS,
    )  # fmt: skip


@pytest.mark.timeout(240)
def test_a_short_run():
    done = chaos(
        "--seed", 3, "--rounds", 4, "--seconds", 30, "--faults", SHORT, "--json", timeout=230
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-6000:]
    figures = json.loads(done.stdout)
    assert figures["rounds"] >= 1 and figures["starts"] > 0 and figures["pairs"] >= 1
    assert not any(figures[name] for name in ("lost", "twice", "stuck", "wrong", "back", "ended"))


def test_a_seed_makes_the_same_plan():
    def plan(seed):
        return chaos("--plan", "--seed", seed, "--rounds", 112).stdout.splitlines()

    first = plan(5)
    assert first == plan(5)
    assert len(set(first)) == 112
    assert plan(6) != first


# What the judge says ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def modules():
    """The laboratory's, which are not on the path of the tests."""
    sys.path.insert(0, str(TOP / "tests/chaos"))
    try:
        yield types.SimpleNamespace(
            **{name: importlib.import_module(name) for name in ("plan", "load", "verdict", "faults")}
        )
    finally:
        sys.path.remove(str(TOP / "tests/chaos"))


def test_each_pair_of_groups_comes_once_before_any_comes_again(modules):
    groups = list(modules.faults.GROUPS)
    n = len(modules.plan.combinations(groups, 2))
    chosen = [tuple(sorted(modules.plan.chosen(1, i, 2, groups))) for i in range(2 * n)]
    assert len(set(chosen[:n])) == n and set(chosen[:n]) == set(chosen[n:])
    assert chosen[:n] != chosen[n:]


def test_every_step_of_a_plan_can_be_done(modules):
    lab = importlib.import_module("lab")
    for number in range(300):
        for step in modules.plan.make_round(1, number, depth=3).steps:
            assert callable(getattr(lab.Steps, step.what)), step


TOKEN = "token of q"


def line(text, id, t, token=TOKEN):
    return {"token": token, "id": id, "sha256": sha256(text), "t": t}


class Case:
    """A stage that is over, as the judge sees it, with one query."""

    def __init__(self, modules, kind="plain", accepted=1.0, final=("SUCCEEDED", "e1")):
        self.m = modules
        request = modules.plan.Request(0, "q", "u", kind, "SELECT 1")
        self.query = modules.load.Query(request)
        self.query.accepted = accepted
        if final:
            state = {"state": final[0], "queryExecutionId": final[1], "reason": "because"}
            self.query.final = {r: state for r in modules.faults.RECEIVERS}
        self.lines = [line("SELECT 1", "e1", 10)]
        self.forgot = []
        self.known = []  # when the status topic got a record with an execution

    def categories(self):
        m = self.m
        value = json.dumps({"queryExecutionId": "e1"}).encode()
        records = [
            types.SimpleNamespace(key=b"u/q", value=value, timestamp_ms=1000 * at)
            for at in self.known
        ]
        stage = types.SimpleNamespace(
            p=types.SimpleNamespace(status_topic="status"), forgot=self.forgot,
            athena=types.SimpleNamespace(ledger=lambda: self.lines), kills={"athena": 0},
            topics=types.SimpleNamespace(read=lambda topic: records),
        )  # fmt: skip
        clients = types.SimpleNamespace(
            queries={"q": self.query}, lock=m.load.threading.Lock(), went_back=[]
        )
        judge = m.verdict.Judge(stage, clients)
        return {f.category for f in judge._judge_queries()}


def test_the_judge_finds_nothing_where_nothing_is(modules):
    assert Case(modules).categories() == set()


def test_the_judge_finds_what_is_lost(modules):
    case = Case(modules)
    case.lines = []
    assert "lost" in case.categories()


def test_the_judge_finds_what_started_twice(modules):
    case = Case(modules)
    case.lines.append(line("SELECT 1", "e2", 20))
    assert case.categories() == {"twice"}


def test_the_judge_finds_the_pair_s_other_text(modules):
    case = Case(modules)
    case.query.other_text = "SELECT 2"
    case.lines.append(line("SELECT 2", "e2", 20))
    assert case.categories() == {"twice"}


@pytest.mark.parametrize(
    "known, found", [([], set()), ([19.5], set()), ([12, 21], {"twice"}), ([21], set())]
)
def test_the_judge_forgives_what_nobody_could_know(modules, known, found):
    case = Case(modules)
    case.lines.append(line("SELECT 1", "e2", 20))
    case.forgot, case.known = [15], known
    assert case.categories() == found


def test_the_judge_finds_a_wrong_end(modules):
    assert Case(modules, final=("REJECTED", None)).categories() == {"wrong"}
    assert Case(modules, final=("SUCCEEDED", "another's")).categories() == {"wrong"}
    assert Case(modules, kind="fails", final=("FAILED", "e1")).categories() == set()
    assert Case(modules, kind="refused", final=("REJECTED", None)).categories() == {"wrong"}


def test_the_judge_finds_what_nobody_posted(modules):
    case = Case(modules)
    case.lines.append(line("SELECT 3", "e3", 20, "another token"))
    assert case.categories() == {"wrong"}
