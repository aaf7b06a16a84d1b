"""Passes over audio on a Ray cluster, with results in Parquet files that later runs reuse.

Needs the extra ``cluster``: ``pip install "yamnet-cry[cluster]"``.
"""

from importlib.util import find_spec

__all__ = ["require_extra"]


def require_extra() -> None:
    """Checks that the extra is installed.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    missing = [name for name in ("ray", "pyarrow", "pandas") if find_spec(name) is None]
    if missing:
        raise ImportError(f'--cluster needs {", ".join(missing)}: pip install "yamnet-cry[cluster]"')
