"""A corpus in a bucket, or at any other URL that fsspec supports; audio is read on demand."""

import csv
from functools import partial

from yamnet_cry import audio
from yamnet_cry.distill import layouts
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.layouts import HUB_SPLITS, MANIFEST
from yamnet_cry.distill.origins import ParquetRow, Remote
from yamnet_cry.errors import CorpusError
from yamnet_cry.locations import Location
from yamnet_cry.task import Task

_PARQUET = ".parquet"


def clips(url: str, task: Task) -> list[Clip]:
    """Lists the clips of a corpus at a URL, see `sources.load`.

    Raises:
        CorpusError: If there is no corpus, or it is not valid.
        LocationError: If it cannot be listed or read.
    """
    place = Location.of(url)
    files = place.listed()
    if not files:
        raise CorpusError(
            f"{url} contains no files; expected a manifest, one folder per class, or Parquet files"
        )
    if url.lower().endswith(".csv"):
        folder = Location.of(place.name.rpartition("/")[0])
        return _from_manifest(place, folder, folder.listed(), task)
    by_name = {file.relative_to(place): file for file in files}
    if MANIFEST in by_name:
        return _from_manifest(by_name[MANIFEST], place, files, task)
    parquet = [file for file in files if file.name.endswith(_PARQUET)]
    if parquet:
        return layouts.with_validation([clip for file in parquet for clip in _from_parquet(url, file, task)])
    known = tuple(audio.suffixes())
    names = [name for name in by_name if "/" in name and name.lower().endswith(known)]
    return layouts.from_class_folders(
        names, url, place.name.rpartition("/")[2], task, lambda name: Remote(by_name[name])
    )


def _from_manifest(manifest: Location, folder: Location, files: list[Location], task: Task) -> list[Clip]:
    by_name = {file.relative_to(folder): file for file in files}

    def opener(name: str) -> Remote:
        if name not in by_name:
            raise ValueError(f"{name} does not exist")
        return Remote(by_name[name])

    try:
        lines = manifest.read().decode("utf-8-sig").splitlines(keepends=True)
        source = folder.name.rpartition("/")[2]
        return layouts.from_manifest(lines, manifest.name, source, task, opener)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{manifest.name} cannot be read as CSV in UTF-8 ({error})") from None


def _from_parquet(url: str, file: Location, task: Task) -> list[Clip]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    split = file.name.rpartition("/")[2].removesuffix(_PARQUET).partition("-")[0]
    found: list[Clip] = []
    try:
        with file.open() as opened:
            parquet = pq.ParquetFile(opened)
            layouts.check_audioset(url, split, parquet.schema_arrow.names)
            for group in range(parquet.num_row_groups):
                rows = parquet.read_row_group(group, columns=["video_id", "labels"])
                pairs = zip(rows["video_id"].to_pylist(), rows["labels"].to_pylist(), strict=True)
                found += layouts.from_audioset(
                    pairs, HUB_SPLITS[split], url, task, partial(ParquetRow, file, group)
                )
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{file.name} cannot be read ({error})") from None
    return found
