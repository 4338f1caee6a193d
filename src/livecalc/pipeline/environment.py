"""What a Python model's bits depend on besides its bundle and seed; recorded with every partition."""

import os
import platform
import sys
from ctypes import CDLL, c_char_p
from pathlib import Path
from typing import Any

import numpy as np

from livecalc.domain.partitions import Environment


def read_environment(image: str) -> Environment:
    """Describe this process: two runs of one bundle in equal environments give the same bits."""
    simd = _simd()
    found: Environment = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(part for part in platform.libc_ver() if part),
        "cpu": _level(simd),
        "cpu_features": simd,
        "blas": _blas(),
        "image": image,
    }
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        found["pyarrow"] = arrow.__version__
    return found


def _config() -> dict[str, Any]:
    config: Any = np.show_config(mode="dicts")
    return config or {}


def _simd() -> list[str]:
    """The instruction sets that NumPy found at its start and may use, NPY_DISABLE_CPU_FEATURES regarded."""
    simd: dict[str, list[str]] = _config().get("SIMD Extensions", {})
    return sorted({*simd.get("baseline", []), *simd.get("found", [])})


def _level(simd: list[str]) -> str:
    """One word for people: the widest vectors NumPy may use."""
    words = {
        "avx512": ("AVX512", "X86_V4"),
        "avx2": ("AVX2", "X86_V3"),
        "sse": ("SSE", "X86_V2"),
        "neon": ("NEON", "ASIMD"),
    }
    return next((word for word, marks in words.items() if any(name.startswith(marks) for name in simd)), "baseline")


def _blas() -> str:
    """OpenBLAS's version and the kernels it chose for this CPU; the library's name alone for any other."""
    blas: dict[str, Any] = _config().get("Build Dependencies", {}).get("blas", {})
    name = f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    core = _openblas_core()
    return f"{name} {core}" if core else name


def _openblas_core() -> str:
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    for path in sorted(folder.glob("*openblas*")):
        try:
            function = CDLL(os.fspath(path)).scipy_openblas_get_corename64_
        except (OSError, AttributeError):  # another build of OpenBLAS names it otherwise
            continue
        function.restype = c_char_p
        return (function() or b"").decode("ascii", "replace")
    return ""
