"""What a request is about: an object or a list, its path, and what people call it."""

from urllib.parse import quote

from msgspec import Struct, structs

from livecalc.domain.errors import NotFound

_TITLES = {
    "persistentvolumeclaims": "volume claim",
    "persistentvolumes": "volume",
    "serviceaccounts": "service account",
    "resourcequotas": "resource quota",
    "limitranges": "limit range",
    "networkpolicies": "network policy",
    "rolebindings": "role binding",
    "endpointslices": "endpoint slice",
}
"""Where it is not the resource without its last letter."""


class Target(Struct, frozen=True, kw_only=True):
    """One object, or all of a kind where there is no name. Every kind that we use is at version 1."""

    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""
    part: str = ""
    """A subresource: `log`."""

    @property
    def path(self) -> str:
        """The path of its address. Raises NotFound for a name that no object can have."""
        if self == VERSION:
            return "/version"
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        scope = ("namespaces", self.namespace) if self.namespace else ()
        named = tuple(each for each in (self.name, self.part) if each)
        segments = (*scope, self.resource, *named)
        if any(each in {".", ".."} for each in segments):
            raise NotFound(f"there is no {self}")
        return "/".join((root, *(quote(each, safe="") for each in segments)))

    @property
    def kind(self) -> str:
        """All of its kind, as a role names them: `pods/log in namespace x`."""
        resource = f"{self.resource}/{self.part}" if self.part else self.resource
        return f"{resource} in namespace {self.namespace}" if self.namespace else resource

    def __str__(self) -> str:
        if not self.name:
            return self.kind
        part = f"{self.part} of " if self.part else ""
        title = f"{part}{_TITLES.get(self.resource, self.resource[:-1])} {self.name}"
        return f"{title} in namespace {self.namespace}" if self.namespace else title

    def at(self, name: str) -> "Target":
        """The one of this kind with a name. Raises NotFound for an empty one, which would be all of them."""
        if not name:
            raise NotFound(f"there is no {self.resource[:-1]} without a name")
        return structs.replace(self, name=name)

    def having(self, part: str) -> "Target":
        """A subresource of it; itself for an empty one."""
        return structs.replace(self, part=part)


NAMESPACES = Target(resource="namespaces")
VOLUMES = Target(resource="persistentvolumes")
VERSION = Target(resource="version")


def inside(namespace: str, resource: str, group: str = "") -> Target:
    """All of a kind in a namespace. Raises NotFound for an empty one, which would be all of the cluster."""
    if not namespace:
        raise NotFound("there is no namespace without a name")
    return Target(resource=resource, group=group, namespace=namespace)


def pods(namespace: str) -> Target:
    """The pods of a namespace."""
    return inside(namespace, "pods")


def jobs(namespace: str) -> Target:
    """The jobs of a namespace."""
    return inside(namespace, "jobs", "batch")
