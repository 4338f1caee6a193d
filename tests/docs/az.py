"""What `az storage blob` does, as far as the docs use it, by the service's Python client; options as az has them."""

import argparse
import fnmatch
import json
import os
import sys
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser("az storage blob", allow_abbrev=False)
    commands = root.add_subparsers(dest="command", required=True)
    options = {
        "list": {"--container-name": True, "--prefix": False, "--num-results": False},
        "show": {"--container-name": True, "--name": True},
        "download": {"--container-name": True, "--name": True, "--file": True, "--output": False},
        "download-batch": {"--source": True, "--destination": True, "--pattern": False, "--output": False},
    }
    for name, known in options.items():
        command = commands.add_parser(name, allow_abbrev=False)
        command.add_argument("--no-progress", action="store_true")
        for option, required in known.items():
            command.add_argument(option, required=required)
    return root


def described(blob: Any) -> dict[str, Any]:
    return {"name": blob.name, "metadata": blob.metadata, "properties": {"contentLength": blob.size}}


def main(words: list[str]) -> None:
    if words[:2] != ["storage", "blob"]:
        sys.exit(f"there is no az {' '.join(words[:2])} here")
    given = parser().parse_args(words[2:])
    with BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"]) as service:
        if given.command == "list":
            client = service.get_container_client(given.container_name)
            # As az: 5,000 unless it is said otherwise, and no metadata.
            most = None if given.num_results == "*" else int(given.num_results or 5000)
            found = list(client.list_blobs(name_starts_with=given.prefix))[:most]
            print(json.dumps([described(blob) for blob in found]))  # noqa: T201  (what az does)
        elif given.command == "show":
            blob = service.get_blob_client(given.container_name, given.name).get_blob_properties()
            print(json.dumps(described(blob)))  # noqa: T201  (what az does)
        elif given.command == "download":
            stream = service.get_blob_client(given.container_name, given.name).download_blob()
            Path(given.file).write_bytes(stream.readall())
        else:
            fetch_all(service.get_container_client(given.source), Path(given.destination), given.pattern or "*")


def fetch_all(client: Any, destination: Path, pattern: str) -> None:
    for blob in client.list_blobs():
        if fnmatch.fnmatch(blob.name, pattern):
            target = destination / blob.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(client.download_blob(blob.name).readall())


if __name__ == "__main__":
    main(sys.argv[1:])
