"""Prints what cloudformation-validate finds in a template, as JSON: [[severity, rule, message], ...].

build/tools/python/bin/python tests/deploy/validate_template.py TEMPLATE
"""

import json
import sys

from cloudformation_validate import CompositeEngine

report = CompositeEngine().validate_template(sys.argv[1])
print(json.dumps([[d.severity.name, d.rule_id, d.message] for d in report.diagnostics]))
