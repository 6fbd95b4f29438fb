"""What is kept of a round that failed: the plan, the offending queries' lives, every log."""

import contextlib
import json
import shutil

import requests

from harness.pipeline import sha256

TOPICS = ["query", "deadletter", "rejected", "status"]


def records_of(stage, name):
    """(topic, record) of all records that name this queryId."""
    found = []
    for word in TOPICS:
        for r in stage.topics.read(stage.topic(word)):
            if name.encode() in (r.value or b"") or name.encode() in (r.key or b""):
                found.append((word, r))
    return sorted(found, key=lambda pair: pair[1].timestamp_ms)


def life(stage, query):
    """Lines that tell it: what clients were told, records, starts, what the programs logged."""
    name = query.request.name
    yield f"query {name} of user {query.request.user!r}, {query.request.kind}: {query.request.text[:200]}"
    yield from (f"  told   {told}" for told in query.told)
    yield from (f"  shown  {where}: {json.dumps(state)}" for where, state in query.final.items())
    ids = set()
    for line in stage.athena.ledger():
        if line["sha256"] in (query.sha256, sha256(query.other_text or "")):
            ids.add(line["id"])
            yield f"  start  {line['t']:.3f} {line['id']} token {line['token']}"
    for word, r in records_of(stage, name):
        value = (r.value or b"").decode(errors="replace")[:400]
        yield f"  record {r.timestamp_ms / 1000:.3f} {word}[{r.partition}]@{r.offset} {dict(r.header_list)} {value}"
    for program in stage.programs.values():
        for line in program.log(all_starts=True).splitlines():
            if f"{name} " in line + " " or any(i in line for i in ids):
                yield f"  log    {program.label}: {line[:300]}"


def state_of(stage):
    """Lines: where each partition's leader, end and commits are, and what each program says of itself."""
    topics, p = stage.topics, stage.p
    seen = stage.lab.cluster.metadata()
    for word, group in (("query", p.executor_group), ("deadletter", p.redriver_group)):
        name = stage.topic(word)
        done = topics.committed(group, name)
        for n, (low, high) in sorted(topics.watermarks(name).items()):
            leader = seen.topics[name].partitions[n].leader if seen else "?"
            yield f"{word}[{n}] from {low} to {high}, committed {done.get(n)}, leader {leader}"
    for program in stage.programs.values():
        with contextlib.suppress(Exception):
            ready = requests.get(program.admin_url + "/readyz", timeout=5)
            yield f"{program.label} {ready.status_code} {ready.text.strip()}"
            metrics = requests.get(program.admin_url + "/metrics", timeout=5).text.splitlines()
            yield from (f"    {line}" for line in metrics if not line.startswith("#") and "bucket" not in line)


def keep(directory, lab, round_, findings, replay, snapshot=""):
    """Writes it to `directory`; returns where the account of it is."""
    stage = lab.stage
    directory.mkdir(parents=True, exist_ok=True)
    account = directory / "account.txt"
    with open(account, "w") as f:
        print(round_, f"replay: {replay}", "", sep="\n", file=f)
        for finding in findings:
            print(finding, file=f)
        print(f"\ntokens forgotten at {stage.forgot}\n\n{snapshot}\n", file=f)
        for query in {f.query for f in findings if f.query}:
            print(*life(stage, query), "", sep="\n", file=f)
    for log in sorted(stage.directory.rglob("*.log")):
        shutil.copy(log, directory / log.name)
    for broker in lab.cluster.all:
        shutil.copy(broker.log_path, directory / f"broker-{broker.id}.log")
    if stage.athena.ledger_path.exists():
        shutil.copy(stage.athena.ledger_path, directory / "athena.ledger")
    return account
