"""The cases that `make bench-burst` measures, and what is to be reached in each.

A case says what is sent, how, to how many executors, and what happens meanwhile. `queries()` is the
same for the same seed, for the programs and for their peers alike.
"""

import dataclasses
import json
import math
import random


@dataclasses.dataclass(frozen=True)
class Query:
    user: str
    id: str
    seconds: float

    @property
    def text(self):
        return f"SELECT '{self.id}' /* sim: ms={round(self.seconds * 1000)} */"

    @property
    def body(self):
        return json.dumps({"userId": self.user, "queryId": self.id, "query": self.text}).encode()


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    what: str
    count: int = 400
    seconds: float = 2.0
    quota: int = 20
    sigma: float = 0.0  # lognormal; 0: evenly, as `jitter` says
    jitter: float = 0.1  # up to this share more or less
    users: int = 10
    executors: int = 1
    shares: tuple = ()  # of the backlog, by executor; empty: by users, through the receiver
    moving_s: float = 0.0  # the quota halves and doubles in turn, so often
    max_in_flight: int = 0  # MAX_IN_FLIGHT of the executors; 0: its default
    rate: int = 0  # StartQueryExecution calls a second that the API allows; 0: no limit
    kill: str = ""  # whom kill -9 hits when half has ended: leader, member or alone
    peers: bool = False  # whether they are measured, too
    # To reach, at most: time ÷ ideal, time ÷ greedy, calls wasted in percent. At least: fairness.
    by_ideal: float = math.inf
    by_greedy: float = math.inf
    wasted: float = math.inf
    fair: float = 0.0

    @property
    def about(self):
        size = f"{self.count} x {self.seconds:g} s, quota {self.quota}"
        return f"{size}; {self.what}" if self.what else size

    def scaled(self, scale):
        """With fewer queries; they take as long, and as many start in a second."""
        count = max(2 * self.quota, round(self.count * scale))
        moving_s = max(self.moving_s * scale, 2 * self.seconds) if self.moving_s else 0.0
        return dataclasses.replace(self, count=count, moving_s=moving_s)

    def queries(self, seed):
        rng = random.Random(seed)
        spread = self.sigma
        found = []
        for i in range(self.count):
            if spread:  # lognormal with this mean
                seconds = self.seconds * rng.lognormvariate(-spread * spread / 2, spread)
            else:
                seconds = self.seconds * rng.uniform(1 - self.jitter, 1 + self.jitter)
            found.append(Query(f"u{i % self.users}", f"q{i}", round(seconds, 3)))
        return found

    def places(self, owned):
        """The partition of each query, from {executor: its partitions}: each gets its share."""
        members = sorted(owned)
        counts = dict.fromkeys(members, 0)
        found = []
        for i in range(self.count):
            # Whoever is furthest behind its share: every stretch of the backlog has all shares.
            behind = {m: self.shares[k] * (i + 1) - counts[m] for k, m in enumerate(members)}
            member = max(members, key=behind.get)
            found.append(owned[member][counts[member] % len(owned[member])])
            counts[member] += 1
        return found


ONE = (1.0,)
EVEN = (0.25, 0.25, 0.25, 0.25)
UNEVEN = (0.7, 0.1, 0.1, 0.1)
FOUR = {"executors": 4, "shares": EVEN}
WIDE = {"count": 1000, "quota": 100, "jitter": 0.005, "max_in_flight": 50}

CASES = [
    Case("A", "", shares=ONE, peers=True, by_ideal=1.08, wasted=4),
    # 1,000 queries of 2 s. The targets of those with a quota of 500, ten calls, or the API's rate are
    # what the calls a second leave: see docs/fleet.md, "What latency costs".
    Case("wide", "MAX_IN_FLIGHT 50", **WIDE, shares=ONE, by_ideal=1.10, wasted=4),
    Case("wide-four", "MAX_IN_FLIGHT 50, four executors", **WIDE, **FOUR, by_ideal=1.15, wasted=4),
    Case("wide-jitter", "MAX_IN_FLIGHT 50, durations differ", **WIDE | {"jitter": 0.1}, shares=ONE,
         by_greedy=1.10, wasted=4),
    Case("wide-ten", "MAX_IN_FLIGHT 10", **WIDE | {"max_in_flight": 10}, shares=ONE,
         by_ideal=1.40, wasted=4),
    Case("wide-rate", "MAX_IN_FLIGHT 50, 20 starts a second, 80 at once", **WIDE, rate=20,
         shares=ONE, by_ideal=2.60, wasted=4),
    Case("wide-5", "MAX_IN_FLIGHT 50", **WIDE | {"quota": 5}, shares=ONE,
         by_ideal=1.10, wasted=4),
    Case("wide-20", "MAX_IN_FLIGHT 50", **WIDE | {"quota": 20}, shares=ONE,
         by_ideal=1.10, wasted=4),
    Case("wide-500", "MAX_IN_FLIGHT 50", **WIDE | {"quota": 500}, shares=ONE,
         by_ideal=2.20, wasted=4),
    Case("B", "", count=2000, seconds=0.5, shares=ONE, peers=True),
    Case("long", "", count=100, seconds=10, quota=5, shares=ONE, peers=True,
         by_ideal=1.08, wasted=4),
    Case("four-even", "four executors", **FOUR, by_ideal=1.10, wasted=5),
    Case("four-uneven", "four executors, 70/10/10/10 %", executors=4,
         shares=UNEVEN, by_ideal=1.10, wasted=5),
    # Long enough that one redrive pass at the end does not decide.
    Case("moving", "halved and doubled every 10 s", count=1200, shares=ONE, moving_s=10,
         by_greedy=1.10),
    Case("heavy", "lognormal, sigma 1", sigma=1, shares=ONE, by_greedy=1.10),
    Case("users", "ten users", fair=0.8),
    Case("users-four", "ten users, four executors", executors=4, fair=0.8),
    Case("kill-alone", "killed at half, started again", shares=ONE,
         kill="alone", peers=True),
    Case("kill-leader", "owner of partition 0 killed", **FOUR,
         kill="leader"),
    Case("kill-member", "another of four killed", **FOUR, kill="member"),
]  # fmt: skip
