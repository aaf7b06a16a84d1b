"""Runs a detector on any number of recordings on a cluster, and writes events to Parquet files."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from yamnet_cry.audio.files import find
from yamnet_cry.audio.recording import suffixes
from yamnet_cry.cluster import engine, passes
from yamnet_cry.cluster.partitions import Partitions, read, short
from yamnet_cry.cluster.passes import Answer, Item, Progress
from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import AudioError, PartitionError
from yamnet_cry.jobs import hear
from yamnet_cry.locations import Location, is_url
from yamnet_cry.results import Detection

#: Most recordings whose results are lost when a process dies.
RECORDINGS_PER_PARTITION = 256

#: One row per event, or one row without times for a recording without events, so that none is missing.
COLUMNS = pa.schema(
    [
        ("file", pa.string()),
        ("is_cry", pa.bool_()),
        ("probability", pa.float64()),
        ("truncated", pa.bool_()),
        ("event", pa.int32()),
        *((name, pa.float64()) for name in ("start", "end", "seconds", "peak", "mean")),
        ("heard", pa.string()),
    ]
)


def recordings(names: Sequence[str]) -> list[Location]:
    """Lists recordings: files, folders and patterns with ``*``, as local paths and URLs.

    Raises:
        AudioError: If a name has no audio files.
        LocationError: If a folder cannot be listed.
    """
    found: dict[str, Location] = {}
    for name in names:
        place = Location.of(name)
        if not is_url(name) and "*" not in name:
            # A missing file is listed too, so that it is reported among the errors.
            listed = [Location.of_file(path) for path in find([name])[0]]
        else:
            listed = place.listed()
            if [each.name for each in listed] != [place.name]:
                listed = [each for each in listed if each.name.lower().endswith(tuple(suffixes()))]
        if not listed:
            raise AudioError(f"{name} holds no audio files. Looked for {', '.join(sorted(suffixes()))}")
        found.update((each.name, each) for each in listed)
    return list(found.values())


def detect(
    cluster: str,
    files: Sequence[Location],
    detector: CryDetector,
    out: Location,
    *,
    explain: bool = False,
    strict: bool = False,
    files_per_partition: int = RECORDINGS_PER_PARTITION,
    tell: Callable[[Progress], object] = lambda now: None,
) -> Partitions:
    """Runs a detector once on every recording, and resumes an earlier run into the same folder.

    Args:
        cluster: Address of the cluster, see `engine.connected`.
        files: Recordings that every machine can read, see `recordings`.
        detector: The detector, which is sent to every machine.
        out: Folder for Parquet files with `COLUMNS`, shared by all machines.
        explain: Whether to name the sounds in each event.
        strict: Whether a truncated recording is an error.
        files_per_partition: Most recordings per Parquet file, and to repeat when a process dies.
        tell: Called from time to time with the progress.

    Raises:
        PartitionError: If a file in the folder is damaged, or from another detector or other settings.
        YamnetCryError: If the cluster or the folder cannot be used. Finished work is kept.
    """
    answers = Partitions(out, f"detect {detector.fingerprint} explain={explain} strict={strict}")
    if answers.others():
        raise PartitionError(
            f"{out.name} holds events of another model, threshold or settings; choose another folder"
        )
    items = [Item(file.name, short(file.origin), file, file.size) for file in files]
    with engine.connected(cluster) as connection:
        passes.run(
            connection,
            items,
            partial(_Detecting, detector, explain, strict),
            answers,
            most=files_per_partition,
            tell=tell,
        )
    return answers


def counts(answers: Partitions) -> tuple[int, int]:
    """Counts recordings that were scored, and those with crying.

    Raises:
        PartitionError: If a file is damaged.
    """
    heard = crying = 0
    for partition in answers.results():
        rows = read(partition.place, ["event"])
        heard += len(partition.entries)
        # Every recording with crying has exactly one event numbered 1.
        crying += pc.sum(pc.equal(rows["event"], 1)).as_py() or 0
    return heard, crying


class _Detecting:
    """Runs the detector on recordings, in a process of the cluster."""

    def __init__(self, detector: CryDetector, explain: bool, strict: bool) -> None:
        self._detector, self._explain, self._strict = detector, explain, strict

    def __call__(self, items: Sequence[Item]) -> Iterator[Answer | AudioError]:
        for item in items:
            try:
                yield Answer(rows_of(item.name, *self._hear(item.source)))
            except AudioError as error:
                yield error

    def _hear(self, place: Location) -> tuple[Detection, list[str]]:
        heard = partial(hear, self._detector, explain=self._explain, strict=self._strict)
        if not is_url(place.name):
            return heard(place.name)
        try:
            with place.open() as file:
                return heard(file)
        except OSError as error:
            raise AudioError(f"{place.name} cannot be read: {error.strerror or error}") from None


def rows_of(name: str, result: Detection, heard: Sequence[str]) -> pa.Table:
    """Returns the result for a recording as a table with `COLUMNS`."""
    common = {
        "file": name,
        "is_cry": result.is_cry,
        "probability": result.probability,
        "truncated": result.truncated,
    }
    rows = []
    for number, event in enumerate(result.events, start=1):
        times = {"start": event.start, "end": event.end, "seconds": event.seconds}
        sure = {"peak": event.peak, "mean": event.mean, "heard": heard[number - 1] if heard else None}
        rows.append({**common, "event": number, **times, **sure})
    return pa.Table.from_pylist(rows or [common], schema=COLUMNS)
