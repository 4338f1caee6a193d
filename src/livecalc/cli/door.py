"""The door: runs the command tree, and turns every expected end into a sentence on stderr and an exit code.

0 done, 1 failed, 2 wrong usage or settings, 3 a check ran and did not hold, 4 not authenticated, 130 interrupted.
"""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from typing import cast

import click

from livecalc.cli.format import plain
from livecalc.cli.root import root
from livecalc.domain.errors import Forbidden, InvalidInput, LivecalcError, Unauthenticated

FAILED = 1
USAGE = 2
CHECK_FAILED = 3
NOT_AUTHENTICATED = 4
INTERRUPTED = 130


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code and never raises for an expected error."""
    _tolerate_any_character()
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    return code


def exit_code(error: LivecalcError) -> int:
    """The exit code of an error's class."""
    if isinstance(error, InvalidInput):
        return USAGE
    if isinstance(error, (Unauthenticated, Forbidden)):
        return NOT_AUTHENTICATED
    return FAILED


def _invoke(arguments: Sequence[str] | None) -> int:
    try:
        return _main(arguments) or 0
    except click.ClickException as error:
        vars(error).update(message="\n".join(map(plain, error.message.splitlines())))
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (LivecalcError, UnicodeEncodeError) as error:
        return _report(error)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise BrokenPipeError from error
        return _say(_describe(error), FAILED)
    except BaseExceptionGroup as group:
        return _report_group(group)


def _main(arguments: Sequence[str] | None) -> int | None:
    color = False if os.environ.get("NO_COLOR") else None
    return root.main(arguments, prog_name="livecalc", standalone_mode=False, color=color)


def _report(error: LivecalcError | UnicodeEncodeError) -> int:
    if isinstance(error, UnicodeEncodeError):
        # Bytes on the command line that are no UTF-8 come as characters that nobody can send on.
        return _say(f"{error.object[:60]!a} is no text: it has bytes that are not UTF-8", USAGE)
    return _say(error.detail, exit_code(error))


def _report_group(group: BaseExceptionGroup[BaseException]) -> int:
    """Tasks that fail together arrive as a group; what was expected is said, a bug stays a traceback."""
    leaves = list(_leaves(group))
    if any(isinstance(leaf, (KeyboardInterrupt, click.Abort)) for leaf in leaves):
        return INTERRUPTED
    known = [leaf for leaf in leaves if isinstance(leaf, LivecalcError)]
    if not known or len(known) < len(leaves):
        raise group
    return max(_report(error) for error in known)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    if not inner:
        yield error
    for each in inner:
        yield from _leaves(each)


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _say(sentence: str, code: int) -> int:
    click.echo(f"Error: {plain(sentence)}", err=True)
    return code


def _tolerate_any_character() -> None:
    """A terminal that cannot show a character gets `?` for it, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _reader_left() -> int:
    """Nobody reads on (`| head`): end without a word, also when the interpreter flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
