"""Fixtures of the system tests. `harness/` says what they return."""

import json
import os
import re
import signal
import sys
import uuid

import pytest

from harness.kafka import Kafka
from harness.options_table import PIPELINE
from harness.paths import BIN
from harness.pipeline import Pipeline, start_sim
from harness.program import Program
from harness.promql import Exported
from harness.topics import Topics
from harness.wait import SLOWNESS, free_port

STAND_INS = {"athena-sim", "dev-broker"}


def pytest_configure(config):
    # Ended from outside, the fixtures still clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Started in the background by a shell, all we start would ignore SIGINT as we do.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("timeout")
        seconds = mark.args[0] if mark and mark.args else 120
        item.add_marker(pytest.mark.timeout(seconds * SLOWNESS), append=False)


def why(report):
    """The lines of a failure that say what was wrong, without the code around them."""
    lines = re.findall(r"^E {2,}(.*)", report.longreprtext, re.M) or report.longreprtext.splitlines()
    return "\n".join(lines[:25])


def pytest_terminal_summary(terminalreporter):
    """For tests/run: how many there were, and which failed. An error of a fixture is a failure."""
    if "AQ_COUNTS" not in os.environ or hasattr(terminalreporter.config, "workerinput"):
        return
    stats = terminalreporter.stats
    n = {k: len(v) for k, v in stats.items()}
    failed = stats.get("failed", []) + stats.get("error", [])
    counts = {
        "passed": n.get("passed", 0) + n.get("xpassed", 0),
        "failed": len(failed),
        "skipped": n.get("skipped", 0) + n.get("xfailed", 0),
        "failures": [[report.nodeid, why(report)] for report in failed],
    }
    with open(os.environ["AQ_COUNTS"], "w") as f:
        json.dump(counts, f)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of every program's log."""
    report = yield
    if report.failed:
        for program in getattr(item, "started_programs", []):
            report.sections.append((f"log of {program.label}", program.log_tail(60)))
    return report


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """The broker that all tests share. Whoever hurts it takes `own_kafka`."""
    broker = Kafka(tmp_path_factory.mktemp("kafka")).start()
    yield broker
    broker.kill()


@pytest.fixture
def own_kafka(tmp_path):
    """own_kafka(...): starts a broker for this test alone, to be killed or stopped."""
    brokers = []

    def make(properties=None, **how):
        broker = Kafka(tmp_path / f"kafka-{len(brokers)}", properties=properties, **how)
        brokers.append(broker)
        return broker.start()

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture
def open_topics():
    """open_topics(broker): Topics of any broker."""
    opened = []

    def make(broker):
        opened.append(Topics(broker.bootstrap))
        return opened[-1]

    yield make
    for topics in opened:
        topics.close()


@pytest.fixture
def topics(kafka, open_topics):
    """Topics of the shared broker."""
    return open_topics(kafka)


@pytest.fixture
def unique(request):
    """A word of this test alone, fit for names of topics and groups."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.lower()).strip("-")
    return f"{name[5:45].strip('-')}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def stage():
    """A STAGE of this test alone: it makes all topics and groups its own."""
    return "t" + uuid.uuid4().hex[:8]


class Programs:
    """programs(name, env, args=()) starts one and sees that it ends well with the test."""

    def __init__(self, directory, started):
        self.directory = directory
        self.started = started

    def __call__(self, name, env=None, args=(), label=None):
        if not label:
            same = sum(p.name == name for p in self.started)
            label = f"{name}-{same + 1}" if same else name
        return self.add(Program(name, env, args, self.directory / label, label)).start()

    def add(self, program):
        self.started.append(program)
        return program

    def finish(self):
        """What is wrong with them, as a list."""
        own = [p for p in self.started if p.name not in STAND_INS]
        for program in own:
            program.ask_to_stop()
        last = [p for p in self.started if p.name in STAND_INS]
        return [trouble for p in own + last if (trouble := p.finish())]


@pytest.fixture
def programs(request, tmp_path, own_kafka):  # own_kafka: so that brokers end after them
    assert BIN.is_dir(), f"{BIN} is not there: make all"
    started = request.node.started_programs = []
    made = Programs(tmp_path, started)
    yield made
    trouble = made.finish()
    assert not trouble, "\n\n".join(trouble)


@pytest.fixture
def sim(programs, tmp_path):
    """sim(**env): starts an athena-sim with these SIM_… variables."""
    return lambda **env: start_sim(programs, tmp_path / f"sim-{len(programs.started)}", env)


@pytest.fixture
def exported(programs):
    """What the three programs export at /metrics; without a broker it is all there, too."""
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "ADMIN_LISTEN": "127.0.0.1:0",
        "LISTEN": "127.0.0.1:0", "AWS_REGION": "us-east-1",
    }  # fmt: skip
    started = [programs(name, env) for name in PIPELINE]
    return Exported([program.metrics() for program in started])


@pytest.fixture
def pipeline(request, programs, sim, open_topics, stage, tmp_path):
    """pipeline(receivers=1, executors=1, redrivers=1, ...): starts them, waits until they are ready.

    `env` goes to all three programs, `receiver_env` and so on to one kind, `sim_env` to the sim;
    `broker`: another than the shared one; `ready=False` does not wait.
    """
    made = []

    def make(
        receivers=1, executors=1, redrivers=1, env=None, receiver_env=None, executor_env=None,
        redriver_env=None, sim_env=None, broker=None, ready=True,
    ):  # fmt: skip
        broker = broker or request.getfixturevalue("kafka")
        p = Pipeline(
            programs, broker, open_topics(broker), stage, tmp_path, sim(**(sim_env or {})), env
        )
        made.append(p)
        for _ in range(receivers):
            p.add_receiver(receiver_env)
        for _ in range(executors):
            p.add_executor(executor_env)
        for _ in range(redrivers):
            p.add_redriver(redriver_env)
        if ready:
            p.wait_ready()
        return p

    yield make
