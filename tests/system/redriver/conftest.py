"""Redrivers on topics of the test's own."""

import pytest

from harness.redrive import Redrive


@pytest.fixture
def redrive(programs, kafka, topics, stage):
    return Redrive(programs, kafka, topics, stage).create()


@pytest.fixture
def own_redrive(programs, own_kafka, open_topics, stage):
    """On a broker that may be hurt."""
    broker = own_kafka()
    return Redrive(programs, broker, open_topics(broker), stage).create()
