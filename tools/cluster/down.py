"""End the cluster, in whatever state it or the tool was left, and remove what it had on this machine but the cache."""

import shutil

from . import machine
from .place import CACHE, RUN
from .processes import kill, other_node, our_node
from .progress import say


def down() -> None:
    """End this checkout's cluster, and say so; another checkout's goes on."""
    ended = clean()
    other = other_node()
    if other:
        say(f"another checkout's cluster runs on, with its state in {other.folder}")
    say(f"{'ended' if ended else 'no cluster of this checkout ran'}; what is left is the cache, {CACHE}")


def clean() -> bool:
    """End the node and take back what it had; returns whether there was any."""
    node = our_node()
    if node:
        kill(node)
    if other_node() is None:
        machine.clear()
    machine.until(_state_is_removed, f"{RUN} cannot be removed")
    return node is not None


def _state_is_removed() -> bool:
    try:
        shutil.rmtree(RUN)
    except FileNotFoundError:
        return not RUN.exists()
    except OSError:  # a process that is still dying wrote once more
        return False
    return True
