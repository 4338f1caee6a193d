"""One application for the client's tests, and one job that succeeded in it."""

from collections.abc import Iterator

import pytest
from support.jobs import write_bundle
from support.site import Site, open_site

from livecalc.client import Client, JobHandle


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("client") / "home") as opened:
        yield opened


@pytest.fixture(scope="session")
def calc(site: Site) -> Iterator[Client]:
    with site.client() as client:
        yield client


@pytest.fixture(scope="session")
def done(calc: Client, tmp_path_factory: pytest.TempPathFactory) -> JobHandle:
    """A job that succeeded: 16 scenarios of one output, `total`."""
    file = write_bundle(tmp_path_factory.mktemp("done") / "small.zip")
    handle = calc.submit(file, bucket="done", name="small one", labels={"basis": "best", "x": "1=2"}, partitions=2)
    return handle.wait()
