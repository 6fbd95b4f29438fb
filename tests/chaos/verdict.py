"""What must hold once all is quiet, whatever happened in between."""

import collections
import dataclasses
import json
import time

import requests
from confluent_kafka import KafkaException

import evidence
import faults
from harness.pipeline import FINAL, sha256, status_key
from harness.wait import SLOWNESS

# How long a query may take to its end after the last fault has, and how long the rest may take.
SETTLE_S = 60
QUIET_S = 30
LATE_S = 60  # whether what is stuck then only comes late
# The status topic must have known an execution for so long that everybody can have read it.
KNOWN_S = 2

EXPECTED = {
    "fails": {"FAILED"}, "cancelled": {"CANCELLED"}, "refused": {"REJECTED"},
}  # fmt: skip

# Of a finding: what was promised and did not hold.
LOST = "lost"  # accepted, and never started without a word
TWICE = "twice"  # started twice
STUCK = "stuck"  # no end that a look-up shows, or a record that is left over
WRONG = "wrong"  # an end that it should not have had
BACK = "back"  # a final state that was taken back
ENDED = "ended"  # a program that ended by itself, or not when asked
CATEGORIES = [LOST, TWICE, STUCK, WRONG, BACK, ENDED]


@dataclasses.dataclass
class Finding:
    category: str
    text: str
    query: object = None

    def __str__(self):
        return f"{self.category.upper()}: {self.text}"


def wait_for(predicate, seconds, interval=0.1):
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds * SLOWNESS
    while not (done := predicate()) and time.monotonic() < end:
        time.sleep(interval)
    return done


class Judge:
    """Of one stage and its clients."""

    def __init__(self, stage, clients):
        self.stage, self.clients = stage, clients
        self.p = stage.p
        self.forgiven = 0  # second starts that only Athena's lost memory explains
        self.judged = set()
        self.snapshot = ""  # of all programs and topics, at the moment of a finding

    def settle(self, jobs):
        """Waits until every query has ended and nothing is left to do. Findings, as a list."""
        found = self._wait_ready()
        found += self._wait_accepted(jobs)
        found += self._wait_final()
        found += self._wait_nothing_left()
        found += self._judge_queries()
        found += self._take_back()
        return found

    # Waiting ------------------------------------------------------------------------------------

    def _wait_ready(self):
        late = []

        def ready():
            late[:] = [p for p in self.stage.permanent if not p.running or not self._is_ready(p)]
            return not late

        if wait_for(ready, SETTLE_S):
            return []
        return [Finding(STUCK, f"{p.label} is not ready: {self._readyz(p)}") for p in late]

    def _is_ready(self, program):
        try:
            return program.ready()
        except (AssertionError, RuntimeError, requests.RequestException):
            return False

    def _readyz(self, program):
        try:
            return requests.get(program.admin_url + "/readyz", timeout=5).text.strip()
        except (AssertionError, RuntimeError, requests.RequestException) as e:
            return type(e).__name__

    def _wait_accepted(self, jobs):
        if wait_for(lambda: all(j.done() for j in jobs), SETTLE_S):
            for job in jobs:
                job.result()  # a fault of the laboratory's own
            return []
        waiting = [q for q in self._queries() if not q.accepted and not q.refused]
        return [
            Finding(STUCK, f"{q.request.name} is not accepted: {q.told[-1:]}", q) for q in waiting
        ]

    def _queries(self):
        with self.clients.lock:
            return list(self.clients.queries.values())

    def _wait_final(self):
        """Until both receivers show an end of each accepted query."""
        open_ = {
            (q, r) for q in self._queries() if q.accepted and q.key not in self.judged
            for r in faults.RECEIVERS
        }  # fmt: skip
        last = {}

        def all_final():
            for query, receiver in list(open_):
                status, state = self.clients.look_up(query, receiver)
                last[query, receiver] = state["state"] if state else status
                if state and state["state"] in FINAL:
                    open_.discard((query, receiver))
            return not open_

        wait_for(all_final, SETTLE_S)
        return [
            Finding(STUCK, f"{q.request.name} is {last.get((q, r))} at {r}", q) for q, r in open_
        ]

    def _wait_nothing_left(self):
        """No record is left in the query and dead-letter topics, and no producer has any."""
        left = {}

        def look():
            left.clear()
            left.update({k: v for k, v in self._left().items() if v})
            return not left

        if wait_for(look, QUIET_S, 0.3):
            return []
        stuck, began = dict(left), time.monotonic()
        self.snapshot = "\n".join(evidence.state_of(self.stage))
        late = wait_for(look, LATE_S, 1)
        after = f"; none {time.monotonic() - began:.0f} s later" if late else "; so it stays"
        return [Finding(STUCK, f"{what}: {n}{after}") for what, n in stuck.items()]

    def _left(self):
        p, topics = self.p, self.stage.topics
        left = {}
        for word, group in (("query", p.executor_group), ("deadletter", p.redriver_group)):
            topic = self.stage.topic(word)
            try:
                if topics.lag(group, topic):
                    left[f"records left in {topic}"] = self._records_left(group, topic)
            except (KafkaException, AssertionError) as e:  # a leader has just moved
                left[f"records left in {topic}"] = str(e)
        for program in self.stage.permanent:
            try:
                metrics = program.metrics()
            except (AssertionError, RuntimeError, requests.RequestException) as e:
                left[f"metrics of {program.label}"] = type(e).__name__
                continue
            for name in ("athena_query_producer_records", "athena_query_ack_waiting"):
                left[f"{name} of {program.label}"] = metrics.sum(name)
        return left

    def _records_left(self, group, topic):
        """Records, not offsets: a transaction's marker has one, too, and is no record."""
        done = self.stage.topics.committed(group, topic)
        return sum(
            r.offset >= done.get(r.partition, (0, ""))[0] for r in self.stage.topics.read(topic)
        )

    # Judging ------------------------------------------------------------------------------------

    def _judge_queries(self):
        starts = collections.defaultdict(list)
        for line in self.stage.athena.ledger():
            starts[line["sha256"]].append(line)
        tokens = collections.defaultdict(list)
        for lines in starts.values():
            for line in lines:
                tokens[line["token"]].append(line)
        found = []
        for query in self._queries():
            found += self._judge(query, starts.get(query.sha256, []), tokens)
        ours = {q.sha256 for q in self._queries()}
        foreign = set(starts) - ours - {sha256(q.other_text) for q in self._queries() if q.other_text}
        return found + [Finding(WRONG, f"a text that nobody posted was started: {f}") for f in foreign]

    def _judge(self, query, starts, tokens):
        """One query; an accepted one is judged again in each round, since it may be posted again."""
        name = query.request.name
        found = []
        if query.refused:
            found.append(Finding(WRONG, f"{name} was refused: {query.refused}", query))
        expected = EXPECTED.get(query.request.kind, {"SUCCEEDED"})
        ends = {s["state"] for s in query.final.values()}
        if query.accepted and query.key not in self.judged:
            if ends - expected:
                said = [f"{s['state']}: {s['reason']}" for s in query.final.values()]
                found.append(Finding(WRONG, f"{name} ended as {said}, not {expected}", query))
            if not starts and "REJECTED" not in ends:
                found.append(Finding(LOST, f"{name} was accepted and never started", query))
            if starts and query.request.kind == "refused":
                found.append(Finding(WRONG, f"{name} started though Athena refuses it", query))
            found += self._judge_id(query, starts)
            if len(query.final) == len(faults.RECEIVERS):
                self.judged.add(query.key)
        all_starts = sorted(
            {s["id"]: s for t in {s["token"] for s in starts} for s in tokens[t]}.values(),
            key=lambda s: s["t"],
        )
        return found + self._judge_repeated(query, all_starts)

    def _judge_id(self, query, starts):
        """The execution that a look-up names is one of this query."""
        named = {s["queryExecutionId"] for s in query.final.values() if s["queryExecutionId"]}
        if named and not named <= {s["id"] for s in starts}:
            return [Finding(WRONG, f"{query.request.name} is told as {named}, another's", query)]
        return []

    def _judge_repeated(self, query, starts):
        """A second start is forgiven only where Athena had lost the token and nobody could know."""
        known = None
        for first, second in zip(starts, starts[1:]):
            mark = query.key, second["id"]
            if mark in self.judged:
                continue
            self.judged.add(mark)
            if known is None:
                known = self._known_since(query)
            lost = any(first["t"] <= at <= second["t"] + 0.1 for at in self.stage.forgot)
            knew = [at for at in known if at < second["t"] - KNOWN_S]
            if lost and not knew:
                self.forgiven += 1
                continue
            why = f"known for {second['t'] - knew[0]:.1f} s" if knew else "never known"
            after = second["t"] - first["t"]
            text = f"{query.request.name} started again after {after:.1f} s; its execution was {why}"
            return [Finding(TWICE, text + (", its token forgotten" if lost else ""), query)]
        return []

    def _known_since(self, query):
        """When the status topic got records that name an execution of this pair."""
        key = status_key(query.request.name, query.request.user)
        return [
            r.timestamp_ms / 1000 for r in self.stage.topics.read(self.p.status_topic)
            if r.key == key and r.value and json.loads(r.value)["queryExecutionId"]
        ]  # fmt: skip

    def _take_back(self):
        with self.clients.lock:
            found, self.clients.went_back[:] = list(self.clients.went_back), []
        return [Finding(BACK, f"{q.request.name} at {text}", q) for q, text in found]
