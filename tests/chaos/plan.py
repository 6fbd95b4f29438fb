"""What a round does: faults and load, as data, made of a seed alone (pure).

A fault is a list of steps; a step is a time within its round, the name of a method of
`lab.Steps`, and its arguments. The same seed, depth and choice of groups make the same rounds.
"""

import collections
import dataclasses
import functools
import itertools
import random

from faults import GROUPS

USERS = ["ada", "bob", "eve", "joe", ""]


@dataclasses.dataclass(frozen=True)
class Step:
    at: float
    what: str
    args: tuple = ()

    def __str__(self):
        words = " ".join(map(str, self.args))
        return f"{self.at:.1f} s {self.what} {words}".rstrip()


@dataclasses.dataclass(frozen=True)
class Fault:
    group: str
    kind: str
    steps: tuple

    def __str__(self):
        return f"{self.kind} [{'; '.join(map(str, self.steps))}]"


@dataclasses.dataclass(frozen=True)
class Request:
    """One query that a client wants to have run, and how often it says so."""

    at: float
    name: str  # its queryId
    user: str
    kind: str
    text: str
    posts: int = 1
    injected: bool = False  # straight into the query topic


@dataclasses.dataclass(frozen=True)
class Round:
    number: int
    faults: tuple
    requests: tuple
    again: float  # the share of earlier queries that are posted once more

    @property
    def steps(self):
        """Of all faults, in the order of time."""
        return sorted((s for f in self.faults for s in f.steps), key=lambda s: s.at)

    @property
    def pairs(self):
        return list(itertools.combinations(sorted(f.group for f in self.faults), 2))

    def __str__(self):
        return f"round {self.number}: " + " + ".join(map(str, self.faults))


def combinations(groups, depth):
    """All that there is to try at depth 1 and 2: each group, or pairs."""
    if depth == 1:
        return [(g,) for g in groups]
    # Two of one group only where they can be two different faults.
    many = [g for g in groups if len(GROUPS[g]) > 1]
    return list(itertools.combinations(groups, 2)) + [(g, g) for g in many]


def chosen(seed, number, depth, groups):
    """The groups of one round: each combination comes once before any comes again, or nearly so."""
    if depth > 2:
        return spread(seed, number, min(depth, len(groups)), tuple(groups))[number]
    everything = combinations(groups, depth)
    turn, place = divmod(number, len(everything))
    random.Random(f"{seed}/{depth}/{turn}").shuffle(everything)
    return everything[place]


@functools.lru_cache
def spread(seed, number, depth, groups):
    """The groups of all rounds up to this one: each time a choice whose pairs were seldom there."""
    chance = random.Random(f"{seed}/{depth}")
    seen, rounds = collections.Counter(), []
    for _ in range(number + 1):
        some = [sorted(chance.sample(groups, depth)) for _ in range(30)]
        best = min(some, key=lambda c: sum(seen[p] for p in itertools.combinations(c, 2)))
        seen.update(itertools.combinations(best, 2))
        rounds.append(best)
    return rounds


def make_fault(group, chance, tag, but, without):
    """One kind of the group, with the victims and times that chance gives it."""
    kinds = [k for k in GROUPS[group] if k not in but + without] or [
        k for k in GROUPS[group] if k not in without
    ]
    kind = chance.choice(kinds)
    steps = GROUPS[group][kind](chance, f"{kind}-{tag}")
    return Fault(group, kind, tuple(Step(round(at, 1), what, args) for at, what, *args in steps))


def make_text(chance, name, kind):
    run_ms = chance.choice([20, 100, 300, 800])
    if kind == "refused":
        return f"SELECT '{name}' /* sim: code=InvalidRequestException reason=Not today */"
    if kind == "ddl":
        return f"CREATE TABLE t_{name} (a int) /* sim: ms={run_ms} */"
    if kind == "big":
        return f"SELECT '{name}' /* sim: ms={run_ms} */ -- {'x' * 100_000}"
    state = {"fails": " state=FAILED", "cancelled": " state=CANCELLED"}.get(kind, "")
    return f"SELECT '{name}' /* sim: ms={run_ms}{state} */"


KINDS = {"plain": 12, "fails": 1, "cancelled": 1, "refused": 1, "ddl": 3, "big": 1}


def make_request(chance, name, seconds):
    (kind,) = chance.choices(list(KINDS), KINDS.values())
    return Request(
        at=round(chance.random() * seconds, 2),
        name=name,
        user=chance.choice(USERS),
        kind=kind,
        text=make_text(chance, name, kind),
        posts=chance.choice([1, 1, 1, 2, 3]),
        injected=chance.random() < 0.2,
    )


def make_round(seed, number, depth=2, groups=None, queries=20, seconds=4, without=()):
    groups = list(groups or GROUPS)
    chance = random.Random(f"{seed}/{depth}/{number}/{','.join(groups)}")
    faults = []
    for tag, group in enumerate(chosen(seed, number, depth, groups)):
        used = [f.kind for f in faults]
        faults.append(make_fault(group, chance, tag, used, list(without)))
    requests = [make_request(chance, f"r{number}q{i}", seconds) for i in range(queries)]
    return Round(number, tuple(faults), tuple(requests), again=0.1)
