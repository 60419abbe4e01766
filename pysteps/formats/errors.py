"""Errors that a user can act on: what is wrong, where, and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn


class InputError(Exception):
    """Bad input: prints as one line a person can act on, never as a stack trace.

    ``where`` is a file, ``line`` its line counted from 1, ``utt`` an utterance, ``mend`` what to do.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        line: int | None = None,
        utt: str | None = None,
        mend: str | None = None,
    ) -> None:
        place = "" if where is None else f"{where}:{line}: " if line is not None else f"{where}: "
        who = "" if utt is None else f"utterance {utt}: "
        super().__init__(f"{place}{who}{what}" + (f" ({mend})" if mend else ""))


def fail(message: str) -> NoReturn:
    """Print one error line and leave with status 1."""
    with suppress(OSError):  # the log may lie on the disk that is full
        print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def guarded(main: Callable[[], None]) -> None:
    """Run ``main``; bad input and a failing file system become one line and exit status 1."""
    try:
        main()
    except InputError as error:
        fail(str(error))
    except BrokenPipeError:
        raise SystemExit(1) from None  # whoever read the output has gone
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
