"""Processes that start victims, shared by the tests of one module."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("attack.support")

from attack.support.crew import Crew, open_crew  # noqa: E402  (its asserts are to say what they saw)


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with open_crew() as opened:
        yield opened
