"""A stand-in for the IAM listener of Amazon MSK: TLS and the sign-in are its own, all else is that of
a real broker behind it.

It takes a token when Amazon's own signer makes the same one of the same clock and credentials.
"""

import asyncio
import base64
import datetime
import ssl
import struct
import threading
import time
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import aws_msk_iam_sasl_signer.MSKAuthTokenProvider as signer
import botocore.auth
from botocore.credentials import CredentialProvider, Credentials

from harness.fronts import Front, pump

SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
SASL_AUTHENTICATION_FAILED = 58
MECHANISM = b"OAUTHBEARER"
DENIED = b"Access denied"
TOKEN_LIFE_S = 900

clock = threading.Lock()  # over the one that amazons_token() sets


class Static(CredentialProvider):
    def __init__(self, *keys):
        self.keys = keys

    def load(self):
        return Credentials(*self.keys)


def amazons_token(region, keys, when):
    """The token of Amazon's signer at this second, and until when it says it is good. `keys`: id,
    secret and perhaps session token."""
    now = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    with clock, mock.patch.object(botocore.auth, "get_current_datetime", lambda *a, **k: now):
        token, until_ms = signer.generate_auth_token_from_credentials_provider(
            region, Static(*keys)
        )
    return token, until_ms / 1000


def decode(token):
    """The URL inside a token, and its parameters in order."""
    assert not set("=+/") & set(token), token
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    return url, parse_qsl(urlsplit(url).query, strict_parsing=True)


def signed_parts(token):
    """All that counts. The order counts for nothing, and the user agent is each client's own."""
    url, parameters = decode(token)
    return url.split("?")[0], sorted(p for p in parameters if p[0] != "User-Agent")


class SignIn:
    """One, as it was sent, and whether it was `taken`."""

    def __init__(self, client, raw):
        self.client = client  # client.id
        self.at = time.time()
        begin, end = b"n,,\x01auth=Bearer ", b"\x01\x01"
        assert raw.startswith(begin) and raw.endswith(end), raw
        self.token = raw[len(begin) : -len(end)].decode()
        self.url, self.parameters = decode(self.token)
        named = dict(self.parameters)
        self.access_key_id, _, self.region, *_ = named["X-Amz-Credential"].split("/")
        signed = datetime.datetime.strptime(named["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        self.time = int(signed.timestamp())  # of the token
        self.taken = False

    def is_right(self, secrets):
        """`secrets`: the secret key and the session token, None where there is no such key."""
        if secrets is None or not self.time - 300 < self.at < self.time + TOKEN_LIFE_S:
            return False
        keys = (self.access_key_id, *secrets)
        wanted, _ = amazons_token(self.region, keys, self.time)
        return signed_parts(self.token) == signed_parts(wanted)


async def read_frame(reader):
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def write_frame(writer, frame):
    writer.write(struct.pack(">i", len(frame)) + frame)


class Msk(Front):
    """`keys`: {access key id: (secret key, session token or None)}, or a function that is as good as
    its get(). A token may be of any region: `sign_ins` tell of which."""

    def __init__(self, certificate):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate.cert, certificate.key)
        super().__init__(tls)
        self.broker_port = None  # of a plain listener that advertises this one's port
        self._clients = set()
        self.reset()

    def reset(self):
        self.keys, self.sign_ins, self.faults = {}, [], []

    def of(self, client):
        return [s for s in self.sign_ins if s.client == client]

    def hang_up(self):
        """On all who have signed in, as MSK does when a session is over: whoever wants to go on
        signs in again."""
        for writer in list(self._clients):
            self._loop.call_soon_threadsafe(writer.transport.abort)

    async def _serve(self, reader, writer):
        broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self.broker_port)
        try:
            if await self._sign_in(reader, writer, broker_reader, broker_writer):
                self._clients.add(writer)
                await asyncio.gather(pump(reader, broker_writer), pump(broker_reader, writer))
        except AssertionError as e:
            self.faults.append(str(e))
        except (OSError, EOFError):
            pass  # either side hung up
        finally:
            self._clients.discard(writer)
            broker_writer.close()
            writer.close()

    async def _sign_in(self, reader, writer, broker_reader, broker_writer):
        """True: it is done. False: it was refused."""
        while True:
            request = await read_frame(reader)
            key, version, correlation, n = struct.unpack(">hhih", request[:10])
            client, body = request[10 : 10 + n].decode(), request[10 + n :]
            if key == API_VERSIONS:
                write_frame(broker_writer, request)
                write_frame(writer, await read_frame(broker_reader))
            elif key == SASL_HANDSHAKE:
                assert body == struct.pack(">h", len(MECHANISM)) + MECHANISM, body
                offer = struct.pack(">hih", 0, 1, len(MECHANISM)) + MECHANISM
                write_frame(writer, struct.pack(">i", correlation) + offer)
            else:
                assert key == SASL_AUTHENTICATE and version < 2, f"request {key} v{version}"
                taken = self._look_at(SignIn(client, body[4:]))
                error = (0, -1) if taken else (SASL_AUTHENTICATION_FAILED, len(DENIED))
                answer = struct.pack(">ihh", correlation, *error) + (b"" if taken else DENIED)
                no_life_time = struct.pack(">q", 0) if version == 1 else b""
                write_frame(writer, answer + struct.pack(">i", 0) + no_life_time)
                await writer.drain()
                return taken

    def _look_at(self, sign_in):
        find = self.keys if callable(self.keys) else self.keys.get
        sign_in.taken = sign_in.is_right(find(sign_in.access_key_id))
        self.sign_ins.append(sign_in)
        return sign_in.taken
