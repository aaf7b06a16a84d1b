"""Runs jobs one after the other, or on all cores in worker processes that end with this process."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from yamnet_cry import native_notes
from yamnet_cry.audio.files import seconds_of
from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import RunError, YamnetCryError
from yamnet_cry.jobs import Job, Outcome, process

# Below this, starting processes takes longer than the work: an hour of WAV is 115 MB.
_WORTH_PROCESSES = 64_000_000

#: The limit on Windows is the number of processes that a program can wait for.
MOST_WORKERS = 61 if sys.platform == "win32" else 1_000

#: Number of jobs submitted before the first is done: while one recording of a whole night is processed, many
#: short ones may finish.
AHEAD = 1_000


class Work:
    """Runs jobs and reports progress.

    Args:
        jobs: The jobs to run.
        load: Returns a detector; must be picklable for more than one worker.
        workers: Number of processes, at most one per job; None to choose by the size of the files.
    """

    def __init__(self, jobs: Sequence[Job], load: Callable[[], CryDetector], workers: int | None) -> None:
        self._jobs, self._load = jobs, load
        self._seconds = [seconds_of(job.source) for job in jobs]
        if workers is None:
            small = sum(map(_size, jobs)) < _WORTH_PROCESSES
            workers = 1 if small else os.cpu_count() or 1
        self._workers = max(1, min(workers, len(jobs), MOST_WORKERS))
        self.total = sum(self._seconds)

    def run(self, tell: Callable[[float], object]) -> Generator[Outcome, None, None]:
        """Yields outcomes in the order of the jobs; closing the iterator stops the work.

        Args:
            tell: Called from time to time with the seconds of audio processed so far.
        """
        if self._workers == 1:
            yield from self._run_here(tell)
        else:
            yield from self._run_in_processes(tell)

    def _run_here(self, tell: Callable[[float], object]) -> Generator[Outcome, None, None]:
        detector = self._load()
        before = 0.0
        for job, seconds in zip(self._jobs, self._seconds, strict=True):

            def progress(heard: float, start: float = before) -> None:
                tell(start + heard)

            yield process(job, detector, progress)
            before += seconds
            tell(before)

    def _run_in_processes(self, tell: Callable[[float], object]) -> Generator[Outcome, None, None]:
        context = multiprocessing.get_context("spawn")
        heard = context.Array("d", len(self._jobs), lock=False)
        # Workers end when this end of the pipe is closed, or when this process dies from any signal.
        theirs, ours = context.Pipe(duplex=False)
        seconds_heard = np.frombuffer(heard, np.float64)
        futures: deque[Future[Outcome]] = deque()
        waiting = enumerate(self._jobs)
        broken = False
        with native_notes.shown() as hide:
            pool = ProcessPoolExecutor(
                self._workers, context, _start_worker, (self._load, heard, theirs, hide)
            )
            try:
                _submit(pool, waiting, futures)
            except BrokenProcessPool:
                broken = True
            except BaseException:
                ours.close()
                raise
        try:
            if broken:
                raise BrokenProcessPool
            for number, seconds in enumerate(self._seconds):
                yield self._awaited(futures[0], lambda: tell(float(seconds_heard.sum())))
                futures.popleft()
                _submit(pool, waiting, futures)
                heard[number] = seconds
                tell(float(seconds_heard.sum()))
        except BrokenProcessPool:
            raise RunError(
                "a worker process crashed; memory may have run out. "
                "Printed results are complete; try again with --workers 1"
            ) from None
        finally:
            if not all(future.done() for future in futures):
                ours.close()
            pool.shutdown(cancel_futures=True)
            ours.close()
            theirs.close()

    def _awaited(self, future: Future[Outcome], meanwhile: Callable[[], object]) -> Outcome:
        while True:
            try:
                return future.result(timeout=0.2)
            except TimeoutError:
                meanwhile()


def _submit(
    pool: ProcessPoolExecutor, waiting: Iterator[tuple[int, Job]], futures: deque[Future[Outcome]]
) -> None:
    """Submits jobs until `AHEAD` are pending: the pool never idles, and memory for outcomes is bounded."""
    # Any submission may start a process: the pool starts one if none is idle.
    with _interrupts_held():
        futures += [pool.submit(_in_worker, *each) for each in islice(waiting, AHEAD - len(futures))]


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Blocks SIGINT for processes started in this block: Ctrl-C goes to all processes of a terminal."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_detector: CryDetector | YamnetCryError
_progress: Any


def _start_worker(load: Callable[[], CryDetector], heard: Any, parent: Connection, hide: bool) -> None:
    global _detector, _progress
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if hide:
        native_notes.hide()
    _progress = heard
    try:
        _detector = load()
    except YamnetCryError as error:
        # Raised here, it would appear as a crash of the worker.
        _detector = error


def _end_with(parent: Connection) -> None:
    try:
        parent.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _in_worker(number: int, job: Job) -> Outcome:
    if isinstance(_detector, YamnetCryError):
        raise _detector

    def progress(seconds: float) -> None:
        _progress[number] = seconds

    return process(job, _detector, progress)


def _size(job: Job) -> int:
    try:
        return job.source.stat().st_size
    except OSError:
        return 0
