"""Writes a synthesised recording of a nursery with a crying baby, to try the detector on.

python examples/make_nursery.py            # writes nursery.wav
yamnet-cry detect nursery.wav
"""

import argparse

import soundfile

from yamnet_cry.demo import SAMPLE_RATE, nursery


def main() -> None:
    """Writes the scene to a WAV file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", nargs="?", default="nursery.wav", help="file to write (default: nursery.wav)")
    arguments = parser.parse_args()
    soundfile.write(arguments.out, nursery(), SAMPLE_RATE)
    print(f"wrote {arguments.out}: 20 s, with crying from 0:06 to about 0:14")


if __name__ == "__main__":
    main()
