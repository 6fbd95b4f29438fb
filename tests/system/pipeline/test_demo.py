"""`make demo` and `make run`: what a user sees first, and that nothing of it stays."""

import json
import os
import pty
import re
import signal
import subprocess
import threading

import pytest

from harness.kafka import DIE_WITH_PARENT
from harness.paths import BUILD, TOP
from harness.wait import SLOWNESS, wait_until

pytestmark = pytest.mark.timeout(180)


class Demo:
    """deploy/demo, on a terminal or not. Its programs are known by the HOME that it gives them."""

    def __init__(self, directory, args=(), terminal=False):
        self.directory = directory
        variant = BUILD.relative_to(TOP / "build")
        env = dict(os.environ, TMPDIR=str(directory), TERM="xterm", VARIANT=str(variant).strip("."))
        command = [*DIE_WITH_PARENT, str(TOP / "deploy/demo"), *args]
        self.text = b""
        reader, writer = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            command, env=env, cwd="/", stdin=writer if terminal else subprocess.DEVNULL,
            stdout=writer, stderr=writer, start_new_session=True,
        )  # fmt: skip
        os.close(writer)
        self.reader = threading.Thread(target=self._read, args=[reader], daemon=True)
        self.reader.start()

    def _read(self, fd):
        try:
            while data := os.read(fd, 65536):
                self.text += data
        except OSError:
            pass  # so a terminal ends
        os.close(fd)

    @property
    def output(self):
        return self.text.decode(errors="replace").replace("\r\n", "\n")

    def wait_output(self, pattern, timeout=60):
        def look():
            return re.search(pattern, self.output) or self.process.poll() is not None

        wait_until(look, timeout, lambda: f"{pattern} in:\n{self.output}")
        assert (found := re.search(pattern, self.output)), self.output
        return found

    def wait(self, timeout=90):
        status = self.process.wait(timeout * SLOWNESS)
        self.reader.join(5)
        return status

    def programs(self):
        """{pid: name} of what it has started and what still runs."""
        found = {}
        mark = f"HOME={self.directory}/".encode()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/environ", "rb") as env:
                    if any(word.startswith(mark) for word in env.read().split(b"\0")):
                        found[int(entry)] = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
            except OSError:
                continue
        return found


@pytest.fixture
def demo(tmp_path):
    started = []

    def start(*args, terminal=False):
        started.append(Demo(tmp_path, args, terminal))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()  # no more than what a test has left
        one.process.wait()
        for pid in one.programs():
            os.kill(pid, signal.SIGKILL)


EVERY_PROGRAM = [
    "athena-query-executor", "athena-query-executor", "athena-query-receiver",
    "athena-query-redriver", "athena-sim", "dev-broker",
]  # fmt: skip


def test_a_burst_to_its_end(demo, tmp_path):
    d = demo()
    d.wait_output("SUCCEEDED")
    assert sorted(d.programs().values()) == EVERY_PROGRAM
    assert d.wait() == 0, d.output
    assert "\033" not in d.output
    counts = [
        dict((state, int(n)) for state, n in re.findall(r"([A-Z]+) (\d+)", line))
        for line in d.output.splitlines()
        if re.match(r" *\d+ s  QUEUED", line)
    ]
    assert counts[-1] == {"QUEUED": 0, "THROTTLED": 0, "STARTED": 0, "SUCCEEDED": 100}
    assert all(sum(c.values()) == 100 for c in counts), d.output
    assert any(c["THROTTLED"] for c in counts), d.output
    told = re.search(r"counted (\d+) starts, and\nrefused (\d+) calls", d.output)
    assert told and int(told[1]) == 100 and int(told[2]) > 0, d.output
    assert not d.programs()
    assert not list(tmp_path.iterdir())


def test_ctrl_c_on_a_terminal(demo, tmp_path):
    d = demo(terminal=True)
    d.wait_output(r"STARTED +[1-9]")
    os.killpg(d.process.pid, signal.SIGINT)
    assert d.wait() == 130, d.output
    assert d.output.endswith("\033[?25h")  # the cursor is there again
    assert not d.programs()
    assert not list(tmp_path.iterdir())


def test_a_program_that_ends_is_a_failure_with_its_log(demo):
    d = demo()
    d.wait_output(r"STARTED [1-9]")
    pid = next(pid for pid, name in d.programs().items() if name == "athena-query-redriver")
    os.kill(pid, signal.SIGKILL)
    assert d.wait() == 1
    assert "demo: redriver has ended" in d.output
    for name in ("broker", "athena-sim", "receiver", "executor-1", "executor-2", "redriver"):
        assert f"--- the end of {name}.log" in d.output
    assert "INFO athena-query-redriver: up" in d.output
    assert not d.programs()


def test_the_lines_that_run_prints(demo, tmp_path):
    d = demo("--run")
    d.wait_output(r"forgets it at the end\.\n")

    def shell(line):
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, timeout=30 * SLOWNESS
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return done.stdout

    lines = re.findall(r"^  ((?:curl|echo|kcat) .*?)(?:    \S.*)?$", d.output, re.MULTILINE)
    post, look_up, inject, watch, *metrics = lines
    assert json.loads(shell(post))["state"] == "QUEUED"
    shell(inject)
    wait_until(lambda: json.loads(shell(look_up))["state"] == "SUCCEEDED", 30, "SUCCEEDED")
    of_q2 = look_up.replace("q1", "q2")
    wait_until(lambda: json.loads(shell(of_q2)).get("state") == "SUCCEEDED", 30, "SUCCEEDED")
    seen = shell(watch + " -e -q")
    assert '"STARTED"' in seen and "ada/q1 {" in seen and "ada/q2 {" in seen
    texts = [shell(line) for line in metrics]
    assert len(texts) == 5
    assert any("athena_query_start_total" in text for text in texts)
    d.process.send_signal(signal.SIGINT)
    assert d.wait() == 0, d.output
    assert not d.programs()
    assert not list(tmp_path.iterdir())
