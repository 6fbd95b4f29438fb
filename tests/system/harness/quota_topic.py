"""The quota topic as it is being written (docs/fleet.md), read by a consumer of its own."""

import json
import time
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from harness.wait import SLOWNESS

DML = 0


@dataclass
class Grant:
    """Of the DML lane."""

    epoch: int
    version: int
    limit: int
    learned: bool
    check: int
    shares: dict  # {member: slots}

    @property
    def granted(self):
        return sum(self.shares.values())


def read_grant(grant):
    lane = grant["lanes"][DML]
    return Grant(
        grant["epoch"], grant["version"], lane["limit"], lane["learned"], lane["check"],
        {s["id"]: s["lanes"][DML] for s in grant["shares"]},
    )  # fmt: skip


@dataclass
class Term:
    """What one leader has written: its claim, whose offset is its epoch, and its grants.

    Of grants that say the same, once a second, the first.
    """

    epoch: int
    claimant: str
    grants: list = field(default_factory=list)


class QuotaTopic:
    """Reads the topic from its start, record by record. Close it."""

    def __init__(self, bootstrap, topic):
        self.terms = []
        self.graves = []  # (offset, member): tombstones
        self.reports = {}  # {member: its last one}
        self.trouble = []  # grants and reports that break a rule
        self.most = None  # the highest limit since forget_most(); what is obeyed is checked from then
        # What a member that is cut off has running is followed by the next owners at once, beside
        # what they hold: so much may they hold over the limit meanwhile (quota.h).
        self.taken_over = 0
        self._forgotten = {}  # {member: the version when it was buried}, until it knows
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "harness-reads-without-a-group",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
            }
        )
        self._place = TopicPartition(topic, 0, 0)
        self._consumer.assign([self._place])

    def close(self):
        self._consumer.close()

    @property
    def term(self):
        return self.terms[-1] if self.terms else None

    @property
    def grant(self):
        """The last one of the leader; None before its first."""
        return self.term.grants[-1] if self.terms and self.term.grants else None

    def forget_most(self):
        """Of the limits, all but those of grants that somebody may still obey."""
        oldest = min([r["version"] for r in self.reports.values()], default=0)
        grants = [g for term in self.terms for g in term.grants if g.version >= oldest]
        self.most = max([g.limit for g in grants], default=0)

    def until(self, predicate, timeout):
        """Reads until predicate(self) is true after some record; whether it was in time."""
        end = time.monotonic() + timeout * SLOWNESS
        while time.monotonic() < end:
            if self._take(0.02) and predicate(self):
                return True
        return False

    def to_end(self):
        """Reads all that is there now."""
        _, end = self._consumer.get_watermark_offsets(self._place, timeout=10)
        last = end - 1
        while last >= 0 and self._at() <= last:
            self._take(0.02)
        return self

    def _at(self):
        """The next offset to be read."""
        return max(self._consumer.position([self._place])[0].offset, 0)

    def _take(self, seconds):
        message = self._consumer.poll(seconds)
        if message is None:
            return False
        assert not message.error(), message.error()
        self._read(message.offset(), message.key().decode(), message.value())
        return True

    def _read(self, offset, key, value):
        said = json.loads(value) if value else {}
        if not said:
            member = key.removeprefix("member/")
            self.graves.append((offset, member))
            if self.reports.pop(member, None):
                self._forgotten[member] = self.grant.version if self.grant else 0
        elif "claim" in said:
            self.terms.append(Term(offset, said["claim"]["id"]))
        elif "grant" in said:
            self._read_grant(offset, read_grant(said["grant"]))
        else:
            self._read_report(offset, said["report"])

    def _read_grant(self, offset, grant):
        if not self.terms or grant.epoch != self.term.epoch:
            return  # nobody heeds it
        if grant.granted > grant.limit + 1:
            self.trouble.append(f"{offset}: {grant} gives more than its limit and a probe")
        if self.most is not None:
            self.most = max(self.most, grant.limit)
        if not self.grant or self.grant.version != grant.version:
            self.term.grants.append(grant)

    def _read_report(self, offset, report):
        if report["version"] <= self._forgotten.get(report["id"], -1):
            if report["lanes"][DML]["share"] > 0:
                return  # written while it was cut off: it has not read that it is forgotten
        self._forgotten.pop(report["id"], None)
        was = self.reports.get(report["id"])
        if was and 0 < report["version"] < was["version"]:
            self.trouble.append(f"{offset}: {report['id']} obeys an earlier grant again")
        self.reports[report["id"]] = report
        if self.most is None:
            return
        said = {k: r["lanes"][DML] for k, r in self.reports.items()}
        shares = {k: r["share"] for k, r in said.items()}
        # Some go on with what they have learned alone, until a grant tells.
        alone = [said[k]["limit"] for k, r in self.reports.items() if r["version"] <= 0]
        most = max([self.most, *alone])
        if sum(shares.values()) > most + 1 + self.taken_over:
            self.trouble.append(f"{offset}: obeyed are {shares}, the limit is {most} at most")
