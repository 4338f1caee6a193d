"""What every test may use."""

from collections.abc import Generator

import blobstore
import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def azurite() -> Generator[str]:
    """The connection string of a blob store of this session's own."""
    with blobstore.azurite() as connection_string:
        yield connection_string
