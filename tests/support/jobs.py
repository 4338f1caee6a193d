"""Small bundles that do one thing each, as files to submit."""

import copy
from pathlib import Path
from typing import Any

from support.bundles import CONFIG, bundle, model_files

WIDE = b"""
def draw(block, /, *, rates):
    return block.normals(6).reshape(-1, 2, 3)


def total(block, /, *, numbers):
    return numbers
"""
FAILING = b"""
def draw(block, /, *, rates):
    raise ValueError("no such mortality table")


def total(block, /, *, numbers):
    return numbers
"""
PRINTING = b"""
def draw(block, /, *, rates):
    print("the model began", flush=True)
    return block.normals(3)


def total(block, /, *, numbers):
    return numbers.sum(axis=1)
"""
WAITING = b"""
import time


def draw(block, /, *, rates):
    print("the model began", flush=True)
    while True:
        time.sleep(0.05)


def total(block, /, *, numbers):
    return numbers
"""


def write_bundle(path: Path, code: bytes | None = None, *, seed: int = 7) -> Path:
    """Write a bundle with the small model, or with other code in its place."""
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    config["scenarios"]["seed"] = seed
    path.write_bytes(bundle(model_files(config, {} if code is None else {"model.py": code})))
    return path
