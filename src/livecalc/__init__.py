"""LiveCalc Platform: actuarial models at scale, on Kubernetes or one machine, with nothing left behind."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livecalc.embedded import connect as connect

__all__ = ["__version__", "connect"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "connect":
        from livecalc.embedded import connect

        return connect
    msg = f"module 'livecalc' has no attribute {name!r}"
    raise AttributeError(msg)
