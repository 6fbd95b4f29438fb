"""What --help says, and the README's tables made of it.

Run in tests/system after a change of an option, it writes the tables into the README:
    python3 -m harness.options_table
"""

import dataclasses
import os
import re
import subprocess

from harness.paths import BIN, TOP

README = TOP / "README.md"
PIPELINE = ["athena-query-receiver", "athena-query-executor", "athena-query-redriver"]
STAND_INS = ["athena-sim", "dev-broker"]
HEAD = "| variable | default | of | meaning |\n| --- | --- | --- | --- |\n"


@dataclasses.dataclass(frozen=True)
class Option:
    name: str
    type: str
    default: str | None  # of a flag: None
    meaning: str

    @property
    def is_variable(self):
        return not self.name.startswith("-")


def read_help(program):
    """Its options; fails where --help has a line that is none."""
    done = subprocess.run(
        [BIN / program, "--help"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{program}: {done}"
    head = rf"{program}: .+\n\nUsage: {program} \[options\]\n\nOptions:\n"
    tail = r"\nExit status: 0 stopped cleanly, 100 bad configuration, 111 cannot go on\.\n"
    whole = re.fullmatch(rf"{head}(.*)\nEnvironment:\n(.*){tail}", done.stdout, re.DOTALL)
    assert whole, f"{program} --help:\n{done.stdout}"
    options, text = [], whole[1] + whole[2]
    row = re.compile(r"  (\S+) \(([^;\n]+?)(?:; default ([^\n]+))?\)\n      (\S[^\n]*)\n")
    at = 0
    while at < len(text):
        match = row.match(text, at)
        assert match, f"{program} --help, no option:\n{text[at : at + 200]}"
        options.append(Option(*match.groups()))
        at = match.end()
    return options


def table(programs):
    """Rows in the order of --help: one for a variable, or for each of its meanings."""
    rows = {}
    for program in programs:
        for option in read_help(program):
            if option.is_variable:
                rows.setdefault(option, []).append(program.removeprefix("athena-query-"))
    text = HEAD
    for option, of in rows.items():
        plain = option.default in ("none", "empty", "librdkafka's")
        default = option.default if plain else f"`{option.default}`"
        if "|" in option.type and option.type != "true|false":
            default += " of " + option.type.replace("|", ", ")
        who = "all" if len(of) == len(programs) else ", ".join(of)
        text += f"| `{option.name}` | {default} | {who} | {option.meaning.replace('|', chr(92) + '|')} |\n"
    return text


def readme_with_tables(text):
    """`text` with what stands between the marks replaced."""
    for mark, programs in (("variables", PIPELINE), ("stand-ins", STAND_INS)):
        begin, end = f"<!-- {mark}: by --help -->\n", f"<!-- end of {mark} -->\n"
        assert text.count(begin) == text.count(end) == 1, f"README.md: {begin}{end}"
        before, rest = text.split(begin)
        text = before + begin + table(programs) + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    README.write_text(readme_with_tables(README.read_text()))
