"""The IAM policies of docs/aws.md."""

import json
import re

from harness.paths import TOP

PAGE = TOP / "docs" / "aws.md"


def _no_key_twice(pairs):
    keys = [k for k, _ in pairs]
    assert len(set(keys)) == len(keys), f"a key comes twice among {keys}"
    return dict(pairs)


def policies():
    """{name: policy} of every policy on the page."""
    text = PAGE.read_text()
    found = re.findall(r"<!-- policy: (\S+) -->\n```json\n(.*?)\n```\n", text, re.S)
    assert len(found) == text.count("```json") == len(dict(found))
    return {n: json.loads(body, object_pairs_hook=_no_key_twice) for n, body in found}


def rights(policy):
    """[(action, resource)] that it gives."""
    return [
        (action, resource)
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    ]


def actions(policy):
    return {action for action, _ in rights(policy)}
