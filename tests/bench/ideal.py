"""What a burst could at best take, and how evenly it was served. Pure: lists in, numbers out.

Times are seconds from the first injection. A quota is a list of steps (time, slots), in order, the
first at 0; each holds until the next. A run of a query is a pair (start, end).
"""

import collections
import heapq
import math


def ideal(durations, steps):
    """When the work is done if no slot is ever idle and a query could be cut in pieces."""
    left = sum(durations)
    ends = [at for at, _ in steps[1:]] + [math.inf]
    for (at, slots), end in zip(steps, ends):
        if slots > 0 and left <= (end - at) * slots:
            return at + left / slots
        left -= (end - at) * slots
    return math.inf


def greedy(durations, steps):
    """When the last query ends if they start in this order, each as soon as a slot is free.

    A quota that shrinks ends nothing: what runs goes on, and nothing starts until there is room.
    """
    active, now, last, step = [], 0.0, 0.0, 0
    for duration in durations:
        while True:
            while step + 1 < len(steps) and steps[step + 1][0] <= now:
                step += 1
            while active and active[0] <= now:
                heapq.heappop(active)
            if len(active) < steps[step][1]:
                break
            nexts = active[:1] + [at for at, _ in steps[step + 1 : step + 2]]
            if not nexts:
                return math.inf
            now = min(nexts)
        heapq.heappush(active, now + duration)
        last = max(last, now + duration)
    return last


def fairness(owners, runs, at):
    """Least ÷ most queries ended by `at` over all owners; `owners`: whose each of `runs` is."""
    done = collections.Counter({owner: 0 for owner in owners})
    done.update(owner for owner, (_, end) in zip(owners, runs) if end <= at)
    most = max(done.values(), default=0)
    return min(done.values()) / most if most else 0.0


def running(runs):
    """How many ran when: [(time, count)] at each change. An end counts before a start."""
    changes = sorted([(start, 1) for start, _ in runs] + [(end, -1) for _, end in runs])
    found, count = [], 0
    for at, change in changes:
        count += change
        if found and found[-1][0] == at:
            found[-1] = (at, count)
        else:
            found.append((at, count))
    return found
