"""The scores of all peers on all scenes: computed on all cores, and cached by model and audio."""

import multiprocessing
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hearing_conditions import Condition, changed
from hearing_manifest import Benchmark, Library, Scene
from hearing_peers import Float64, Sources
from tqdm import tqdm


@dataclass(frozen=True)
class Job:
    """A scene to be scored, unchanged or in a condition.

    Attributes:
        scene: The scene.
        condition: The condition; None for the unchanged scene.
        response: Number of the clip with the impulse response, for a condition that needs one.
    """

    scene: Scene
    condition: Condition | None = None
    response: int | None = None

    @property
    def key(self) -> str:
        """Cache key, which is the same for the same audio."""
        if self.condition is None:
            return self.scene.sha256
        return f"{self.scene.sha256} {self.condition.name} {self.condition.version} {self.response}"


class Cache:
    """Scores on disk.

    Args:
        folder: Folder of the database; created if missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "hearing.sqlite")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS scores (model TEXT, audio TEXT, tracks INTEGER, data BLOB,"
            " PRIMARY KEY (model, audio))"
        )

    def get(self, model: str, audio: str) -> Float64 | None:
        """Returns the cached scores of a model on audio, or None."""
        query = "SELECT tracks, data FROM scores WHERE model = ? AND audio = ?"
        row = self._database.execute(query, (model, audio)).fetchone()
        return None if row is None else np.frombuffer(row[1], "<f8").reshape(-1, row[0])

    def put(self, model: str, audio: str, scores: Float64) -> None:
        """Stores scores."""
        data = scores.astype("<f8").tobytes()
        with self._database:
            row = (model, audio, scores.shape[1], data)
            self._database.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()


def default_cache() -> Path:
    """Returns the user's own cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "yamnet-cry"


@dataclass
class Studio:
    """Renders and scores scenes; one instance per process.

    Attributes:
        library: The clips.
        sources: The peers' models.
    """

    library: Library
    sources: Sources

    def __call__(self, job: Job, scorers: Sequence[str]) -> dict[str, Float64]:
        """Scores a scene with some of the scorers."""
        samples = self.library.scene(job.scene)
        if job.condition is not None:
            samples = changed(samples, job.condition, lambda: self.library.read(job.response or 0))
        return {key: self.sources.scorers[key].scores(samples) for key in scorers}


def score(
    benchmark: Benchmark,
    files: dict[str, Path],
    sources: Sources,
    jobs: Sequence[Job],
    cache_folder: Path,
    workers: int,
) -> dict[tuple[str, str], Float64]:
    """Scores all jobs with all scorers.

    Args:
        benchmark: The benchmark of the jobs.
        files: Paths of clips by name.
        sources: The peers' models.
        jobs: Scenes to score.
        cache_folder: Folder of the cache.
        workers: Number of processes.

    Returns:
        float64 of shape (windows, tracks) by scorer and key of the job.

    Raises:
        CorpusError: If a clip is missing or differs.
    """
    fingerprints = {key: scorer.fingerprint for key, scorer in sources.scorers.items()}
    found: dict[tuple[str, str], Float64] = {}
    with closing(Cache(cache_folder)) as cache:
        missing: list[tuple[Job, list[str]]] = []
        for job in jobs:
            lacking = []
            for scorer, fingerprint in fingerprints.items():
                known = cache.get(fingerprint, job.key)
                if known is None:
                    lacking.append(scorer)
                else:
                    found[scorer, job.key] = known
            if lacking:
                missing.append((job, lacking))
        # The longest first, so that all cores finish at about the same time.
        missing.sort(key=lambda each: -each[0].scene.samples)
        # Slightly more: tqdm warns if the sum exceeds it by rounding, which depends on the order.
        total = sum(job.scene.seconds for job, _ in missing) / 3600 + 1e-6
        form = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} h of audio [{elapsed}<{remaining}]"
        with tqdm(total=total, desc="scores", bar_format=form, disable=not missing) as bar:
            for job, fresh in _scored(Studio(Library(benchmark, files), sources), missing, workers):
                for scorer, scores in fresh.items():
                    cache.put(fingerprints[scorer], job.key, scores)
                    found[scorer, job.key] = scores
                bar.update(job.scene.seconds / 3600)
    return found


def _scored(
    studio: Studio, missing: Sequence[tuple[Job, list[str]]], workers: int
) -> Iterator[tuple[Job, dict[str, Float64]]]:
    if workers == 1 or len(missing) < 2:
        for job, scorers in missing:
            yield job, studio(job, scorers)
        return
    # Spawned, because TensorFlow does not support fork.
    context = multiprocessing.get_context("spawn")
    # A copy without the loaded models: each process loads them itself.
    sources = replace(studio.sources)
    with ProcessPoolExecutor(workers, context, _start, (studio.library, sources)) as pool:
        futures = {pool.submit(_in_worker, job, scorers): job for job, scorers in missing}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_studio: Studio


def _start(library: Library, sources: Sources) -> None:
    global _studio
    _studio = Studio(library, sources)


def _in_worker(job: Job, scorers: Sequence[str]) -> dict[str, Float64]:
    return _studio(job, scorers)
