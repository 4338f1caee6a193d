"""The embedded cluster: namespaces, pods and jobs on one machine, in SQLite rows and plain processes.

Clients only write rows; one detached `node` process per home runs what they ask for, and leaves when idle. Models are
not isolated from each other or from the user.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livecalc.cluster.local.cluster import LocalCluster as LocalCluster
    from livecalc.cluster.local.settings import NodeSettings as NodeSettings

__all__ = ["LocalCluster", "NodeSettings"]


def __getattr__(name: str) -> object:
    """Import what is asked for, so that the node, which starts for every first pod, does not load the client's part."""
    if name == "LocalCluster":
        from livecalc.cluster.local.cluster import LocalCluster

        return LocalCluster
    if name == "NodeSettings":
        from livecalc.cluster.local.settings import NodeSettings

        return NodeSettings
    raise AttributeError(f"module 'livecalc.cluster.local' has no attribute {name!r}")
