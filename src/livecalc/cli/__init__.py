"""What people type: `livecalc`. Light on purpose; every command's own imports wait until it is used."""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; the only place where errors become words and codes."""
    try:
        from livecalc.cli.door import run

        return run(arguments)
    except KeyboardInterrupt:
        # Pressed while we were still starting, or already ending.
        return 130
