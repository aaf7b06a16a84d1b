"""Files that appear whole or not at all."""

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file aside and renames it, so that nobody ever reads half of it.

    Raises:
        OSError: If it cannot be written; a file that was there before is then untouched.
    """
    aside = path.with_name(path.name + ".new")
    try:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
