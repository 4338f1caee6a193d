"""The environment of nodes and pods: the same whoever started the node, and with nobody's tokens in it."""

import os

_KEPT = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PYTHONPATH"}
    | {"LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"},
)


def clean_environment() -> dict[str, str]:
    """What of this process's environment a node and its pods may see."""
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}
