"""A real Apache Kafka on this machine: one KRaft node, from the jars in build/kafka.

By itself, for measurements:  python -m harness.kafka --bootstrap-file F [--port P] [--heap 1g]
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.paths import KAFKA, TOP
from harness.wait import free_port, wait_until

# So that it ends with the process that started it, however that ends. The kernel looks at the
# thread that started it: start brokers and programs from the main thread only.
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=4
"""


def classpath():
    jars = sorted((KAFKA / "libs").glob("*.jar"))
    if not jars:
        raise AssertionError("no Kafka in build/kafka/libs: `make build/kafka/ready` brings it")
    return ":".join(map(str, jars))


def java(main, *args, heap="512m", options=()):
    """The command line that runs a class of Kafka's."""
    return [
        "java", f"-Xmx{heap}", "-XX:+UseSerialGC", *options,
        f"-Dlog4j2.configurationFile={TOP}/tests/kafka/log4j2.xml",
        "-cp", classpath(), main, *map(str, args),
    ]  # fmt: skip


def environment():
    """For java: nothing that could configure a client or a JVM by accident."""
    keep = ("PATH", "HOME", "LANG", "JAVA_HOME", "TMPDIR")
    return {k: os.environ[k] for k in keep if k in os.environ}


class Kafka:
    """A broker with ports and data of its own. `start()` after `kill()` or `stop()` is the same
    broker again: same ports, same data. `properties` are added to server.properties.

    `listeners`: {name: (security protocol, {property: value})}, beside the plain one that
    `bootstrap` names; `address(name)` is where one is. `advertised`: {name: port}, where clients are
    told that one is, when something else stands there in front of it. `options`: of java.
    """

    def __init__(
        self, directory, port=None, heap="512m", properties=None, quick=True, listeners=None,
        advertised=None, options=(),
    ):  # fmt: skip
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.controller_port = free_port()
        self.heap = heap
        self.properties = dict(properties or {})
        self.listeners = dict(listeners or {})
        self.ports = {name: free_port() for name in self.listeners}
        self.advertised = self.ports | (advertised or {})
        self.options = list(options)
        self.quick = quick  # start fast, at the price of slower code later
        self.process = None
        self.log_path = self.directory / "kafka.log"

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def address(self, listener):
        return f"127.0.0.1:{self.ports[listener]}"

    @property
    def pid(self):
        return self.process.pid

    def server_properties(self, data):
        text = PROPERTIES.format(
            port=self.port, controller_port=self.controller_port, data=data,
            listeners="".join(f",{n}://{self.address(n)}" for n in self.listeners),
            advertised="".join(f",{n}://127.0.0.1:{p}" for n, p in self.advertised.items()),
            protocols="".join(f",{n}:{protocol}" for n, (protocol, _) in self.listeners.items()),
        )  # fmt: skip
        for name, (_, properties) in self.listeners.items():
            prefix = f"listener.name.{name.lower()}."
            text += "".join(f"{prefix}{k}={v}\n" for k, v in properties.items())
        return text + "".join(f"{k}={v}\n" for k, v in self.properties.items())

    @property
    def data(self):
        return self.directory / "data"

    def format(self):
        """Makes the storage folder of a first start."""
        shutil.copytree(formatted(), self.data)

    def start(self, timeout=60):
        self.launch()
        try:
            wait_until(self.answers, timeout, "Kafka to answer", interval=0.05)
        except AssertionError:
            self.kill()
            raise AssertionError("Kafka did not come up:\n" + self.log_tail()) from None
        return self

    def launch(self):
        """Starts the process and does not wait until it answers."""
        assert self.process is None, "already started"
        if not self.data.exists():
            self.format()
        config = self.directory / "server.properties"
        config.write_text(self.server_properties(self.data))
        options = self.options
        if self.quick:
            options = ["-XX:TieredStopAtLevel=1", *class_archive(), *options]
        command = java("kafka.Kafka", config, heap=self.heap, options=options)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                DIE_WITH_PARENT + command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(), cwd=self.directory,
            )  # fmt: skip

    def answers(self):
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        if self.process.poll() is not None:
            raise RuntimeError("Kafka ended:\n" + self.log_tail())
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def log_tail(self, n=40):
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-n:])

    def signal(self, number):
        """SIGSTOP and SIGCONT make a broker that neither answers nor hangs up."""
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL: as if the machine's power had gone, but for the page cache."""
        self._end(signal.SIGKILL)

    def stop(self, timeout=30):
        """A clean shut-down."""
        self._end(signal.SIGTERM, timeout)

    def _end(self, number, timeout=30):
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("Kafka did not stop:\n" + self.log_tail()) from None
        finally:
            self.process = None


def formatted():
    """An empty formatted storage folder, to be copied: formatting takes seconds of Java."""
    folder = KAFKA / "formatted"
    with open(KAFKA / "formatted.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        with tempfile.TemporaryDirectory() as tmp:
            config = Path(tmp) / "server.properties"
            data = Path(tmp) / "data"
            config.write_text(PROPERTIES.format(
                port=1, controller_port=2, data=data, listeners="", advertised="", protocols=""
            ))
            run = subprocess.run(
                java("kafka.tools.StorageTool", "format", "-t", "AthenaQueryTests000000",
                     "-c", config),
                env=environment(), capture_output=True, text=True,
            )  # fmt: skip
            assert run.returncode == 0, run.stdout + run.stderr
            shutil.copytree(data, str(folder) + ".new")
        os.rename(str(folder) + ".new", folder)
        return folder


def class_archive():
    """Java's options to start from an archive of Kafka's loaded classes: in half the time.

    The archive is made once, of a broker that has come up. Where this Java cannot, there is none.
    """
    archive = KAFKA / "classes.jsa"
    with open(KAFKA / "classes.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            with tempfile.TemporaryDirectory() as tmp:
                kafka = Kafka(tmp, quick=False, options=[f"-XX:ArchiveClassesAtExit={archive}"])
                kafka.start().stop(timeout=300)
            lock.write("made\n")
    return [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []


def main():
    parser = argparse.ArgumentParser(description="Runs a Kafka broker until SIGINT or SIGTERM.")
    parser.add_argument("--bootstrap-file", help="where its address is written once it answers")
    parser.add_argument("--port", type=int)
    parser.add_argument("--heap", default="1g")
    parser.add_argument("--directory", help="kept; default: a temporary one")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        directory = args.directory or stack.enter_context(tempfile.TemporaryDirectory())
        kafka = Kafka(directory, port=args.port, heap=args.heap, quick=False).start()
        stack.callback(kafka.stop)
        print(kafka.bootstrap, flush=True)
        if args.bootstrap_file:
            Path(args.bootstrap_file).write_text(kafka.bootstrap + "\n")
        try:
            kafka.process.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
