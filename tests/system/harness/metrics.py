"""Prometheus' text format, read strictly enough to notice a broken one."""

import re

import requests

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)')


class Metrics:
    def __init__(self, samples, types):
        self.samples = samples  # {(name, frozenset of label pairs): value}
        self.types = types  # {name: "counter", ...}

    def sum(self, name, **labels):
        """The sum over all samples with these labels; 0 where there is none."""
        want = set(labels.items())
        return sum(v for (n, have), v in self.samples.items() if n == name and want <= have)

    def has(self, name, **labels):
        want = set(labels.items())
        return any(n == name and want <= have for n, have in self.samples)


def parse(text):
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"two TYPE lines for {name}"
            types[name] = kind
        elif line and not line.startswith("#"):
            found = SAMPLE.fullmatch(line)
            assert found, f"not a sample: {line!r}"
            name, labels, value = found.groups()
            pairs, at = {}, 0
            while labels and at < len(labels):
                pair = LABEL.match(labels, at)
                assert pair, f"labels in {line!r}"
                pairs[pair[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), pair[2])
                at = pair.end()
            key = (name, frozenset(pairs.items()))
            assert key not in samples, f"a sample twice: {line!r}"
            samples[key] = float(value)
    return Metrics(samples, types)


def scrape(url):
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain"), answer.headers
    return parse(answer.text)
