r"""Benchmark of cry detectors in a home: false alarms, recall, latency, and sounds that resemble crying.

    python benchmarks/hearing.py --audio CORPUS --audio open-sounds --audio debian-test --audio debian-val \
        --previous MODEL --reference MODEL --yamnet WEIGHTS --mn04 FOLDER

`CORPUS` is this project's corpus (described in MODEL_CARD.md); the others are made by

    python examples/open_sounds.py open-sounds
    python examples/debian_sounds.py debian-test --split test
    python examples/debian_sounds.py debian-val --split val

Writes hearing.md and hearing.json beside this file, and two pictures to docs/pictures. Peers whose models are
not given are skipped. Scores are cached (`--cache`) by model and audio. `--check` lists clips that are
missing or differ from the manifest. `--build` writes a new manifest, which is a different benchmark.
"""

import argparse
import json
import os
import sys
from pathlib import Path

# Silences TensorFlow's start-up messages; must be set before its import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hearing_manifest
import hearing_measure
import hearing_peers
import hearing_pictures
import hearing_report
import hearing_scores
from hearing_build import Builder
from hearing_conditions import conditions
from tqdm import tqdm

from yamnet_cry import CryDetector
from yamnet_cry.distill import sources
from yamnet_cry.errors import YamnetCryError
from yamnet_cry.files import write_whole

HERE = Path(__file__).parent
MOST_NAMED = 20


def parser() -> argparse.ArgumentParser:
    """Returns the options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--audio", action="append", required=True, metavar="DIR", help="a corpus; may be repeated"
    )
    made.add_argument("--previous", metavar="MODEL", help="model folder of release 0.1.0")
    made.add_argument("--reference", metavar="MODEL", help="model folder of recipe reference")
    made.add_argument("--yamnet", metavar="PATH|tfhub", help="YAMNet, as for yamnet-cry distill --teacher")
    made.add_argument("--mn04", metavar="DIR", help="folder of EfficientAT mn04 in ONNX, and its mel matrix")
    made.add_argument("--manifest", type=Path, default=hearing_manifest.PATH, metavar="FILE")
    made.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="folder for the report")
    made.add_argument("--pictures", type=Path, default=HERE.parent / "docs" / "pictures", metavar="DIR")
    made.add_argument("--cache", type=Path, default=hearing_scores.default_cache(), metavar="DIR")
    made.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    made.add_argument("--no-codecs", action="store_true", help="skip Opus and AAC, which need ffmpeg")
    made.add_argument("--check", action="store_true", help="only compare the clips with the manifest")
    made.add_argument("--build", action="store_true", help="only write a new manifest from these corpora")
    return made


def main(arguments: argparse.Namespace) -> int:
    """Runs the benchmark, or only checks or builds.

    Raises:
        YamnetCryError: If audio or a model is missing.
    """
    clips = sources.load(*arguments.audio)
    if arguments.build:
        hearing_manifest.write(Builder(clips).build(), arguments.manifest)
        print(f"{arguments.manifest} is written")
        return 0
    benchmark = hearing_manifest.read(arguments.manifest)
    files = {clip.name: path for clip in clips if isinstance(path := clip.open(), Path)}
    if arguments.check:
        return check(benchmark, files)
    changed = conditions(codecs=not arguments.no_codecs)
    models = hearing_peers.Sources(
        reference=arguments.reference,
        yamnet=arguments.yamnet,
        mn04=arguments.mn04,
        previous=arguments.previous,
    )
    jobs = hearing_measure.all_jobs(benchmark, changed)
    scores = hearing_scores.score(benchmark, files, models, jobs, arguments.cache, arguments.workers)
    peers = hearing_peers.peers(list(models.scorers), CryDetector.from_pretrained())
    results = hearing_measure.measure(benchmark, scores, changed, peers)
    # For README.md: tools/update_documents.py only reads these texts.
    results["short"] = {
        "introduction": hearing_report.introduction(results),
        "table": hearing_report.summary(results),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.out / "hearing.json", json.dumps(results, indent=1) + "\n")
    write_whole(arguments.out / "hearing.md", hearing_report.report(results))
    hearing_pictures.draw(results, arguments.pictures)
    print(hearing_report.summary(results))
    return 0


def check(benchmark: hearing_manifest.Benchmark, files: dict[str, Path]) -> int:
    """Prints which clips are missing or differ, and returns the exit code."""
    library = hearing_manifest.Library(benchmark, files)
    bar = tqdm(library.differences(), desc="check", total=len(benchmark.clips), unit="clip")
    wrong = [difference for difference in bar if difference is not None]
    for difference in wrong[:MOST_NAMED]:
        print(difference)
    if len(wrong) > MOST_NAMED:
        print(f"and {len(wrong) - MOST_NAMED:,} more")
    total = len(benchmark.clips)
    print(f"{total - len(wrong):,} of {total:,} clips are those of {benchmark.version}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(parser().parse_args()))
    except YamnetCryError as error:
        sys.exit(f"Error: {error}")
