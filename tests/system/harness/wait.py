"""Waiting for something to become true, never for time to pass."""

import os
import random
import socket
import time

# Sanitizers slow the programs down: every time-out is stretched by this.
SLOWNESS = float(os.environ.get("AQ_SLOWNESS") or 1)


def wait_until(predicate, timeout=10.0, what="it", interval=0.02):
    """Calls `predicate` until it returns something true, and returns that.

    Fails the test after `timeout` seconds (stretched under sanitizers). `what` completes "waited
    10 s for ..."; a callable is called for it at that moment, so that it can say what is there
    instead. An AssertionError in the predicate counts as "not yet" and is shown at the end.
    """
    limit = timeout * SLOWNESS
    end = time.monotonic() + limit
    while True:
        error = None
        try:
            value = predicate()
        except AssertionError as e:
            value, error = None, e
        if value:
            return value
        if time.monotonic() >= end:
            said = what() if callable(what) else what
            tail = f"; last: {error}" if error else f"; last: {value!r}"
            raise AssertionError(f"waited {limit:g} s for {said}{tail}")
        time.sleep(interval)


def stays(predicate, seconds, what="it"):
    """Fails as soon as `predicate` is not true any more within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert predicate(), f"for {seconds:g} s this should have stayed true: {what}"
        time.sleep(0.02)


_given = set()


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on, never the same twice.

    From below the range of ephemeral ports: while a server is down, none of its clients can be
    given its port for an outgoing connection (which, connected to itself, would even succeed).
    Tests that run at the same time have a part of the range each.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
    first = 15000 + 2000 * worker
    for _ in range(10000):
        port = random.SystemRandom().randrange(first, first + 2000)
        if port in _given:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError("no free port")
