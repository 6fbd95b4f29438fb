"""What `make bench-burst` compares with (tests/bench/ideal.py), and what it sends (cases.py)."""

import importlib.machinery
import importlib.util
import math
import sys

import pytest

from harness.paths import TOP

sys.path.append(str(TOP / "tests" / "bench"))

from cases import CASES
from ideal import fairness, greedy, ideal, running


@pytest.mark.parametrize(
    "durations, steps, by_ideal, by_greedy",
    [
        ([], [(0, 2)], 0, 0),
        ([2, 2, 2, 2], [(0, 2)], 4, 4),
        ([2, 2, 2], [(0, 2)], 3, 4),  # the last runs alone
        ([1, 1, 4], [(0, 2)], 3, 5),  # the long one is last in the order
        ([4, 1, 1], [(0, 2)], 3, 4),  # and here it is first
        ([1, 1, 1, 1], [(0, 2), (1, 1)], 3, 3),
        ([4, 4, 1, 1], [(0, 2), (1, 1)], 9, 6),  # a smaller quota ends nothing
        ([1, 1, 1, 1], [(0, 1), (1, 3)], 2, 2),
        ([2, 1, 1, 1], [(0, 1), (1, 4)], 2, 2),  # more room before anything has ended
        ([1], [(0, 0), (5, 1)], 6, 6),
        ([1], [(0, 0)], math.inf, math.inf),
        ([1, 1, 1], [(0, 1), (0.5, 2), (1, 1)], 2.5, 2.5),
    ],
)
def test_ideal_and_greedy(durations, steps, by_ideal, by_greedy):
    assert ideal(durations, steps) == pytest.approx(by_ideal)
    assert greedy(durations, steps) == pytest.approx(by_greedy)


@pytest.mark.parametrize(
    "owners, ends, at, expected",
    [
        ("aabb", [1, 2, 1, 2], 2, 1),
        ("aabb", [1, 2, 1, 3], 2, 0.5),
        ("aabb", [1, 2, 3, 3], 2, 0),  # one of them has nothing
        ("aabb", [3, 3, 3, 3], 2, 0),
        ("aaab", [1, 1, 1, math.inf], 2, 0),
    ],
)
def test_fairness(owners, ends, at, expected):
    assert fairness(owners, [(0, end) for end in ends], at) == expected


def test_running_counts_an_end_before_a_start():
    assert running([(0, 2), (1, 3), (2, 4)]) == [(0, 1), (1, 2), (2, 2), (3, 1), (4, 0)]
    assert running([]) == []


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_queries_of_a_case(case):
    queries = case.queries(1)
    assert len({q.text for q in queries}) == case.count
    assert queries == case.queries(1) != case.queries(2)
    mean = sum(q.seconds for q in queries) / case.count
    assert mean == pytest.approx(case.seconds, rel=0.25 if case.sigma else 0.03)


@pytest.mark.parametrize("case", [c for c in CASES if c.shares], ids=lambda c: c.name)
def test_every_executor_gets_its_share_of_every_stretch(case):
    owned = {i: [10 * i, 10 * i + 1][: 2 - i % 2] for i in range(case.executors)}
    places = case.places(owned)
    assert {p for places in owned.values() for p in places} == set(places)
    for n in (case.count // 2, case.count):
        for number, share in enumerate(case.shares):
            count = sum(p // 10 == number for p in places[:n])
            assert count == pytest.approx(share * n, abs=1)


def test_growth_over_the_counts_of_the_file():
    loader = importlib.machinery.SourceFileLoader(
        "instructions", str(TOP / "tests" / "bench" / "instructions")
    )
    spec = importlib.util.spec_from_loader("instructions", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    found = {
        "receiver": {"net": {"main": 1051}}, "executor": {"net": {"main": 1049}},
        "redriver": {"net": {"main": 10}},
    }  # fmt: skip
    lines = module.grown(found, {"receiver": 1000, "executor": 1000})
    assert [line.partition(":")[0] for line in lines] == ["receiver", "redriver"]
