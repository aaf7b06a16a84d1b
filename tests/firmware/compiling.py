"""How the tests compile the kit's C code."""

import subprocess
from pathlib import Path

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


def compiled(compiler: str, out: Path, *arguments: str | Path) -> Path:
    subprocess.run([compiler, *arguments, "-o", out, "-lm"], check=True)
    return out
