"""Writes hosts.md from hosts.json.

python benchmarks/hosts_report.py
"""

import json
from pathlib import Path
from typing import Any

from yamnet_cry.files import write_whole
from yamnet_cry.model.card import markdown_table

HERE = Path(__file__).parent


def table(content: dict[str, Any]) -> str:
    """Returns the table of hosts."""
    header = [
        "host",
        "what it gets",
        "bytes",
        "largest difference",
        "median",
        "ms a window",
        "checked by",
        "here",
    ]
    rows = []
    for host in content["hosts"]:
        run = host["difference"] is not None
        said = host["tests"] if run else f"**built, not run**; {host['tests']}"
        rows.append(
            [
                host["name"],
                host["takes"],
                f"{host['bytes']:,}",
                f"{host['difference']:.1g}" if run else "",
                f"{host['median']:.1g}" if run else "",
                f"{host['milliseconds']:.2f}" if run else "",
                f"`pytest {host['check']}`" if host["check"] else "`python benchmarks/hosts.py`",
                said,
            ]
        )
    return markdown_table(header, rows)


def text(content: dict[str, Any]) -> str:
    """Writes the report."""
    notes: dict[str, list[str]] = {}
    for host in content["hosts"]:
        if host["note"]:
            notes.setdefault(host["note"], []).append(host["name"])
    lines = [
        "# Hosts",
        "",
        "Written by `python benchmarks/hosts.py --audio CORPUS`. Every host hears the same "
        f"{content['recordings']} test recordings, half of them with crying, and its probability of each "
        "window is held against that of Python's detector. Times are of two cores, in one run; "
        "the fastest of three rounds. The last column is what the tests that are named said there.",
        "",
        table(content),
        "",
        *(f"- {'; '.join(names)}: {note}." for note, names in notes.items()),
        "",
        "Hosts that take `--format waveform` ask of each window alone, and are compared with the detector "
        "hearing each window as a recording of its own. Their network is in float32 and the detector's in "
        "INT8: that is the difference, and it is the same for all of them. The others hear whole recordings "
        "as the detector does.",
        "",
        "The C code is compiled for this computer, with the network on TFLite-Micro. Kits for boards were "
        "packed, read and configured by the tools of ESP-IDF, PlatformIO and ESPHome, and their code was "
        "compiled here against stand-ins for the boards' own; no board has run them.",
    ]
    return "\n".join(lines) + "\n"


def write() -> None:
    """Writes hosts.md."""
    content = json.loads((HERE / "hosts.json").read_text(encoding="utf-8"))
    write_whole(HERE / "hosts.md", text(content))


if __name__ == "__main__":
    write()
