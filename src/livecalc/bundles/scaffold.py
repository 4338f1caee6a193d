"""Begin a new model: copy a packaged example under a name of one's own. `starter` is the example made for it."""

import json
import shutil
from pathlib import Path

from livecalc.bundles.examples import find_example
from livecalc.bundles.folder import list_files
from livecalc.bundles.limits import Limits
from livecalc.domain.errors import AlreadyExists, Unavailable
from livecalc.domain.modelconfig import CONFIG_FILE
from livecalc.domain.modelrules import check_name

STARTER = "starter"


def init(name: str, parent: Path, example: str | None = None) -> Path:
    """Make the folder `parent/name` with a model that runs as it is, and return it.

    Raises InvalidInput (the name), NotFound (the example), AlreadyExists (the folder), Unavailable (it
    cannot be written).
    """
    check_name(name)
    source = find_example(example or STARTER)
    target = parent / name
    try:
        target.mkdir(parents=True)
    except FileExistsError as error:
        raise AlreadyExists(f"{target} exists already; choose another name") from error
    except OSError as error:
        raise Unavailable(f"{target} cannot be made: {error.strerror}") from error
    try:
        for path in list_files(source, Limits()):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, target / path)
        _rename(target / CONFIG_FILE, name)
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error.strerror}") from error
    return target


def _rename(config: Path, name: str) -> None:
    """Give the configuration its new name, and leave the rest as its author laid it out."""
    text = config.read_text("utf-8")
    old = json.dumps(json.loads(text)["name"])
    config.write_text(text.replace(old, json.dumps(name), 1), "utf-8")
