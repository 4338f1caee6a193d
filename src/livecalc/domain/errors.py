"""The one error tree. Raised where they are known; statuses and exit codes are given at the doors only.

LivecalcError
├── InvalidInput           the request itself is wrong                  422, exit 2
│   └── TooLarge           over a limit                                 413, exit 2
├── Unauthenticated        no token, or one that does not verify        401, exit 4
├── Forbidden              a good token without the right               403, exit 4
├── NotFound               no such object for this tenant               404, exit 1
├── Conflict               the object's state does not allow it         409, exit 1
│   ├── AlreadyExists      written once, and it is there
│   ├── PreconditionFailed uid or resource version moved on
│   └── Reaping            being reaped; come back in a minute
├── Damaged                stored data is not what its digest says      500, exit 1
├── ModelFailed            the model's own fault, final                 (never HTTP)
└── Unavailable            a part we depend on does not answer          503, exit 1
"""


class LivecalcError(Exception):
    """An error with one sentence for people: what happened, to which object, what to do."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidInput(LivecalcError):
    """The request itself is wrong; asking again will not help."""


class TooLarge(InvalidInput):
    """Over a limit that a setting names."""


class Unauthenticated(LivecalcError):
    """No token, or one that does not verify."""


class Forbidden(LivecalcError):
    """The token is good, but does not give the right."""


class NotFound(LivecalcError):
    """There is no such object, or it belongs to another tenant."""


class Conflict(LivecalcError):
    """The object's state does not allow what was asked."""


class AlreadyExists(Conflict):
    """An object that is written once is there already."""


class PreconditionFailed(Conflict):
    """The object changed since it was read; read it again and decide anew."""


class Reaping(Conflict):
    """The namespace is being reaped and takes no new work."""


class Damaged(LivecalcError):
    """Stored data is not what its digest or format says."""


class ModelFailed(LivecalcError):
    """The model raised, exited, or broke a rule of the bus. Trying again will not help."""


class Unavailable(LivecalcError):
    """A part that the platform depends on does not answer, or answers that it cannot."""
