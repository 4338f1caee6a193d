"""A list, read in pages. A continue token that ended before the last page begins the list again, once."""

from typing import Generic, TypeVar

from msgspec import Struct

from livecalc.cluster.kubernetes import failures
from livecalc.cluster.kubernetes.api import Api, Call
from livecalc.cluster.kubernetes.targets import Target
from livecalc.domain.errors import LivecalcError

T = TypeVar("T")


class _ListMeta(Struct, frozen=True, rename={"token": "continue"}):
    token: str = ""


class _Page(Struct, Generic[T], frozen=True):
    metadata: _ListMeta
    items: list[T]


class Listing(Struct, Generic[T], frozen=True):
    """What could be read of a list, and why the rest could not."""

    items: list[T]
    failure: LivecalcError | None = None

    def whole(self) -> list[T]:
        """All of it. Raises what kept a part from being read."""
        if self.failure is not None:
            raise self.failure
        return self.items


async def read_list(api: Api, target: Target, item: type[T], *, labels: str = "") -> Listing[T]:
    """Read a list of `item`. Raises what keeps its first page from being read."""
    query = {"limit": str(api.page)} | ({"labelSelector": labels} if labels else {})
    items: list[T] = []
    token, restarted = "", False
    while True:
        asked = query | ({"continue": token} if token else {})
        try:
            answer = await api.send(Call(verb="list", target=target, query=asked))
            if answer.status == failures.EXPIRED and token and not restarted:
                items, token, restarted = [], "", True
                continue
            read = answer.read(_Page[item])
        except LivecalcError as error:
            if not token:
                raise
            return Listing(items, error)
        items += read.items
        token = read.metadata.token
        if not token:
            return Listing(items)
