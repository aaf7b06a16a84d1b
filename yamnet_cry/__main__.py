"""python -m yamnet_cry."""

from yamnet_cry.cli import run

run()
