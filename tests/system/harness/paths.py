"""Where things are."""

import os
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("AQ_BUILD") or TOP / "build").resolve()  # of the variant under test
BIN = BUILD / "bin"
KAFKA = TOP / "build" / "kafka"  # jars; the same for every variant
PLAIN = BUILD == TOP / "build"  # what looks at no program is run with this build only
SANITIZED = "san" in BUILD.name  # memory is several times what it is otherwise
