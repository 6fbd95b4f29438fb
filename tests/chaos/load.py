"""The clients: they post until they are told 202, look queries up, and remember what they were told."""

import contextlib
import dataclasses
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import requests
from confluent_kafka import KafkaException, Producer

import faults
from harness.pipeline import FINAL, sha256

CLIENTS = 24
POST_TIMEOUT_S = 8
AGAIN = {408, 429, 500, 502, 503, 504}  # what says nothing against the query itself


@dataclasses.dataclass
class Told:
    """An answer, or what came instead of one."""

    at: float
    what: str  # POST, GET or inject
    by: str  # which receiver
    status: int | None  # None: no answer
    text: str

    def __str__(self):
        return f"{self.at:.3f} {self.what} {self.by}: {self.status} {self.text[:200]}"


class Query:
    """A pair of userId and queryId, and its whole life as its clients know it."""

    def __init__(self, request):
        self.request = request
        self.told = []
        self.accepted = None  # when it first was
        self.refused = None  # an answer that says that it will never be
        self.other_text = None  # with which the pair was posted later
        self.final = {}  # receiver → the state that a look-up showed first of all final ones

    @property
    def key(self):
        return self.request.user, self.request.name

    def body(self, text=None):
        user = {"userId": self.request.user} if self.request.user else {}
        return json.dumps(
            user | {"queryId": self.request.name, "query": text or self.request.text}
        ).encode()

    @property
    def sha256(self):
        return sha256(self.request.text)


def look_up_path(query):
    user = f"?userId={quote(query.request.user, safe='')}" if query.request.user else ""
    return f"/athena/query/{query.request.name}{user}"


class Clients:
    """Of one stage. `run(round)` starts what the round's clients do, `wait()` ends it."""

    def __init__(self, lab, seed):
        self.lab, self.stage, self.seed = lab, lab.stage, seed
        self.queries = {}  # by key
        self.went_back = []  # (query, text)
        self.pool = ThreadPoolExecutor(CLIENTS)
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.producer = Producer(
            {
                "bootstrap.servers": lab.cluster.bootstrap, "acks": "all", "log_level": 0,
                "reconnect.backoff.max.ms": 200, "message.timeout.ms": 60000,
            }
        )  # fmt: skip
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def close(self):
        self.stopping.set()
        self.watcher.join(20)
        self.pool.shutdown(wait=True, cancel_futures=True)
        self.producer.purge()
        self.producer.flush(1)

    # A round ------------------------------------------------------------------------------------

    def run(self, round_):
        """At once; each client waits for its time in a thread of its own."""
        began = time.monotonic()
        work = [(r.at, self._new, r) for r in round_.requests] + self._repetitions(round_)
        return [
            self.pool.submit(self._at, began + at, what, *args)
            for at, what, *args in sorted(work, key=lambda w: w[0])
        ]

    def _at(self, when, what, *args):
        if not self.stopping.wait(max(0, when - time.monotonic())):
            what(*args)

    def _repetitions(self, round_):
        """Queries of earlier rounds are posted once more, and one with another text."""
        chance = random.Random(f"{self.seed}/{round_.number}/again")
        old = sorted(q for q, v in self.queries.items() if v.accepted and not v.other_text)
        again = chance.sample(old, round(len(old) * round_.again)) if old else []
        work = [(chance.random() * 3, self._post, self.queries[key]) for key in again]
        ended = [k for k in old if k not in again and self.queries[k].request.kind == "plain"]
        if ended:
            work.append((chance.random() * 3, self._post_other, self.queries[chance.choice(ended)]))
        return work

    def _new(self, request):
        query = Query(request)
        with self.lock:
            self.queries[query.key] = query
        if request.injected:
            self._inject(query)
        for n in range(request.posts - (1 if request.injected else 0)):
            if n > 0:
                self.stopping.wait(random.Random(f"{request.name}/{n}").random())
            self._post(query)

    def _post(self, query, text=None):
        """As a client should: what was not accepted, or not answered, is posted again."""
        n = 0
        while not self.stopping.is_set():
            receiver = faults.RECEIVERS[(n + len(query.told)) % 2]
            told = self._post_once(query, receiver, text)
            query.told.append(told)
            if told.status == 202:
                if text is None:
                    query.accepted = query.accepted or told.at
                return
            if told.status is not None and told.status not in AGAIN:
                if text is None:
                    query.refused = told
                return
            n += 1
            self.stopping.wait(0.2)

    def _post_once(self, query, receiver, text):
        try:
            answer = requests.post(
                self.lab.way(f"client:{receiver}") + "/athena/query", data=query.body(text),
                headers={"Content-Type": "application/json"}, timeout=POST_TIMEOUT_S,
            )  # fmt: skip
            return Told(time.time(), "POST", receiver, answer.status_code, answer.text)
        except requests.RequestException as e:
            return Told(time.time(), "POST", receiver, None, type(e).__name__)

    def _post_other(self, query):
        """The same pair with another text, once the first has ended: it must never start."""
        if query.final:
            query.other_text = query.request.text + " -- another"
            self._post(query, query.other_text)

    def _inject(self, query):
        delivered = threading.Event()

        def report(error, message):
            where = "" if error else f"{message.partition()}/{message.offset()}"
            status = None if error else 202
            query.told.append(Told(time.time(), "inject", "kafka", status, str(error or where)))
            if not error:
                query.accepted = query.accepted or time.time()
            delivered.set()

        key = query.request.user or query.request.name
        while not query.accepted and not self.stopping.is_set():
            delivered.clear()
            with contextlib.suppress(KafkaException, BufferError):
                self.producer.produce(
                    self.stage.topic("query"), query.body(), key, on_delivery=report
                )
            while not delivered.is_set() and not self.stopping.is_set():
                self.producer.poll(0.1)

    # Look-ups -----------------------------------------------------------------------------------

    def look_up(self, query, receiver, timeout=5):
        """(status, state object): straight from the receiver; (None, None) without an answer."""
        try:
            answer = requests.get(
                f"http://{self.lab.listen[receiver]}{look_up_path(query)}", timeout=timeout
            )
        except requests.RequestException:
            return None, None
        state = answer.json() if answer.status_code == 200 else None
        self._remember(query, receiver, answer.status_code, state)
        return answer.status_code, state

    def _remember(self, query, receiver, status, state):
        """A final state is never shown as going back, by the receiver that has shown it."""
        with self.lock:
            shown = query.final.get(receiver)
            if shown is None:
                if state and state["state"] in FINAL:
                    query.final[receiver] = state
                return
            said = state["state"] if state else str(status)
            if said != shown["state"] and status in (200, 404):
                self.went_back.append((query, f"{receiver}: {shown['state']}, then {said}"))
                if state:
                    query.final[receiver] = state

    def _watch(self):
        """Looks up one after another, by chance, while there are any."""
        chance = random.Random(self.seed)
        while not self.stopping.wait(0.03):
            with self.lock:
                known = list(self.queries.values())[-60:]
            if known:
                self.look_up(chance.choice(known), chance.choice(faults.RECEIVERS))
