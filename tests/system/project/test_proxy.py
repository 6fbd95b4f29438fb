"""The proxy that the laboratory of faults puts between the programs and others does what it says."""

import socket
import threading

import pytest

from harness.proxy import CUT, DELAY, HALF_OPEN, MODES, ONE_WAY, RESET, SILENT, Fault, Switchboard
from harness.wait import free_port, stays, wait_until


class Echo:
    """Sends back what it gets; remembers it, and how its connections ended."""

    def __init__(self):
        self.got, self.ends = [], []
        self.server = socket.create_server(("127.0.0.1", free_port()))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                while piece := connection.recv(65536):
                    self.got.append(piece)
                    connection.sendall(piece)
                self.ends.append("closed")
            except OSError as e:
                self.ends.append(type(e).__name__)


@pytest.fixture
def echo():
    made = Echo()
    yield made
    made.server.close()


@pytest.fixture
def board():
    with Switchboard() as made:
        yield made


@pytest.fixture
def connect(board, echo):
    """connect(): a client's socket that has got its first echo."""
    number = board.open("echo", echo.port)
    sockets = []

    def make(say=b"hello"):
        s = socket.create_connection(("127.0.0.1", number), timeout=5)
        sockets.append(s)
        if say:
            s.sendall(say)
            assert s.recv(100) == say
        return s

    yield make
    for s in sockets:
        s.close()


def is_silent(s):
    s.settimeout(0.3)
    try:
        return s.recv(100) is None
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        s.settimeout(5)


def is_broken(s):
    try:
        return s.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_without_a_fault_all_comes_through(connect):
    big = b"x" * 1000000
    s = connect()
    threading.Thread(target=s.sendall, args=(big,), daemon=True).start()
    got = b""
    while len(got) < len(big):
        got += s.recv(65536)
    assert got == big


def test_a_close_comes_through(connect, echo):
    connect().close()
    wait_until(lambda: echo.ends == ["closed"], what=lambda: f"the end: {echo.ends}")


def test_nobody_listens_behind_it(board):
    number = board.open("nobody", free_port())
    with socket.create_connection(("127.0.0.1", number), timeout=5) as s:
        assert is_broken(s)


def test_delay(board, connect):
    s = connect()
    board.begin(Fault(DELAY, seconds=1))
    s.sendall(b"late")
    assert is_silent(s)
    assert s.recv(100) == b"late"


def test_cut(board, connect):
    s = connect()
    fault = board.begin(Fault(CUT))
    assert is_broken(s)
    assert is_broken(connect(say=b""))
    board.end(fault)
    connect()


@pytest.mark.parametrize("breaks", [True, False])
def test_silent(board, connect, echo, breaks):
    s = connect()
    fault = board.begin(Fault(SILENT, breaks=breaks))
    s.sendall(b"more")
    assert is_silent(s)
    stays(lambda: len(echo.got) == 1, 0.2)
    board.end(fault)
    if breaks:
        assert is_broken(s)
    else:
        assert s.recv(100) == b"more"


def test_one_way(board, connect, echo):
    s = connect()
    fault = board.begin(Fault(ONE_WAY))
    s.sendall(b"more")
    wait_until(lambda: echo.got == [b"hello", b"more"])
    assert is_silent(s)
    board.end(fault)
    assert is_broken(s), "an answer is missing: it cannot go on"


def test_half_open(board, connect, echo):
    s = connect()
    fault = board.begin(Fault(HALF_OPEN))
    wait_until(lambda: echo.ends, what="the server to see the end")
    assert is_silent(s)
    board.end(fault)
    assert is_broken(s)


def test_reset(board, connect):
    s = connect()
    fault = board.begin(Fault(RESET, seconds=0.05))
    with pytest.raises(ConnectionResetError):
        s.recv(100)
    board.end(fault)
    connect()


@pytest.mark.parametrize("mode", MODES)
def test_another_port_is_spared(board, connect, mode):
    s = connect()
    board.begin(Fault(mode, ports=frozenset({"another"})))
    s.sendall(b"more")
    assert s.recv(100) == b"more"


def kafka_request(name):
    text = name.encode()
    body = b"\0\x12\0\3" + b"\0\0\0\1" + len(text).to_bytes(2, "big") + text
    return len(body).to_bytes(4, "big") + body


def test_a_client_by_its_name(board, echo):
    number = board.open("broker", echo.port, reads_client=True)
    sockets = {}
    for name in ("executor-1", "executor-2"):
        sockets[name] = socket.create_connection(("127.0.0.1", number), timeout=5)
        sockets[name].sendall(kafka_request(name))
        assert sockets[name].recv(100) == kafka_request(name)
    board.begin(Fault(CUT, client="executor-1"))
    assert is_broken(sockets["executor-1"])
    sockets["executor-2"].sendall(b"more")
    assert sockets["executor-2"].recv(100) == b"more"
    for s in sockets.values():
        s.close()
