"""athena-sim, and what it knows."""

import collections
import json
from pathlib import Path

import botocore.session
import requests

from harness.program import Program
from harness.wait import wait_until

ACCESS_KEY_ID = "AKIDATHENASIM"
SECRET_ACCESS_KEY = "sim/secret+key"
REGION = "eu-central-1"


class Sim(Program):
    """`env`: SIM_… variables. The ledger outlives a kill and a new start."""

    def __init__(self, directory, env=None, label="athena-sim"):
        directory = Path(directory)
        self.ledger_path = directory / f"{label}.ledger"
        self.address_path = directory / f"{label}.address"
        settings = {
            "SIM_LISTEN": "127.0.0.1:0",
            "SIM_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "SIM_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "SIM_LEDGER": self.ledger_path,
            "SIM_QUERY_MS": 100,
            "SIM_DELAY_MS": 0,
        }
        super().__init__(
            "athena-sim", settings | (env or {}), ["--address-file", self.address_path],
            directory, label,
        )  # fmt: skip

    def start(self):
        self.address_path.unlink(missing_ok=True)
        super().start()
        self.host_port = wait_until(
            self._read_address, 10, lambda: "the address of athena-sim:\n" + self.log_tail()
        )
        # After a kill it comes back where the programs look for it.
        self.env["SIM_LISTEN"] = self.host_port
        return self

    def _read_address(self):
        if not self.running:
            raise RuntimeError(f"athena-sim ended with {self.exit_code}:\n{self.log_tail()}")
        if not self.address_path.exists():
            return None
        text = self.address_path.read_text()
        return text.strip() if text.endswith("\n") else None

    @property
    def url(self):
        return "http://" + self.host_port

    def aws_env(self):
        """The environment that brings an AWS client here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.env["SIM_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": self.env["SIM_SECRET_ACCESS_KEY"],
            "AWS_SESSION_TOKEN": self.env.get("SIM_SESSION_TOKEN"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def set(self, **what):
        """Changes faults or quotas while it runs: set(fail_5xx=0.3)."""
        answer = requests.post(self.url + "/_set", json=what, timeout=10)
        assert answer.ok, answer.text

    def stats(self):
        answer = requests.get(self.url + "/_stats", timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def execution(self, query_execution_id):
        """What GetQueryExecution tells of a query."""
        client = botocore.session.Session().create_client(
            "athena", region_name=REGION, endpoint_url=self.url,
            aws_access_key_id=self.env["SIM_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["SIM_SECRET_ACCESS_KEY"],
            aws_session_token=self.env.get("SIM_SESSION_TOKEN"),
        )  # fmt: skip
        return client.get_query_execution(QueryExecutionId=query_execution_id)["QueryExecution"]

    def ledger(self):
        """The starts: dictionaries with token, id, sha256, t."""
        if not self.ledger_path.exists():
            return []
        lines = self.ledger_path.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines[:-1]]  # behind the last newline: unfinished

    def starts_by_text(self):
        """{sha256 of the SQL: how often it started}"""
        return collections.Counter(entry["sha256"] for entry in self.ledger())
