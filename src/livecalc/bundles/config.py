"""`livecalc.config.json`: the shape of a model's configuration and the rules between its parts."""

from msgspec import Struct, field

CONFIG_FILE = "livecalc.config.json"
MANIFEST_FILE = "manifest.json"
DEFAULT_BLOCK = 40
BUS = "bus://"
RESULTS = "bus://results/"


class Scenarios(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many scenarios, in blocks of how many, from which seed (a u64)."""

    count: int
    block: int = DEFAULT_BLOCK
    seed: int = 0


class Assumption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pinned assumption: `mortality/us-1999-2001:v1`, and the file that holds it."""

    ref: str
    path: str


class Node(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: an engine's address, named inputs (files or bus addresses), named outputs (bus addresses)."""

    id: str
    engine: str
    inputs: dict[str, str] = field(default_factory=dict[str, str])
    outputs: dict[str, str]


class Pipeline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nodes, in any order; the bus decides what runs when."""

    nodes: list[Node]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's configuration."""

    name: str
    version: str
    scenarios: Scenarios
    assumptions: list[Assumption] = field(default_factory=list[Assumption])
    pipeline: Pipeline
    results: list[str]
