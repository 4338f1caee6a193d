"""The termination message: written last, in place, and never longer than a cluster keeps."""

from pathlib import Path

import msgspec

from livecalc.domain.tasks import Statement

LIMIT = 4096
_CUT = " ... (cut)"


def write_statement(path: Path, statement: Statement) -> None:
    """Write a statement into the file that the cluster reads; its error is cut when it is too long. Raises OSError."""
    path.write_bytes(encode_statement(statement))


def encode_statement(statement: Statement) -> bytes:
    """Encode a statement in at most 4,096 bytes of JSON."""
    content = msgspec.json.encode(statement)
    error = statement.error or ""
    while len(content) > LIMIT and error:
        error = error[: len(error) - max(1, (len(content) - LIMIT) // 6)]
        content = msgspec.json.encode(msgspec.structs.replace(statement, error=error + _CUT))
    return content
