"""Measures the CPU load of `yamnet-cry listen` in real time, unmodified and without failures."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from soak_watch import Program
from soak_world import RATE, Broker, Camera, Hook, Segment

from yamnet_cry import CryDetector

_PATIENCE = 120.0


def listen_options(sources: dict[str, str], hook: Hook, broker: Broker, disk: Path) -> list[str]:
    """Returns the arguments of `yamnet-cry`."""
    named = [option for name, address in sources.items() for option in ("--source", f"{name}={address}")]
    outlets = ["--webhook", hook.url, "--mqtt", f"mqtt://127.0.0.1:{broker.port}"]
    files = ["--clips", str(disk / "clips"), "--state", str(disk / "state.json"), "--keep", "36h"]
    return ["listen", *named, *outlets, *files, "--json"]


def real_time(work: Path, names: tuple[str, ...], seconds: float, packet: int) -> dict[str, Any]:
    """Measures the CPU load.

    Args:
        work: Folder to create.
        names: Names of the cameras.
        seconds: Duration of the measurement.
        packet: Samples per packet of a camera.
    """
    work.mkdir()
    segment = Segment([("noise", 40, 1), ("cry", 20, 2)] * (2 + int(seconds) // 30), "", "", 0.0)
    wave = list(segment.parts())

    def at_real_time() -> Iterator[np.ndarray[Any, np.dtype[np.int16]]]:
        began, sent = time.monotonic(), 0
        for part in wave:
            for start in range(0, len(part) - packet + 1, packet):
                yield part[start : start + packet]
                sent += packet
                time.sleep(max(0.0, sent / RATE - (time.monotonic() - began)))

    cameras = [Camera(at_real_time, packet=packet) for _ in names]
    broker, hook = Broker(work), Hook()
    broker.start()
    arguments = listen_options(
        {name: camera.address for name, camera in zip(names, cameras, strict=True)}, hook, broker, work
    )
    program = Program([sys.executable, "-m", "yamnet_cry", *arguments], dict(os.environ))
    time.sleep(10)
    first = program.look()
    time.sleep(seconds)
    last = program.look()
    code = program.end(signal.SIGTERM, _PATIENCE)
    for camera in cameras:
        camera.kill()
    hook.close()
    broker.end()
    span = (last.at - first.at) * len(names) / 100
    return {
        "seconds": round(last.at - first.at, 1),
        "exit_code": code,
        "packet_milliseconds": packet * 1_000 // RATE,
        "percent_of_core_a_source": round((last.own + last.ffmpeg - first.own - first.ffmpeg) / span, 2),
        "own": round((last.own - first.own) / span, 2),
        "ffmpeg": round((last.ffmpeg - first.ffmpeg) / span, 2),
        "detector": round(_detector_percent(np.concatenate(wave)), 2),
    }


def _detector_percent(wave: np.ndarray[Any, np.dtype[np.int16]]) -> float:
    """Returns the detector's CPU load alone, in percent of a core, for audio in packets of 20 ms."""
    listener = CryDetector.from_pretrained().listener(RATE)
    blocks = np.split(wave[: 60 * RATE], 60 * 50)
    began = time.process_time()
    for block in blocks:
        listener.push(block)
    return (time.process_time() - began) / 60 * 100
