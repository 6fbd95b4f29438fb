"""TCP proxies whose connections can be delayed, cut, half-opened and reset.

A `Switchboard` has any number of ports, each of which leads to another port of this machine. A
`Fault` holds for the connections that it matches: of one port or of all, and, where `reads_client`
of the port is set, of one client by the client.id in the first request of Kafka's protocol.
"""

import asyncio
import contextlib
import dataclasses
import random
import socket
import struct
import threading

from harness.wait import free_port

RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER without time: a close sends RST
PIECE = 65536

# What a fault does to a connection while it lasts. At its end what was held back goes on, or, where
# the fault says so and where bytes are missing, the connection breaks.
DELAY = "delay"  # every piece comes later
CUT = "cut"  # what is connected is closed, and new connections are, at once
SILENT = "silent"  # nothing comes through, nobody is told
ONE_WAY = "one-way"  # requests come through, what is answered does not
HALF_OPEN = "half-open"  # the server sees the connection closed, the client does not
RESET = "reset"  # again and again all connections are reset, in the middle of what they carry
MODES = (DELAY, CUT, SILENT, ONE_WAY, HALF_OPEN, RESET)


@dataclasses.dataclass
class Fault:
    mode: str
    ports: frozenset = frozenset()  # names of ports; none: all
    client: str = ""  # a client.id; empty: all
    seconds: float = 0.3  # of DELAY: of each piece; of RESET: between two of them
    breaks: bool = True  # SILENT: at its end, instead of going on

    def matches(self, connection):
        if self.ports and connection.port.name not in self.ports:
            return False
        return not self.client or connection.client == self.client


def client_id(first):
    """The client.id of the first request that a Kafka client sends; "" where it is none."""
    if len(first) < 14:
        return ""
    (length,) = struct.unpack(">h", first[12:14])
    return first[14 : 14 + length].decode(errors="replace") if length > 0 else ""


class Port:
    """Listens on `number`, leads to `to`, a port of this machine that need not be open yet."""

    def __init__(self, name, to, number, reads_client):
        self.name, self.to, self.number = name, to, number
        self.reads_client = reads_client
        self.server = None


class Connection:
    """One client's, with its own one to the server."""

    def __init__(self, board, port, reader, writer):
        self.board, self.port = board, port
        self.ends = [(reader, writer)]
        self.client = ""
        self.lost = False  # bytes were swallowed: it can never go on
        self.closed = False
        self.changed = asyncio.Event()  # another fault may hold

    @property
    def fault(self):
        """The first that holds for it."""
        return next((f for f in self.board.faults if f.matches(self)), None)

    def end(self, reset=False, only=None):
        """Closes both ends, or one, in order or by RST."""
        for i, (_, writer) in enumerate(self.ends):
            if only is not None and i != only:
                continue
            if reset:
                with contextlib.suppress(OSError, AttributeError):
                    s = writer.get_extra_info("socket")
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
                writer.transport.abort()
            else:
                writer.close()
        if only is None:
            self.closed = True
            self.changed.set()

    async def run(self):
        first = b""
        reader, writer = self.ends[0]
        if self.port.reads_client:
            first = await reader.read(PIECE)
            self.client = client_id(first)
        if not await self.may_connect():
            return
        self.ends.append(await asyncio.open_connection("127.0.0.1", self.port.to))
        if first:
            await self.pass_on(first, 1)
        ways = [asyncio.ensure_future(self.carry(i)) for i in (0, 1)]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def may_connect(self):
        """Waits while nothing comes through; False where it is refused."""
        while (fault := self.fault) and fault.mode in (SILENT, ONE_WAY, HALF_OPEN):
            if fault.mode == ONE_WAY:
                return True
            await self.wait_change()
            if self.closed:
                return False
        return not (fault and fault.mode == CUT)

    async def wait_change(self):
        self.changed.clear()
        await self.changed.wait()

    async def carry(self, side):
        """From one end to the other, until either is closed."""
        reader = self.ends[side][0]
        while piece := await reader.read(PIECE):
            await self.pass_on(piece, 1 - side)
        fault = self.fault
        if fault and fault.mode in (SILENT, HALF_OPEN):  # the close does not come through, either
            self.lost = True
            while (fault := self.fault) and fault.mode in (SILENT, HALF_OPEN) and not self.closed:
                await self.wait_change()

    async def pass_on(self, piece, side):
        """A piece to this end (0: the client's), as the fault of the moment lets it."""
        while (fault := self.fault) and not self.closed:
            if fault.mode == SILENT or (fault.mode == HALF_OPEN and not self.lost):
                await self.wait_change()
            elif fault.mode == HALF_OPEN or (fault.mode == ONE_WAY and side == 0):
                self.lost = True
                return
            else:
                break
        if self.closed:
            return
        if fault and fault.mode == DELAY:
            await asyncio.sleep(fault.seconds)
        writer = self.ends[side][1]
        if fault and fault.mode == RESET and len(piece) > 1:
            half = random.randrange(1, len(piece))  # so that a reset may come between two halves
            writer.write(piece[:half])
            await writer.drain()
            await asyncio.sleep(0.005)
            piece = piece[half:]
        writer.write(piece)
        await writer.drain()


class Switchboard:
    """All proxies, on a thread of their own. A context manager."""

    def __init__(self):
        self.faults = []
        self.connections = set()
        self.ports = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _stop(self):
        for port in self.ports.values():
            port.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def open(self, name, to, number=None, reads_client=False):
        """Adds a port; returns its number."""
        port = Port(name, to, number or free_port(), reads_client)
        self._call(self._listen(port))
        self.ports[name] = port
        return port.number

    async def _listen(self, port):
        async def serve(reader, writer):
            await self._serve(port, reader, writer)

        port.server = await asyncio.start_server(serve, "127.0.0.1", port.number)

    async def _serve(self, port, reader, writer):
        connection = Connection(self, port, reader, writer)
        self.connections.add(connection)
        try:
            await connection.run()
        except (OSError, asyncio.IncompleteReadError):
            pass  # either end is gone, or nobody listens there
        finally:
            self.connections.discard(connection)
            connection.end(reset=connection.lost)

    # Faults ---------------------------------------------------------------------------------

    def begin(self, fault):
        self._call(self._begin(fault))
        return fault

    def end(self, fault):
        self._call(self._end(fault))

    def clear(self):
        for fault in list(self.faults):
            self.end(fault)

    def _matching(self, fault):
        return [c for c in self.connections if fault.matches(c)]

    async def _begin(self, fault):
        self.faults.append(fault)
        for c in self._matching(fault):
            c.changed.set()
            if fault.mode == CUT:
                c.end()
            elif fault.mode == HALF_OPEN and len(c.ends) > 1:
                c.lost = True
                c.end(only=1)
        if fault.mode == RESET:
            asyncio.ensure_future(self._reset_again_and_again(fault))

    async def _reset_again_and_again(self, fault):
        while fault in self.faults:
            for c in self._matching(fault):
                c.end(reset=True)
            await asyncio.sleep(fault.seconds)

    async def _end(self, fault):
        if fault not in self.faults:
            return
        self.faults.remove(fault)
        for c in self._matching(fault):
            c.changed.set()
            if c.lost or fault.mode == HALF_OPEN or (fault.mode == SILENT and fault.breaks):
                c.end(reset=True)
