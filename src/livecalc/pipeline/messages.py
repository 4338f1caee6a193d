"""What an engine's process and its parent say to each other: one order down, JSON lines up."""

from typing import cast

import msgspec
from msgspec import Struct, field

from livecalc.domain.decoding import decode_json
from livecalc.domain.modelconfig import Config
from livecalc.domain.partitions import Environment, NodeCost, OutputPart
from livecalc.domain.violations import Violation


class Order(Struct, frozen=True, kw_only=True):
    """What an engine is to compute."""

    folder: str
    """Of the opened bundle."""
    config: Config
    first: int
    stop: int
    """Exclusive; `first` lies on a block's edge."""
    scratch: str
    """A folder that exists; result files are written there."""
    memory: int | None = None
    """Bytes of data the model may allocate; None allows what the machine has."""
    image: str = ""


class Loading(Struct, frozen=True, tag="loading"):
    """The order was read; from here on it is the model's code that runs."""


class Calling(Struct, frozen=True, tag="calling"):
    """A node is about to be called for a block."""

    node: str
    first: int
    stop: int


class Progress(Struct, frozen=True, tag="progress"):
    """So many scenarios are done."""

    done: int


class Finished(Struct, frozen=True, kw_only=True, tag="finished"):
    """All blocks are done."""

    outputs: dict[str, OutputPart]
    files: dict[str, str]
    """`.npy` file of each result, by address."""
    nodes: dict[str, NodeCost]
    environment: Environment


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """The model is at fault; trying again will not help."""

    error: str
    violations: list[Violation] = field(default_factory=list[Violation])
    nodes: dict[str, NodeCost] = field(default_factory=dict[str, NodeCost])
    environment: Environment = field(default_factory=Environment)


class Broken(Struct, frozen=True, kw_only=True, tag="broken"):
    """The engine itself could not go on (a full disk); another try may."""

    error: str


class Ended(Struct, frozen=True, kw_only=True, tag="ended"):
    """Nothing of the model runs any more. The last message, from the engine's guard."""

    status: int
    """Exit status of the model's process; -n when signal n ended it."""


Message = Loading | Calling | Progress | Finished | Failed | Broken | Ended

_orders = msgspec.json.Decoder(Order)
_MESSAGE = cast("type[Message]", Message)
_encoder = msgspec.json.Encoder()


def decode_order(content: bytes) -> Order:
    """Read the file that holds an order."""
    return _orders.decode(content)


def encode(message: Message | Order) -> bytes:
    """Write a message as one line."""
    return _encoder.encode(message) + b"\n"


def decode(line: bytes) -> Message | None:
    """Read a line; None when it is no message: a process killed while it wrote leaves half a line."""
    try:
        return decode_json(line, _MESSAGE)
    except msgspec.DecodeError:
        return None
