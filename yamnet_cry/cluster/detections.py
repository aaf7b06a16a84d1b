"""A detector hears any number of recordings on a cluster, into Parquet files of events."""

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

#: What is lost at most when a process dies.
RECORDINGS_PER_PARTITION = 256

#: One row an event, or one without times where there is none, so that no recording is missing.
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
    """Lists recordings: files, folders and patterns with ``*``, here and at URLs.

    Raises:
        AudioError: If there is nothing under a name.
        LocationError: If a folder cannot be listed.
    """
    found: dict[str, Location] = {}
    for name in names:
        place = Location.of(name)
        if not is_url(name) and "*" not in name:
            # One that is not there is heard as well, and found among the errors.
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
    """Hears every recording once, and goes on where an earlier run into the same folder was stopped.

    Args:
        cluster: See `engine.connected`.
        files: Which every machine must be able to read, see `recordings`.
        detector: Sent to every machine.
        out: Folder of `COLUMNS` in Parquet files, which every machine sees.
        explain: Whether to name the sounds in each event.
        strict: Whether a recording that is truncated is an error.
        files_per_partition: So many are heard again when a process dies.
        tell: Called now and then with how far it is.

    Raises:
        PartitionError: If a file in the folder is damaged, or from another detector or other settings.
        YamnetCryError: If the cluster or the folder cannot be used. What is done stays done.
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
    """Counts recordings that were heard, and those with crying.

    Raises:
        PartitionError: If a file is damaged.
    """
    heard = crying = 0
    for partition in answers.results():
        rows = read(partition.place, ["event"])
        heard += len(partition.entries)
        # A recording with crying has one event that is its first.
        crying += pc.sum(pc.equal(rows["event"], 1)).as_py() or 0
    return heard, crying


class _Detecting:
    """Hears recordings, in a process of the cluster."""

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
    """Returns what was heard in a recording as a table with `COLUMNS`."""
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
