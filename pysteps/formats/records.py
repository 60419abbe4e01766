"""JSON files that a stage left for the next one, read so that a damaged one is said and not thrown."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

from .errors import InputError


def read_json(path: str | os.PathLike[str], what: str, mend: str) -> Any:
    """The content of a JSON file; ``what`` it is and how to ``mend`` it stand in the error if it is damaged.

    InputError where there is no such file, where it is cut short or no JSON, and where it is no UTF-8.
    Plain or gzipped.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        return json.loads((gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode())
    except FileNotFoundError:
        raise InputError(f"{what} is missing", where=path, mend=mend) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{what} is damaged: {error}", where=path, mend=mend) from error
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror}", where=path, mend=mend) from error
    except ValueError as error:  # both what is no JSON and what is no UTF-8
        raise InputError(f"{what} is damaged: {error}", where=path, mend=mend) from error
    except RecursionError:
        raise InputError(f"{what} is damaged: too deep", where=path, mend=mend) from None
