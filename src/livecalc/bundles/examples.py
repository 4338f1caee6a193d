"""The example models that come with the package."""

from pathlib import Path

from livecalc.domain.errors import NotFound
from livecalc.domain.modelconfig import CONFIG_FILE

_EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def list_examples() -> list[str]:
    """Name the packaged examples, in order."""
    return sorted(config.parent.name for config in _EXAMPLES.glob(f"*/{CONFIG_FILE}"))


def find_example(name: str) -> Path:
    """Find the folder of a packaged example. Raises NotFound."""
    if name not in list_examples():
        raise NotFound(f"there is no example {name!r}; there are {', '.join(list_examples())}")
    return _EXAMPLES / name


def model_folder(text: str) -> Path:
    """Find the folder that a DIR argument means: one that exists, else the example of that name. Raises NotFound."""
    folder = Path(text)
    if folder.is_dir():
        return folder
    if text in list_examples():
        return find_example(text)
    examples = ", ".join(list_examples())
    raise NotFound(f"there is no folder {text!r}, no such file, and no example of that name ({examples})")
