"""What may stand between the programs and others: TLS of an authority of our own, a forward proxy,
a wire that can be cut."""

import asyncio
import ssl
import subprocess
import threading


def make_certificates(directory, names):
    """An authority (`ca.pem`) and a server's certificate for these names (`server.pem`, `.key`)."""

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(
        "req", "-x509", *key, "-days", "2", "-subj", "/CN=test authority", "-keyout", "ca.key",
        "-out", "ca.pem",
    )  # fmt: skip
    openssl("req", *key, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    (directory / "names").write_text("subjectAltName=" + ",".join(names))
    openssl(
        "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
        "-CAcreateserial", "-extfile", "names", "-out", "server.pem",
    )  # fmt: skip
    return directory


async def pump(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class Front:
    """A server on a thread of its own; `port` once started."""

    def __init__(self, tls=None):
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        async def stop():
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _join(self, reader, writer, port):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))


class TlsFront(Front):
    """TLS in front of a server on a port of this machine."""

    def __init__(self, certificates, port):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        super().__init__(tls)
        self._to = port

    async def _serve(self, reader, writer):
        await self._join(reader, writer, self._to)


class ConnectProxy(Front):
    """Takes every CONNECT, whatever its name, to one port of this machine.

    `heads`: the requests as they came. `refuse`: a status to answer instead.
    """

    def __init__(self, port, refuse=None):
        super().__init__()
        self._to = port
        self.refuse = refuse
        self.heads = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def names(self):
        return {head.split(" ")[1] for head in self.heads}

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self.refuse or not head.startswith("CONNECT "):
            writer.write(f"HTTP/1.1 {self.refuse or 405} No\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
        await self._join(reader, writer, self._to)


class Wire(Front):
    """Takes every connection to port `to` of this machine, unless it is cut. Set `to` before use."""

    def __init__(self, to=None):
        super().__init__()
        self.to = to
        self.whole = True
        self._writers = set()
        self._lost = False  # what comes is taken and goes nowhere

    def cut(self, silently):
        """Silently: nothing comes through any more. Else all connections break, new ones at once."""
        self._call(self._set, False, silently)

    def mend(self):
        """What was connected breaks; new connections work."""
        self._call(self._set, True, False)

    def _call(self, what, *args):
        async def call():
            what(*args)

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def _set(self, whole, lost):
        self.whole, self._lost = whole, lost
        for writer in [] if lost else self._writers:
            writer.transport.abort()

    async def _carry(self, reader, writer):
        while piece := await reader.read(65536):
            if not self._lost:
                writer.write(piece)
                await writer.drain()

    async def _serve(self, reader, writer):
        ends = {writer}
        self._writers |= ends
        try:
            if self.whole:
                there_reader, there = await asyncio.open_connection("127.0.0.1", self.to)
                ends.add(there)
                self._writers |= ends
                ways = [self._carry(reader, there), self._carry(there_reader, writer)]
                ways = [asyncio.ensure_future(way) for way in ways]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
            elif self._lost:
                while await reader.read(65536):
                    pass
        except OSError:
            pass
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()
