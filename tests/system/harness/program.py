"""The programs under test as processes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from harness.kafka import DIE_WITH_PARENT
from harness.paths import BIN
from harness.wait import SLOWNESS, wait_until

SANITIZERS = {
    "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "exitcode=99:halt_on_error=0:second_deadlock_stack=1",
}
SANITIZER_REPORT = re.compile(
    r"(?:AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error):"
)


TCP_STATES = dict(
    enumerate(
        "ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN "
        "CLOSING".split(),
        start=1,
    )
)


def tcp_sockets(pid):
    """{"socket:[inode]": "tcp STATE local port -> remote port"} as the process sees them."""
    found = {}
    for family in ("tcp", "tcp6"):
        path = Path(f"/proc/{pid}/net/{family}")
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            local, remote = (int(f.rsplit(":", 1)[1], 16) for f in fields[1:3])
            state = TCP_STATES.get(int(fields[3], 16), fields[3])
            found[f"socket:[{fields[9]}]"] = f"{family} {state} {local} -> {remote}"
    return found


def children(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(") ", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def without_repetition(lines):
    """Of lines that say the same in a row, but for numbers: the first, the last and how many."""
    shape, run, kept = None, [], []

    def end():
        if len(run) > 3:
            kept.extend([run[0], f"    ... {len(run) - 2} more like it ...", run[-1]])
        else:
            kept.extend(run)

    for line in lines:
        this = re.sub(r"[0-9a-f]{8}[0-9a-f-]+|\d+", "#", line)
        if this != shape:
            end()
            shape, run = this, []
        run.append(line)
    end()
    return kept


def clean_environment(env, home):
    """`env` and what a process needs at all; nothing of AWS_, KAFKA_ … comes from outside."""
    base = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "LANG": "C.UTF-8"}
    return base | SANITIZERS | {k: str(v) for k, v in env.items() if v is not None}


def run_program(name, args=(), env=None, timeout=30, cwd=None, input=None):
    """Runs a program to its end, for --help and the like: a CompletedProcess with text."""
    home = cwd or "/"
    done = subprocess.run(
        DIE_WITH_PARENT + [str(BIN / name), *map(str, args)],
        env=clean_environment(env or {}, home), cwd=home, input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True, text=True, errors="replace", timeout=timeout * SLOWNESS,
    )  # fmt: skip
    report = SANITIZER_REPORT.search(done.stderr)
    assert not report, f"{name}: a sanitizer reports:\n{done.stderr}"
    return done


class Program:
    """One program, perhaps started several times; each start appends to the same log.

    `env` is all the environment it has. It may be changed between two starts.
    """

    def __init__(self, name, env=None, args=(), directory=None, label=None):
        self.name = name
        self.label = label or name
        self.env = dict(env or {})
        self.args = list(args)
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log_path = self.directory / f"{self.label}.log"
        self.out_path = self.directory / f"{self.label}.out"
        self.process = None
        self.log_start = 0  # where the log of the latest start begins
        self.asked = False  # to stop: a second SIGTERM would end it without a drain
        self.awaited = False  # its end is no surprise
        self.paused = False  # by SIGSTOP

    # Starting and ending ------------------------------------------------------------------------

    def start(self):
        assert not self.running, f"{self.label} runs already"
        assert (BIN / self.name).exists(), f"{BIN / self.name} is not built"
        self.asked = self.awaited = self.paused = False
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log, open(self.out_path, "ab") as out:
            self.process = subprocess.Popen(
                DIE_WITH_PARENT + [str(BIN / self.name), *map(str, self.args)],
                env=clean_environment(self.env, self.directory), cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
            )  # fmt: skip
        return self

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    @property
    def exit_code(self):
        """None while it runs; -9 after SIGKILL."""
        return None if self.process is None else self.process.poll()

    def signal(self, number):
        self.process.send_signal(number)
        if number in (signal.SIGSTOP, signal.SIGCONT):
            self.paused = number == signal.SIGSTOP

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def wait(self, timeout=15):
        """Waits for its end and returns the exit code."""
        try:
            code = self.process.wait(timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            where = self.threads()
            raise AssertionError(
                f"{self.label} did not end:\n{self.log_tail()}\n{where}"
            ) from None
        self.awaited = True
        return code

    def kill(self):
        """SIGKILL."""
        if self.running:
            self.process.kill()
            self.process.wait()
            self.awaited = True

    def ask_to_stop(self):
        """One SIGTERM."""
        if self.running and not self.asked:
            self.asked = True
            self.process.terminate()

    def stop(self, timeout=15, expect=0):
        """SIGTERM; the exit code must be `expect`."""
        self.ask_to_stop()
        code = self.wait(timeout)
        assert code == expect, f"{self.label} ended with {code}, not {expect}:\n{self.log_tail()}"

    def finish(self):
        """The end of a test: stops it if it runs, and returns what is wrong with it, or None."""
        trouble = None
        if self.process is None:
            return None
        if self.running or (self.asked and not self.awaited):
            # Only then: LeakSanitizer stops the process by SIGSTOP, and SIGCONT cancels a SIGSTOP
            # that is on its way, for which it would wait for ever.
            if self.paused:
                self.resume()
            try:
                self.stop()
            except AssertionError as e:
                trouble = str(e)
                self.kill()
        elif not self.awaited:
            trouble = f"{self.label} ended by itself with {self.exit_code}:\n{self.log_tail()}"
        if SANITIZER_REPORT.search(self.log(all_starts=True)):
            trouble = f"{self.label}: a sanitizer reports:\n{self.log(all_starts=True)[-8000:]}"
        return trouble

    # What it says ----------------------------------------------------------------------------

    def log(self, all_starts=False):
        """Its stderr, of the latest start."""
        if not self.log_path.exists():
            return ""
        raw = self.log_path.read_bytes()
        return raw[0 if all_starts else self.log_start :].decode(errors="replace")

    def log_tail(self, n=40):
        """The last n lines, where lines that differ in numbers only count as one."""
        return "\n".join(without_repetition(self.log(all_starts=True).splitlines())[-n:])

    def wait_log(self, pattern, timeout=10):
        """Waits until a regular expression is found in the log; returns the match."""

        def look():
            found = re.search(pattern, self.log())
            if not found and not self.running:
                found = re.search(pattern, self.log())  # said just before it ended
                if not found:
                    raise RuntimeError(
                        f"{self.label} ended with {self.exit_code} before it said "
                        f"{pattern!r}:\n{self.log_tail()}"
                    )
            return found

        return wait_until(look, timeout, lambda: f"{pattern!r} from {self.label}:\n" + self.log_tail())

    @property
    def address(self):
        """host:port of its main listener, as it logged it."""
        return self.wait_log(r"listening on (\S+:\d+)").group(1)

    @property
    def admin_address(self):
        return self.wait_log(r"admin on (\S+:\d+)").group(1)

    @property
    def url(self):
        return "http://" + self.address

    @property
    def admin_url(self):
        return "http://" + self.admin_address

    def metrics(self):
        from harness.metrics import scrape

        return scrape(self.admin_url + "/metrics")

    def ready(self):
        """True when /readyz says so. Needs ADMIN_LISTEN."""
        import requests

        try:
            return requests.get(self.admin_url + "/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def wait_ready(self, timeout=20):
        wait_until(
            self.ready, timeout, lambda: f"{self.label} to be ready:\n" + self.log_tail()
        )
        return self

    def wait_refused(self):
        """Waits until it says that it cannot sign in to Kafka, in the log and at /readyz; the line."""
        line = self.wait_log(r"WARN .*?: kafka: ((?:sign-in|TLS) failed.*)").group(1)
        self.wait_unready(line[:60])
        return line

    def wait_unready(self, why):
        """Waits until /readyz says that it is not, and why."""
        import requests

        said = []

        def says_why():
            answer = requests.get(self.admin_url + "/readyz", timeout=5)
            said[:] = [answer.status_code, answer.text]
            return answer.status_code == 503 and why in answer.text

        wait_until(says_why, what=lambda: f"/readyz of {self.label} to say {why!r}, not {said}")

    # What it uses ----------------------------------------------------------------------------

    def memory_kib(self):
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def open_files(self):
        """{descriptor: what it is}, a socket with its state and both ends."""
        sockets = tcp_sockets(self.pid)
        found = {}
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                what = os.readlink(f"/proc/{self.pid}/fd/{fd}")
                found[int(fd)] = sockets.get(what, what)
        return found

    def threads(self):
        """What each of its threads, and of its children, is at: for one that hangs."""
        found = []
        for process in [self.pid, *children(self.pid)]:
            for task in sorted(Path(f"/proc/{process}/task").glob("*")):
                found.append(f"process {process} thread {task.name}")
                for name in ("comm", "wchan", "syscall", "stack"):
                    with contextlib.suppress(OSError):
                        found[-1] += f" {name}: {(task / name).read_text().strip()}"
                with contextlib.suppress(OSError):
                    status = (task / "status").read_text()
                    found += re.findall(r"(?:State|TracerPid|PPid|...Pnd):.*", status)
        if shutil.which("gdb"):
            done = subprocess.run(
                ["gdb", "-p", str(self.pid), "-batch", "-nx", "-ex", "thread apply all bt 20"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", timeout=60 * SLOWNESS,
            )  # fmt: skip
            found.append(done.stdout)
        return "\n".join(found)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
