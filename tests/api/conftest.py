"""One application for all tests of the API; each test takes buckets or tenants of its own."""

from collections.abc import Iterator

import httpx
import pytest
from support.site import Site, open_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("api") / "home") as opened:
        yield opened


@pytest.fixture
def ana(site: Site) -> Iterator[httpx.Client]:
    with site.caller() as caller:
        yield caller


@pytest.fixture
def eve(site: Site) -> Iterator[httpx.Client]:
    """A caller of another tenant."""
    with site.caller(tenant="evil", user="eve") as caller:
        yield caller
