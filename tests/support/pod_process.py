"""The process that worker tests start in place of `livecalc.bootstrap.worker`: the same worker, a cluster of files."""

import json
import re
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livecalc.blobs.directory.grants import FileGrants
from livecalc.worker.main import run_worker


def main() -> int:
    options: dict[str, Any] = json.loads(sys.argv[1])
    folder = Path(options["folder"])

    def heartbeat() -> None:
        with (folder / "beats").open("a") as file:
            file.write("beat\n")
        if options["cluster_fails"]:
            raise OSError("the cluster is away")

    def annotate(annotations: Mapping[str, str]) -> None:
        with (folder / "annotations").open("a") as file:
            file.write(json.dumps(dict(annotations)) + "\n")
        if options["cluster_fails"]:
            raise OSError("the cluster is away")

    if options["file_limit"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["file_limit"], options["file_limit"]))
    status = run_worker(
        lambda _: FileGrants(),
        task_url=options["task_url"],
        index=options["index"],
        attempt=options["attempt"],
        scratch=folder / "scratch",
        termination_file=folder / "termination",
        heartbeat=heartbeat,
        annotate=annotate,
        image="sha256:abc",
    )
    # A node may ask a worker to stop when it is just done; the exit status must be the one that was stated.
    signal.raise_signal(signal.SIGTERM)
    usage = {
        "peak_kib": int(re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[0]),
        "heavy": [name for name in ("numpy", "pyarrow", "httpx", "asyncio") if name in sys.modules],
        "scratch": [path.name for path in (folder / "scratch").iterdir()],
    }
    (folder / "usage").write_text(json.dumps(usage))
    return status


if __name__ == "__main__":
    sys.exit(main())
