"""The whole pipeline of one stage: receivers, executors, a redriver, and a sim behind them."""

import hashlib
import json
from urllib.parse import quote

import requests

from harness.sim import Sim
from harness.wait import SLOWNESS, wait_until

FINAL = {"SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def status_key(query_id, user_id=""):
    """The key of a query in the status topic."""
    return f"{quote(user_id, safe='')}/{quote(query_id, safe='')}".encode()


class Receiver:
    """HTTP to one receiver."""

    def __init__(self, program, headers=None):
        self.program = program
        self.headers = dict(headers or {})
        self.session = requests.Session()

    @property
    def url(self):
        return self.program.url

    def post(self, body, headers=None, path="/athena/query"):
        """`body`: an object, or the bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        return self.session.post(
            self.url + path, data=data, headers=kind | self.headers | (headers or {}),
            timeout=30 * SLOWNESS,
        )  # fmt: skip

    def get(self, path, headers=None):
        return self.session.get(
            self.url + path, headers=self.headers | (headers or {}), timeout=30 * SLOWNESS
        )

    def status(self, query_id, user_id="", path="/athena/query/"):
        """The look-up's answer as an object, or None where it is a 404."""
        user = f"?userId={quote(user_id, safe='')}" if user_id else ""
        answer = self.get(path + quote(query_id, safe="") + user)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()


class Pipeline:
    """Made by the fixture `pipeline`, which also ends it."""

    def __init__(self, programs, kafka, topics, stage, directory, sim, env):
        self.programs = programs
        self.kafka = kafka
        self.topics = topics
        self.stage = stage
        self.directory = directory
        self.sim = sim
        self.common_env = env
        self.receivers, self.executors, self.redrivers = [], [], []
        self.clients = []

    # Names of this stage -------------------------------------------------------------------------

    def name(self, base):
        return f"{base}-{self.stage}" if self.stage else base

    query_topic = property(lambda self: self.name("athena-query"))
    deadletter_topic = property(lambda self: self.name("athena-query-deadletter"))
    rejected_topic = property(lambda self: self.name("athena-query-rejected"))
    status_topic = property(lambda self: self.name("athena-query-status"))
    executor_group = property(lambda self: self.name("athena-query-executor"))
    redriver_group = property(lambda self: self.name("athena-query-redriver"))

    # Programs ------------------------------------------------------------------------------------

    def env(self, *more):
        base = {
            "STAGE": self.stage,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "KAFKA_RECONNECT_BACKOFF_MAX_MS": 500,
            "TOPIC_PARTITIONS": 4,
            "ADMIN_LISTEN": "127.0.0.1:0",
            "LOG_LEVEL": "debug",
        }
        for extra in (self.common_env, *more):
            base |= extra or {}
        return base

    def aws_env(self):
        aws = self.sim.aws_env() if self.sim else {}
        return aws | {"ATHENA_OUTPUT_LOCATION": "s3://results/"}

    def add_receiver(self, env=None, headers=None):
        settings = self.env({"LISTEN": "127.0.0.1:0"}, env)
        program = self.programs("athena-query-receiver", settings)
        self.receivers.append(program)
        self.clients.append(Receiver(program, headers))
        return program

    def add_executor(self, env=None):
        settings = self.env(
            self.aws_env(),
            {"POLL_INTERVAL_MS": 50, "KAFKA_SESSION_TIMEOUT_MS": 6000},
            {"KAFKA_HEARTBEAT_INTERVAL_MS": 500},
            self.common_env, env,
        )
        program = self.programs("athena-query-executor", settings)
        self.executors.append(program)
        return program

    def add_redriver(self, env=None):
        settings = self.env(
            self.aws_env(),
            {"REDRIVE_INTERVAL_MS": 500, "KAFKA_SESSION_TIMEOUT_MS": 6000},
            {"KAFKA_HEARTBEAT_INTERVAL_MS": 500},
            self.common_env, env,
        )
        program = self.programs("athena-query-redriver", settings)
        self.redrivers.append(program)
        return program

    def wait_ready(self, timeout=30):
        for program in self.receivers + self.executors + self.redrivers:
            if program.running:
                program.wait_ready(timeout)
        return self

    # Use -----------------------------------------------------------------------------------------

    @property
    def receiver(self):
        """HTTP to the first receiver."""
        return self.clients[0]

    def post(self, body, expect=202, **how):
        """Posts to the first receiver; returns the answer's object."""
        answer = self.receiver.post(body, **how)
        assert answer.status_code == expect, f"{answer.status_code} {answer.text}"
        return answer.json()

    def inject(self, body, key=None, headers=None):
        """Puts a request straight into the query topic."""
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.topics.produce(self.query_topic, value, key, headers)

    def status(self, query_id, user_id=""):
        return self.receiver.status(query_id, user_id)

    def wait_state(self, query_id, state, user_id="", timeout=20):
        """Waits until one query shows this state (or one of a set); returns the look-up's object."""
        wanted = {state} if isinstance(state, str) else set(state)
        last = []

        def look():
            last[:] = [self.status(query_id, user_id)]
            return last[0] if last[0] and last[0]["state"] in wanted else None

        return wait_until(look, timeout, lambda: f"{query_id} to be {wanted}, it is {last}")

    def wait_states(self, pairs, state, timeout=60):
        """Waits until all of these (userId, queryId) pairs show the state, or one of a set."""
        wanted = {state} if isinstance(state, str) else set(state)
        open_pairs = dict.fromkeys(pairs)

        def look():
            for user_id, query_id in list(open_pairs):
                found = self.status(query_id, user_id)
                open_pairs[user_id, query_id] = found and found["state"]
                if found and found["state"] in wanted:
                    del open_pairs[user_id, query_id]
            return not open_pairs

        def what():
            some = list(open_pairs.items())[:5]
            return f"{len(open_pairs)} queries to be {wanted}, among them {some}"

        wait_until(look, timeout, what, interval=0.1)

    def status_records(self):
        """{key: [state objects in order]} of the status topic; tombstones are None."""
        found = {}
        for record in self.topics.read(self.status_topic):
            value = None if record.value is None else json.loads(record.value)
            found.setdefault(record.key, []).append(value)
        return found

    def wait_committed(self, timeout=30):
        """Waits until the executors have committed every record of the query topic."""
        wait_until(
            lambda: self.topics.lag(self.executor_group, self.query_topic) == 0,
            timeout,
            lambda: f"no lag, committed {self.topics.committed(self.executor_group, self.query_topic)}"
            f" of {self.topics.watermarks(self.query_topic)}",
            interval=0.2,
        )


def start_sim(programs, directory, env=None, label="athena-sim"):
    return programs.add(Sim(directory, env, label)).start()
