"""What gives out credentials to a machine: IMDS, a container's endpoint, and STS, with short lives.

The keys come from athena-sim's own AssumeRole, so that it knows them; how long they are said to
live is this server's to choose.
"""

import datetime
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import botocore.config
import botocore.session

ROLE = "arn:aws:iam::123456789012:role/athena-reader"
TOKEN = "imds-token"


class Metadata:
    """`with Metadata(sim, life_s=5) as m:`. `m.requests` counts what came in, by kind."""

    def __init__(self, sim, life_s):
        self.life_s = life_s
        self.requests = Counter()
        self.issued = []  # (access key, secret, session token, until when)
        self.forms = []  # of STS
        self.authorizations = []  # of the container's endpoint
        self.stock = []  # keys in store, for when the sim gives none
        self.status = 200  # another: all that is asked fails with it
        self.lock = threading.Lock()
        self.sts = botocore.session.get_session().create_client(
            "sts", endpoint_url=sim.url, region_name="eu-central-1",
            aws_access_key_id=sim.env["SIM_ACCESS_KEY_ID"],
            aws_secret_access_key=sim.env["SIM_SECRET_ACCESS_KEY"],
            config=botocore.config.Config(proxies={}),
        )  # fmt: skip

    def __enter__(self):
        metadata = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                metadata.serve(self)

            do_PUT = do_POST = do_GET

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def fetch(self):
        return self.sts.assume_role(RoleArn=ROLE, RoleSessionName="fake")["Credentials"]

    def store(self, n):
        self.stock += [self.fetch() for _ in range(n)]

    def issue(self):
        """Keys that are good from now on; (id, secret, token, until)."""
        got = self.stock.pop() if self.stock else self.fetch()
        until = time.time() + self.life_s
        keys = got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"], until
        self.issued.append(keys)
        return keys

    def secrets(self):
        return [text for keys in self.issued for text in keys[1:3]]

    @staticmethod
    def said(until):
        return datetime.datetime.fromtimestamp(until, datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )

    def serve(self, http):
        body = http.rfile.read(int(http.headers.get("Content-Length") or 0)).decode()
        with self.lock:
            status, text = self.answer(http.command, http.path, http.headers, body)
        payload = text.encode()
        http.send_response(status)
        http.send_header("Content-Length", str(len(payload)))
        http.end_headers()
        http.wfile.write(payload)

    def answer(self, method, path, headers, body):
        kind = (
            "sts" if method == "POST" else "container" if path == "/container"
            else "token" if path == "/latest/api/token" else "imds"
        )  # fmt: skip
        self.requests[kind] += 1
        if self.status != 200:
            return self.status, ""
        if kind == "sts":
            return self.answer_sts(body)
        if kind == "container":
            self.authorizations.append(headers.get("Authorization"))
            return 200, self.document()
        if kind == "token":
            good = method == "PUT" and headers.get("x-aws-ec2-metadata-token-ttl-seconds")
            return (200, TOKEN) if good else (400, "")
        if headers.get("x-aws-ec2-metadata-token") != TOKEN:
            return 401, ""
        return {
            "/latest/meta-data/iam/security-credentials/": lambda: (200, "athena-reader"),
            "/latest/meta-data/iam/security-credentials/athena-reader": lambda: (
                200,
                self.document(),
            ),
            "/latest/meta-data/placement/region": lambda: (200, "eu-central-1"),
        }.get(path, lambda: (404, ""))()

    def document(self):
        key, secret, token, until = self.issue()
        return (
            f'{{"Code":"Success","AccessKeyId":"{key}","SecretAccessKey":"{secret}",'
            f'"Token":"{token}","Expiration":"{self.said(until)}"}}'
        )

    def answer_sts(self, body):
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.forms.append(form)
        key, secret, token, until = self.issue()
        action = form["Action"]
        return 200, (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
            f"<Credentials><AccessKeyId>{escape(key)}</AccessKeyId>"
            f"<SecretAccessKey>{escape(secret)}</SecretAccessKey>"
            f"<SessionToken>{escape(token)}</SessionToken>"
            f"<Expiration>{self.said(until)}</Expiration></Credentials>"
            f"</{action}Result></{action}Response>"
        )
