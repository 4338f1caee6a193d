"""Processes that start victims, shared by the tests of one module."""

from collections.abc import Iterator

import pytest
from attack.support.crew import Crew, open_crew


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with open_crew() as opened:
        yield opened
