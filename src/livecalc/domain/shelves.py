"""Where a tenant's bundles, records and results lie: standard ones in a container each, regulatory ones all in one.

That one is made by an operator, with version-level immutability, and never by the platform.
"""

from msgspec import Struct

from livecalc.domain.retention import Retention

_REGULATORY = "regulatory-"


class Shelf(Struct, frozen=True, kw_only=True):
    """A container, and how the names of the blobs in question begin there."""

    container: str
    prefix: str = ""

    def blob(self, name: str) -> str:
        """The whole name of one of its blobs."""
        return self.prefix + name


def bundle_shelf(tenant_key: str, retention: str = Retention.STANDARD) -> Shelf:
    """Where a tenant's bundles lie, each by its hash."""
    if retention == Retention.REGULATORY:
        return Shelf(container=regulatory_container(tenant_key), prefix="bundles/")
    return Shelf(container=f"bundles-{tenant_key}")


def result_shelf(tenant_key: str, retention: str = Retention.STANDARD) -> Shelf:
    """Where the records and results of a tenant's jobs lie."""
    if retention == Retention.REGULATORY:
        return Shelf(container=regulatory_container(tenant_key), prefix="results/")
    return Shelf(container=f"results-{tenant_key}")


def regulatory_container(tenant_key: str) -> str:
    """Where everything of a tenant lies that is kept for seven years."""
    return f"{_REGULATORY}{tenant_key}"


def is_regulatory(container: str) -> bool:
    """Tell whether a container is one that an operator provisions."""
    return container.startswith(_REGULATORY)
