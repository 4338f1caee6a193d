"""How the program is called by who started it, for the commands that it suggests."""

import contextlib
import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """`livecalc` where that is found on PATH, else the path that it was started by."""
    if shutil.which("livecalc") is not None:
        return "livecalc"
    started = sys.argv[0]
    if Path(started).name != "livecalc":
        return f"{shlex.quote(sys.executable)} -m livecalc"
    with contextlib.suppress(ValueError):
        below = str(Path(started).relative_to(Path.cwd()))
        started = below if os.sep in below else f".{os.sep}{below}"
    return shlex.quote(started)
