"""The versions of this process: what it says of itself, and what is recorded with what it computes and archives."""

import platform
from functools import cache
from importlib.metadata import version

from livecalc import __version__


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    libraries = ((name, version(name)) for name in ("numpy", "pyarrow"))
    return (("livecalc", __version__), ("python", platform.python_version()), *libraries)


def versions() -> dict[str, str]:
    """Of livecalc, Python, NumPy and PyArrow. Reads files the first time."""
    return dict(_versions())
