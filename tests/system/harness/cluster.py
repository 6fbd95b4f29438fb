"""Three real brokers as one cluster: KRaft, each is controller and broker, every topic on all three.

Programs reach each broker through a port of a proxy's, if `proxies` is given; the harness looks at
the brokers' own ports, so that what it sees is never what the proxy has done.
"""

import base64
import contextlib
import re
import socket
import subprocess
import uuid

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from harness.kafka import Kafka
from harness.wait import wait_until

BROKERS = 3

PROPERTIES = {
    "default.replication.factor": BROKERS,
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": BROKERS,
    # A follower that is dead or asleep holds nobody up for long.
    "replica.lag.time.max.ms": 3000,
    "replica.socket.timeout.ms": 3000,
    "controller.quorum.request.timeout.ms": 1000,
    # Leaders spread again over the brokers that are back.
    "leader.imbalance.check.interval.seconds": 2,
    "leader.imbalance.per.broker.percentage": 0,
    "log.segment.delete.delay.ms": 1000,
    "log.cleaner.threads": 1,
    "num.recovery.threads.per.data.dir": 1,
    "background.threads": 2,
    "num.network.threads": 1,
    "num.io.threads": 2,
}


class Broker(Kafka):
    """One of the cluster's. `id` from 1. `disk`: a SmallDisk for its data."""

    def __init__(self, directory, number, disk=None, **how):
        super().__init__(directory, **how)
        self.id = number
        self.disk = disk

    @property
    def data(self):
        return (self.disk.path if self.disk else self.directory) / "data"

    def format(self):
        super().format()
        path = self.data / "meta.properties"
        text = re.sub(r"(?m)^node\.id=.*$", f"node.id={self.id}", path.read_text())
        # A directory's id is 16 bytes in URL-safe base 64, and no two brokers have the same.
        name = re.sub(r"(?m)^directory\.id=.*$", f"directory.id={directory_id()}", text)
        path.write_text(name)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def reap(self):
        """Forgets a process that has ended by itself, so that it can be started again."""
        if self.process is not None and self.process.poll() is not None:
            self.process = None

    @property
    def listens(self):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", self.port)) == 0


def directory_id():
    while True:  # one that begins with a dash is not allowed
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


class SmallDisk:
    """A file system of its own for a broker's data, which can be filled. Needs the right to mount."""

    def __init__(self, path, megabytes):
        self.path = path
        self.path.mkdir(parents=True, exist_ok=True)
        self.mounted = False
        size = f"size={megabytes}m"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)], capture_output=True, text=True
        )
        self.mounted = done.returncode == 0
        self.trouble = done.stderr.strip()

    def fill(self):
        """To the last byte."""
        piece = b"x" * 65536
        with contextlib.suppress(OSError), open(self.path / "filler", "ab", buffering=0) as f:
            while f.write(piece) == len(piece):
                pass

    def free(self):
        (self.path / "filler").unlink(missing_ok=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.path)], capture_output=True)
            self.mounted = False


class Cluster:
    """`start()` brings all up; a context manager ends all.

    `proxies`: {number: port}, where programs are told that a broker is. `disk_mb`: each broker's
    data is on a disk of that size, where that can be mounted (`broker.disk`).
    """

    def __init__(self, directory, proxies=None, heap="256m", disk_mb=0, properties=None):
        self.directory = directory
        self.proxies = dict(proxies or {})
        listeners = {"WAY": ("PLAINTEXT", {})} if proxies else {}
        self.brokers = {}
        for n in range(1, BROKERS + 1):
            place = directory / f"broker-{n}"
            disk = SmallDisk(place / "disk", disk_mb) if disk_mb else None
            advertised = {"WAY": self.proxies[n]} if proxies else {}
            self.brokers[n] = Broker(
                place, n, disk=disk if disk and disk.mounted else None,
                heap=heap, listeners=listeners, advertised=advertised,
            )  # fmt: skip
        voters = ",".join(f"{b.id}@127.0.0.1:{b.controller_port}" for b in self.all)
        for b in self.all:
            b.properties = PROPERTIES | {"node.id": b.id, "controller.quorum.voters": voters}
            b.properties |= properties or {}
        self._admin = None

    all = property(lambda self: list(self.brokers.values()))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    @property
    def bootstrap(self):
        """The brokers' own ports."""
        return ",".join(b.bootstrap for b in self.all)

    @property
    def proxied(self):
        """Through the proxies."""
        return ",".join(f"127.0.0.1:{self.proxies[b.id]}" for b in self.all)

    def start(self, timeout=90):
        try:
            for broker in self.all:
                broker.launch()
            self.wait_whole(timeout)
        except BaseException:
            self.kill()
            raise
        return self

    def kill(self):
        for broker in self.all:
            broker.kill()
            if broker.disk:
                broker.disk.close()

    @property
    def admin(self):
        if self._admin is None:
            self._admin = AdminClient(
                {
                    "bootstrap.servers": self.bootstrap, "log_level": 0,
                    "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.interval.ms": 1000,
                }
            )  # fmt: skip
        return self._admin

    def metadata(self, timeout=2):
        """What the brokers say; None where none says anything."""
        with contextlib.suppress(KafkaException):
            return self.admin.list_topics(timeout=timeout)
        return None

    def what_lacks(self):
        """Why the cluster is not whole; None where it is: all brokers, every replica in sync."""
        deaf = [b.id for b in self.all if not b.running or not b.listens]
        if deaf:
            return f"brokers {deaf} do not listen"
        seen = self.metadata()
        if seen is None or len(seen.brokers) < BROKERS:
            return f"of the brokers only {sorted(seen.brokers) if seen else []} are known"
        for topic in seen.topics.values():
            for p in topic.partitions.values():
                if p.leader < 0 or len(p.isrs) < len(p.replicas):
                    return f"{topic.topic}[{p.id}]: leader {p.leader}, in sync {p.isrs}"
        return None

    def wait_whole(self, timeout=90):
        wait_until(
            lambda: self.what_lacks() is None, timeout,
            lambda: f"the cluster to be whole: {self.what_lacks()}\n" + self.log_tails(),
            interval=0.2,
        )  # fmt: skip

    def leader(self, topic, partition):
        """The broker that leads it; None where none does, or nobody knows."""
        seen = self.metadata()
        found = seen and seen.topics.get(topic)
        place = found and found.partitions.get(partition)
        return self.brokers.get(place.leader) if place else None

    def log_tails(self, n=15):
        return "\n".join(f"--- broker {b.id}\n{b.log_tail(n)}" for b in self.all)
