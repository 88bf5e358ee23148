"""Write a file so that it is there as a whole, or not at all."""

import os
from pathlib import Path
from uuid import uuid4

TEMPORARY = ".*.tmp"
"""Pattern of the names that unfinished files have until they are whole."""

_ATTEMPTS = 5


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, all of it or nothing: what was there before stays until then.

    Parameters
    ----------
    path : Path
    content : bytes

    Raises
    ------
    OSError
        If it cannot be written.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except FileNotFoundError:
            # Another process opened the folder and took the temporary file for a left-over.
            if attempt == _ATTEMPTS or not path.parent.is_dir():
                raise
        else:
            return
        finally:
            temporary.unlink(missing_ok=True)
