"""The laboratory: three brokers behind proxies, and stages of programs on them, one after another."""

import contextlib
import os
import signal
import time
import types
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

import faults
from harness.cluster import BROKERS, Cluster
from harness.metadata import Metadata
from harness.pipeline import Pipeline
from harness.program import Program
from harness.proxy import Fault, Switchboard
from harness.sim import REGION, Sim
from harness.topics import Topics
from harness.wait import SLOWNESS, free_port, wait_until

EXTRA = ["executor-4", "executor-5"]  # of the fault that adds some
DISK_MB = 96
CREDENTIALS_LIVE_S = 6
PARTITIONS = 4
MOST_PARTITIONS = 8
STOP_S = 30  # a clean stop: DRAIN_TIMEOUT_MS, and the group is left

ATHENA = {
    "SIM_ACTIVE_DML": 8, "SIM_ACTIVE_DDL": 3, "SIM_JITTER": 0.3, "SIM_QUERY_MS": 100,
}  # fmt: skip

# So that what takes minutes with the defaults takes seconds.
SOON = {
    "KAFKA_SESSION_TIMEOUT_MS": 4000,
    "KAFKA_HEARTBEAT_INTERVAL_MS": 500,
    "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 2000,
    "THROTTLE_PATIENCE_MS": 3000,
    "REDRIVE_INTERVAL_MS": 1000,
    "POLL_INTERVAL_MS": 100,
}


class Lab:
    """A context manager. `stage` is the current one, made by `new_stage()`."""

    def __init__(self, directory, seed, heap="256m"):
        self.directory, self.seed = directory, seed
        self.stages = 0
        self.stage = None
        self.board = Switchboard()
        self.heap = heap

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.board)
            self._open_ports()
            self.cluster = Cluster(
                self.directory / "brokers", self.broker_ports, self.heap, disk_mb=DISK_MB
            )
            stack.enter_context(self.cluster)
            stack.callback(self.end_stage)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    @property
    def has_small_disks(self):
        return all(b.disk for b in self.cluster.all)

    def _open_ports(self):
        """The ways through the proxies. Where those of a stage's programs lead is set with it."""
        self.broker_ports, self.listen = {}, {}
        for n in range(1, BROKERS + 1):
            self.broker_ports[n] = self.board.open(f"broker:{n}", 1, reads_client=True)
        for name in faults.CALLERS + EXTRA:
            self.board.open(f"athena:{name}", 1)
        for name in faults.RECEIVERS:
            self.listen[name] = f"127.0.0.1:{free_port()}"
            self.board.open(f"client:{name}", int(self.listen[name].split(":")[1]))

    def way(self, name):
        return f"http://127.0.0.1:{self.board.ports[name].number}"

    def lead(self, name, to):
        self.board.ports[name].to = to

    def new_stage(self):
        self.end_stage()
        for broker in self.cluster.all:
            self.lead(f"broker:{broker.id}", broker.ports["WAY"])
        self.stages += 1
        self.stage = Stage(self, f"c{self.seed}-{os.getpid()}-{self.stages}")
        try:
            self.stage.start()
        except BaseException:
            self.end_stage()
            raise
        return self.stage

    def end_stage(self):
        """Ends it as it is; what was wrong with it was judged before."""
        if self.stage:
            self.stage.abandon()
            self.stage = None


class Stage:
    """Two receivers, three executors, two redrivers, Athena, and what gives them credentials."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.directory = lab.directory / name
        self.programs = {}  # by label
        self.forgot = []  # when Athena's memory of tokens was lost
        self.kills = Counter()
        self.rounds = 0
        self.topics = Topics(lab.cluster.bootstrap)
        self.athena = Sim(self.directory / "athena", ATHENA, "athena")
        self.athena_settings = {}  # those that are not as usual

    def start(self):
        self.athena.start()
        self.metadata = Metadata(self.athena, CREDENTIALS_LIVE_S)
        self.metadata.__enter__()
        self.metadata.server.handle_error = lambda *_: None  # a caller was killed
        brokers = types.SimpleNamespace(bootstrap=self.lab.cluster.proxied)
        self.p = Pipeline(
            self._add, brokers, self.topics, self.name, self.directory, self.athena, SOON
        )
        for name in faults.RECEIVERS:
            self.p.add_receiver({"KAFKA_CLIENT_ID": name, "LISTEN": self.lab.listen[name]})
        for name in faults.EXECUTORS:
            self.p.add_executor(self._caller_env(name))
        for name in faults.REDRIVERS:
            self.p.add_redriver(self._caller_env(name))
        self.wait_ready(60)
        self._stamp_states_when_they_arrive()
        self.usual_athena = self._ask_athena()
        for name in EXTRA:
            self.p.add_executor(self._caller_env(name))
        del self.p.executors[len(faults.EXECUTORS) :]

    def _add(self, name, env):
        """Of Pipeline's: a program with these variables. One of the extra ones is not started."""
        label = env["KAFKA_CLIENT_ID"]
        program = Program(name, env, [], self.directory / label, label)
        self.programs[label] = program
        return program if label in EXTRA else program.start()

    def _caller_env(self, name):
        self.lab.lead(f"athena:{name}", int(self.athena.host_port.split(":")[1]))
        return {
            "KAFKA_CLIENT_ID": name,
            "AWS_ENDPOINT_URL": self.lab.way(f"athena:{name}"),
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.metadata.url + "/container",
        }

    def _stamp_states_when_they_arrive(self):
        """So that it can be said since when the status topic knew something."""
        entry = ConfigEntry(
            "message.timestamp.type", "LogAppendTime",
            incremental_operation=AlterConfigOpType.SET,
        )  # fmt: skip
        resource = ConfigResource("topic", self.p.status_topic, incremental_configs=[entry])
        self.lab.cluster.admin.incremental_alter_configs([resource])[resource].result(20)

    # What there is ----------------------------------------------------------------------------

    @property
    def running(self):
        return [p for p in self.programs.values() if p.running]

    @property
    def permanent(self):
        return [p for name, p in self.programs.items() if name not in EXTRA]

    def topic(self, word):
        p = self.p
        return {
            "query": p.query_topic, "deadletter": p.deadletter_topic, "status": p.status_topic,
            "rejected": p.rejected_topic, "quota": p.name("athena-query-quota"),
            "offsets": "__consumer_offsets",
        }[word]  # fmt: skip

    def wait_ready(self, timeout=60):
        for program in self.permanent:
            program.wait_ready(timeout)

    # Athena -----------------------------------------------------------------------------------

    def _ask_athena(self):
        return requests.get(self.athena.url + "/_set", timeout=10).json()

    def apply_to_athena(self, settings):
        """Where it does not answer, they are applied when it does again."""
        with contextlib.suppress(requests.RequestException):
            requests.post(self.athena.url + "/_set", json=settings, timeout=1)
            return True
        return False

    # Its end ----------------------------------------------------------------------------------

    def stop(self, timeout=20):
        """A clean stop of all; what is wrong with it, as a list."""
        for program in self.programs.values():
            program.ask_to_stop()
        trouble = [t for p in self.programs.values() if (t := p.finish())]
        return trouble + ([t] if (t := self.athena.finish()) else [])

    def abandon(self):
        for program in [*self.programs.values(), self.athena]:
            program.kill()
        if hasattr(self, "metadata"):
            self.metadata.__exit__()
        with contextlib.suppress(Exception):
            self.topics.delete(*(n for n in self.topics.names() if n.endswith(self.name)))
        self.topics.close()


class Steps:
    """The methods that the steps of a plan name. What is there already, or gone, is left alone."""

    def __init__(self, lab):
        self.lab, self.stage = lab, lab.stage
        self.cluster, self.board = lab.cluster, lab.board
        self.links, self.leaders = {}, {}
        self.admin = ThreadPoolExecutor(1)  # one after another, and the other steps do not wait

    def run(self, step):
        getattr(self, step.what)(*step.args)

    def _process(self, name):
        return self.stage.athena if name == "athena" else self.stage.programs[name]

    # Programs ---------------------------------------------------------------------------------

    def kill(self, name):
        program = self._process(name)
        if program.running:
            program.kill()
            self.stage.kills[name.split("-")[0]] += 1

    def start(self, name):
        program = self._process(name)
        self.await_stop(program)
        if program.running:
            return
        if program.process is not None and not program.awaited:
            raise ProgramEnded(program)
        program.start()
        if name == "athena":
            self.stage.apply_to_athena(self.stage.athena_settings)

    def await_stop(self, program):
        """Waits for the end of a clean stop, which must be one."""
        if program.process is not None and program.asked and not program.awaited:
            if program.running and program.paused:
                program.resume()
            code = program.wait(STOP_S / SLOWNESS)
            if code != 0:
                raise ProgramEnded(program)

    def stop(self, name):
        program = self._process(name)
        if program.running:
            if program.paused:
                program.resume()
            program.ask_to_stop()

    def pause(self, name):
        program = self._process(name)
        if program.running:
            program.pause()

    def resume(self, name):
        program = self._process(name)
        if program.running and program.paused:
            program.resume()
            if name == "athena":
                self.stage.apply_to_athena(self.stage.athena_settings)

    # Brokers ----------------------------------------------------------------------------------

    def kill_broker(self, number):
        broker = self.cluster.brokers[number]
        if broker.running:
            self.stage.kills["broker"] += 1
        broker.kill()

    def start_broker(self, number):
        broker = self.cluster.brokers[number]
        broker.reap()
        if not broker.running:
            broker.launch()

    def kill_leader(self, tag, word, partition):
        leader = self.cluster.leader(self.stage.topic(word), partition)
        if leader:
            self.leaders[tag] = leader.id
            self.kill_broker(leader.id)

    def start_leader(self, tag):
        if tag in self.leaders:
            self.start_broker(self.leaders[tag])

    def pause_broker(self, number):
        broker = self.cluster.brokers[number]
        if broker.running:
            broker.signal(signal.SIGSTOP)

    def resume_broker(self, number):
        broker = self.cluster.brokers[number]
        if broker.running:
            broker.signal(signal.SIGCONT)

    def fill_disk(self, number):
        disk = self.cluster.brokers[number].disk
        if disk:
            disk.fill()

    def free_disk(self, number):
        disk = self.cluster.brokers[number].disk
        if disk:
            disk.free()
            self.start_broker(number)

    # Connections ------------------------------------------------------------------------------

    def link(self, tag, mode, ports, client, seconds, end):
        client = "" if client == "all" else client
        fault = Fault(mode, frozenset(ports.split(",")), client, seconds, end == "breaks")
        self.links[tag] = self.board.begin(fault)

    def unlink(self, tag):
        self.board.end(self.links[tag])

    # Athena -----------------------------------------------------------------------------------

    def athena(self, setting, value):
        if setting == "forget_tokens":
            at = time.time()
            if self.stage.apply_to_athena({setting: value}):
                self.stage.forgot.append(at)
            return
        if value == "usual":
            value = self.stage.usual_athena[setting]
            self.stage.athena_settings.pop(setting, None)
        else:
            self.stage.athena_settings[setting] = value
        self.stage.apply_to_athena({setting: value})

    def credentials(self, how):
        self.stage.metadata.status = 500 if how == "refused" else 200

    # Topics -----------------------------------------------------------------------------------

    def delete_topic(self, word):
        self.admin.submit(self.stage.topics.delete, self.stage.topic(word))

    def make_topic(self, word, partitions):
        """Unless a program has made it meanwhile."""
        name = self.stage.topic(word)
        made = NewTopic(name, partitions, -1, config={"cleanup.policy": "compact,delete"})
        self.admin.submit(lambda: self.cluster.admin.create_topics([made])[name].result(5))

    def add_partitions(self, word, more):
        name = self.stage.topic(word)

        def add():  # without a controller nothing comes of it
            n = self.stage.topics.partitions(name)
            if n and n + more <= MOST_PARTITIONS:
                done = self.cluster.admin.create_partitions([NewPartitions(name, n + more)])
                done[name].result(5)

        self.admin.submit(add)

    # The end of a round -----------------------------------------------------------------------

    def restore(self):
        """All is as it was before the round, but for what can only grow."""
        for n in self.cluster.brokers:
            self.resume_broker(n)
            self.free_disk(n)
            self.start_broker(n)
        self.board.clear()
        self.credentials("given")
        for name in ["athena", *self.stage.programs]:
            self.resume(name)
        for name in EXTRA:
            self.stop(name)
            self.await_stop(self.stage.programs[name])
        for name in ["athena", *faults.PROGRAMS]:
            self.start(name)
        self._restore_athena()
        self.cluster.wait_whole(60)
        self.make_topic("quota", 1)
        self.admin.shutdown(wait=True)

    def _restore_athena(self):
        self.stage.athena_settings.clear()
        wait_until(
            lambda: self.stage.apply_to_athena(self.stage.usual_athena), 10 / SLOWNESS + 5,
            "Athena to take its usual settings",
        )  # fmt: skip


class ProgramEnded(AssertionError):
    """A program ended by itself."""

    def __init__(self, program):
        super().__init__(f"{program.label} ended by itself with {program.exit_code}")
        self.program = program
