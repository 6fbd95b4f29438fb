"""What a PromQL expression names, beside what the programs export; and promtool, where it is."""

import re
import shutil

from harness.paths import TOP

PROMTOOL = next(
    (str(p) for p in [TOP / "build/tools/promtool"] if p.exists()), shutil.which("promtool")
)
# Labels that the scrape adds, beside those of the programs.
OF_THE_SCRAPE = {"namespace", "stage", "job", "instance", "pod", "le"}
# Exported once the settings of a topic are known, so not without a broker: {name: (type, labels)}.
WITH_A_BROKER = {"athena_query_topic_unsafe": ("gauge", {"topic"})}
NAME = re.compile(r"\b((?:athena_query|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=|!=|=~|!~)\s*"([^"]*)"')


class Exported:
    """Types and labels of the metrics of some programs: harness.metrics.Metrics of each."""

    def __init__(self, scrapes):
        sources = "".join(p.read_text() for p in sorted((TOP / "common/kafka").glob("*.c")))
        known = {name: of for name, of in WITH_A_BROKER.items() if f'"{name}"' in sources}
        self.types = {name: kind for name, (kind, _) in known.items()}
        self.labels = {name: {key: set() for key in keys} for name, (_, keys) in known.items()}
        for metrics in scrapes:
            self.types |= metrics.types
            for name, pairs in metrics.samples:
                for key, value in pairs:
                    self.labels.setdefault(name, {}).setdefault(key, set()).add(value)
        for name, kind in list(self.types.items()):
            if kind == "histogram":
                self.types |= {f"{name}_{part}": "histogram" for part in ("bucket", "sum", "count")}
                del self.types[name]


def faults(expression, exported):
    """What the expression names that nobody exports, or treats as what it is not."""
    found = []
    names = NAME.findall(expression)
    if not names:
        found.append("no metric of the programs")
    for name, matchers in names:
        if name not in exported.types:
            found.append(f"{name} is not exported")
            continue
        labels = exported.labels.get(name, {})
        for key, operator, value in MATCHER.findall(matchers):
            if key not in labels and key not in OF_THE_SCRAPE:
                found.append(f"{name} has no label {key}")
            elif operator == "=" and key in labels and "$" not in value and value not in labels[key]:
                found.append(f'{name} has no {key}="{value}"')
        is_rate = re.search(rf"\b(?:rate|increase)\({name}\b", expression)
        if exported.types[name] == "counter" and not is_rate:
            found.append(f"{name} is a counter: neither rate() nor increase()")
        if exported.types[name] == "gauge" and is_rate:
            found.append(f"{name} is a gauge: no rate()")
    return found
