"""The tests' own tools: what they lean on must hold, and a failure must count."""

import os
import subprocess
import textwrap

import pytest

from harness import metrics
from harness.paths import TOP
from harness.wait import free_port, stays, wait_until

UNIT_TEST = """
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_sum(void **state)
{
    (void)state;
    assert_int_equal(1 + 1, SUM);
}

static void test_other(void **state)
{
    (void)state;
    OTHER;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sum), cmocka_unit_test(test_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
"""


def test_kafka_keeps_what_it_acknowledged_over_a_kill(own_kafka, open_topics, unique):
    broker = own_kafka()
    topics = open_topics(broker)
    topics.create(unique, partitions=3, config={"cleanup.policy": "delete"})
    places = topics.produce_all(unique, [(b"k%d" % (i % 7), b"v%d" % i) for i in range(200)])
    where = topics.produce(unique, b"text", b"key", headers=[("a", b"1"), ("b", "ä".encode())])

    broker.kill()
    broker.start()

    records = topics.read(unique)
    assert {(r.partition, r.offset) for r in records} == {*places, where}
    assert {r.value for r in records} == {b"v%d" % i for i in range(200)} | {b"text"}
    (last,) = [r for r in records if r.value == b"text"]
    assert (last.key, last.headers) == (b"key", {"a": "1", "b": "ä"})
    assert last.timestamp_ms > 0
    assert topics.count(unique) == 201


def test_kafka_creates_no_topic_by_itself(topics, unique):
    with pytest.raises(AssertionError):
        topics.produce(unique, b"v")
    assert topics.partitions(unique) == 0


def test_console_producer_writes_lines(topics, unique):
    topics.create(unique)
    topics.console_producer(unique, [b'{"query":"SELECT 1"}', "ünï".encode()])
    records = topics.read(unique)
    assert [(r.key, r.value) for r in records] == [
        (None, b'{"query":"SELECT 1"}'),
        (None, "ünï".encode()),
    ]


def test_committed_offsets_come_with_their_metadata(kafka, topics, unique):
    from confluent_kafka import Consumer, TopicPartition

    topics.create(unique)
    topics.produce_all(unique, [(None, b"x")] * 5)
    assert topics.committed(unique, unique) == {}
    assert topics.lag(unique, unique) == 5
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": unique})
    consumer.commit(
        offsets=[TopicPartition(unique, 0, 3, metadata="beyond")], asynchronous=False
    )
    consumer.close()
    assert topics.committed(unique, unique) == {0: (3, "beyond")}
    assert topics.lag(unique, unique) == 2


def test_wait_until_returns_the_value_or_says_what_was_missing():
    answers = iter([None, 0, "", "here"])
    assert wait_until(lambda: next(answers), 5, "an answer") == "here"
    with pytest.raises(AssertionError, match="for the moon; last: 0"):
        wait_until(lambda: 0, 0.05, "the moon")

    def never():
        raise AssertionError("three are missing")

    with pytest.raises(AssertionError, match="three are missing"):
        wait_until(never, 0.05, "all")
    with pytest.raises(AssertionError, match="peace"):
        stays(lambda: False, 1, "peace")


def test_free_ports_differ_and_are_no_ephemeral_ones():
    low = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 15
    assert max(ports) < low


def test_prometheus_text_is_read():
    text = textwrap.dedent(
        r"""
        # HELP a_total Things.
        # TYPE a_total counter
        a_total{state="OK",db="x \"y\""} 3
        a_total{state="BAD"} 4
        up 1
        """
    )
    found = metrics.parse(text)
    assert found.types == {"a_total": "counter"}
    assert found.sum("a_total") == 7
    assert found.sum("a_total", db='x "y"') == 3
    assert found.sum("up") == 1 and not found.has("down")
    for broken in ("a b c", 'a{b="c"} 1\na{b="c"} 2', "a{b=c} 1", "a{b=\"c} 1"):
        with pytest.raises(AssertionError):
            metrics.parse(broken)


# The runner ------------------------------------------------------------------------------------


def compile_unit_test(directory, name, sum=2, other="(void)0"):
    source = directory / f"{name}.c"
    source.write_text(UNIT_TEST)
    command = ["cc", "-o", directory / name, source, f"-DSUM={sum}", f"-DOTHER={other}", "-lcmocka"]
    subprocess.run(command, check=True)


def run_runner(tmp_path, unit=(), system=None):
    """tests/run over tests made for this; returns (exit status, output, last line)."""
    units = tmp_path / "unit"
    units.mkdir()
    suites = []
    for name, options in unit:
        compile_unit_test(units, name, **options)
        suites = ["unit"]
    if system is not None:
        suites.append("system")
        systems = tmp_path / "system"
        systems.mkdir()
        (systems / "test_made.py").write_text(textwrap.dedent(system))
        for name in ("conftest.py", "pytest.ini"):
            (systems / name).symlink_to(TOP / "tests/system" / name)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "AQ_"))}
    env["PYTHONPATH"] = str(TOP / "tests/system")
    done = subprocess.run(
        [TOP / "tests/run", "--no-build", "--unit-dir", units]
        + ["--system-dir", tmp_path / "system", *suites],
        env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    output = done.stdout + done.stderr
    return done.returncode, output, done.stdout.splitlines()[-1]


GOOD = ("test_good", {})


def test_runner_passes_what_passes(tmp_path):
    status, _, last = run_runner(tmp_path, [GOOD], "def test_a(): pass\n")
    assert (status, last) == (0, "3 passed, 0 failed, 0 skipped")


@pytest.mark.parametrize(
    "options, last",
    [
        ({"sum": 3}, "3 passed, 1 failed, 0 skipped"),
        ({"other": "skip()"}, "3 passed, 0 failed, 1 skipped"),
        ({"other": "_Exit(0)"}, "3 passed, 1 failed, 0 skipped"),  # ended before its plan
        ({"other": "__builtin_trap()"}, "3 passed, 1 failed, 0 skipped"),
    ],
)
def test_runner_counts_unit_tests_and_runs_those_behind_a_failure(tmp_path, options, last):
    bad = ("test_bad", options)  # runs before test_good
    status, output, found = run_runner(tmp_path, [bad, GOOD])
    assert found == last, output
    assert status == (0 if " 0 failed" in last else 1)
    assert "ok test_good" in output


@pytest.mark.parametrize(
    "text, last",
    [
        ("def test_a(): assert 0\ndef test_b(): pass", "3 passed, 1 failed, 0 skipped"),
        ("import pytest\ndef test_a(): pytest.skip('why')", "2 passed, 0 failed, 1 skipped"),
        (
            "import pytest\n@pytest.fixture\ndef f():\n    yield\n    assert 0\ndef test_a(f): pass",
            "3 passed, 1 failed, 0 skipped",
        ),
        ("import nothing_of_this_name", "2 passed, 1 failed, 0 skipped"),
        ("", "2 passed, 1 failed, 0 skipped"),  # no test at all is no success
        ("import os\ndef test_a(): os._exit(0)", "2 passed, 1 failed, 0 skipped"),
    ],
)
def test_runner_counts_system_tests(tmp_path, text, last):
    status, output, found = run_runner(tmp_path, [GOOD], text)
    assert found == last, output
    assert status == (0 if " 0 failed" in last else 1)
