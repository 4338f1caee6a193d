"""LiveCalc Platform: actuarial models at scale, on Kubernetes or one machine, with nothing left behind."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livecalc.domain import errors as errors
    from livecalc.embedded import connect as connect

__all__ = ["__version__", "connect", "errors"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "connect":
        from livecalc.embedded import connect

        return connect
    if name == "errors":
        from livecalc.domain import errors

        return errors
    msg = f"module 'livecalc' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    # Completion shows what is for callers, and not the layers that happen to be imported.
    return sorted(__all__)
