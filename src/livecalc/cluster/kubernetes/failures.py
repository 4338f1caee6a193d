"""What the API server's answers mean in the platform's words: one sentence with verb, object and namespace."""

import re

import msgspec
from msgspec import Struct, field

from livecalc.cluster.kubernetes.targets import Target
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    LivecalcError,
    NotFound,
    PreconditionFailed,
    Unavailable,
)

UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
CONFLICT = 409
EXPIRED = 410
INVALID = 422

_WRONG = frozenset({400, 405, 406, 413, 414, 415, INVALID})
_LENGTH = 300
_MISSING = re.compile(r'User "([^"]*)" cannot (\w+) ')
_ACCOUNTS = {
    "livecalc-cleanup-worker": ("cleanup worker", "apply k8s/jobs/cleanup-worker.yaml"),
    "livecalc-retention": ("retention worker", "apply k8s/jobs/cleanup-worker.yaml"),
    "livecalc-api": ("API", "apply k8s/api"),
    "livecalc-worker": ("worker", "apply k8s/api/worker-role.yaml"),
}
"""Our service accounts: what people call each, and what gives it its rights."""


class Cause(Struct, frozen=True):
    """One thing that is wrong with an object."""

    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(Struct, frozen=True):
    kind: str = ""
    name: str = ""
    causes: list[Cause] = field(default_factory=list[Cause])


class Status(Struct, frozen=True):
    """What an API server says when it does not do what was asked (metav1.Status)."""

    reason: str = ""
    message: str = ""
    details: _Details | None = None

    def has(self, reason: str, where: str) -> bool:
        """Tell whether one of the causes has this reason and is about this field."""
        causes = self.details.causes if self.details else []
        return any(cause.reason == reason and cause.field == where for cause in causes)


def read_status(body: bytes) -> Status:
    """Read an answer's body; what is no Status is a message of whoever answered, perhaps a proxy."""
    try:
        return decode_json(body, Status)
    except msgspec.DecodeError:
        return Status(message=" ".join(body.decode(errors="replace").split())[:_LENGTH])


def meaning(cluster: str, verb: str, target: Target, code: int, said: Status) -> LivecalcError:
    """Choose the error and its sentence for an answer with this code."""
    cannot = f"{cluster}: cannot {verb} {target}"
    if code == NOT_FOUND:
        return _absent(target, said)
    if code == CONFLICT:
        return _taken(target, said)
    if code == FORBIDDEN:
        return _forbidden(cannot, target, said)
    if code in _WRONG:
        return _wrong(cannot, target, said)
    if code == UNAUTHORIZED:
        return Unavailable(f"{cannot}: it does not know the credentials; renew them, or correct the kubeconfig")
    return Unavailable(f"{cannot}: it answered {code} ({said.message[:_LENGTH] or said.reason})")


def _taken(target: Target, said: Status) -> Conflict:
    if said.reason != "AlreadyExists":
        return PreconditionFailed(f"{target} was changed since it was read; read it again")
    deleted = "is being deleted" in said.message
    return AlreadyExists(f"{target} {'is being deleted; try again when it is gone' if deleted else 'exists already'}")


def _wrong(cannot: str, target: Target, said: Status) -> LivecalcError:
    if said.has("FieldValueInvalid", "metadata.uid"):
        return NotFound(f"{target} is another one now; the one that was read is gone")
    if said.has("FieldValueForbidden", "metadata.finalizers"):
        return Conflict(f"{target} is being deleted and takes no new finalizer")
    return InvalidInput(f"{cannot}: {said.message[:_LENGTH]}")


def _absent(target: Target, said: Status) -> NotFound:
    of_namespace = said.details is not None and said.details.kind == "namespaces" and target.namespace
    return NotFound(f"there is no namespace {target.namespace}" if of_namespace else f"there is no {target}")


def _forbidden(cannot: str, target: Target, said: Status) -> LivecalcError:
    """Tell a state of the namespace, a rule of the cluster, and a right that is missing, which all come as 403."""
    if said.has("NamespaceTerminating", "metadata.namespace"):
        return Conflict(f"namespace {target.namespace} is being deleted and takes nothing new")
    if "exceeded quota" in said.message:
        return Conflict(f"there is no room for {target}: {said.message[:_LENGTH]}")
    missing = _MISSING.search(said.message)
    if missing is None:
        return Unavailable(f"{cannot}: it is forbidden ({said.message[:_LENGTH]})")
    account = missing[1].rpartition(":")[2]
    who, what = _ACCOUNTS.get(account, (f"user {missing[1]}", "have whoever runs the cluster give it that right"))
    return Unavailable(f"{who} may not {missing[2]} {target.kind}: {what}")
