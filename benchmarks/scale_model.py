"""A pass over audio on paper: what machines take, what they cost, and what holds them up; and a simulation.

All of it follows from `Measured`, what benchmarks/scale.py measures on one machine, and `Assumed`, what
nobody here can measure.
"""

import heapq
import math
from dataclasses import dataclass

import numpy as np

#: AudioSet: so many clips of ten seconds (Gemmeke et al. 2017).
AUDIOSET_CLIPS, CLIP_SECONDS = 2_100_000, 10.0


@dataclass(frozen=True)
class Measured:
    """Of one machine.

    Attributes:
        clip_seconds: Seconds of a core for a clip of ten seconds, by stage.
        clips_per_task: Clips in a partition.
        task_overhead_seconds: What Ray adds to a task, on the worker's core.
        driver_seconds: What a task takes of the driver, which is one process.
        start_seconds: From asking for workers to their first work: processes, imports, weights.
        bytes_read: Of a clip as it is stored.
        bytes_written: Of its logits in a partition.
    """

    clip_seconds: dict[str, float]
    clips_per_task: int
    task_overhead_seconds: float
    driver_seconds: float
    start_seconds: float
    bytes_read: float
    bytes_written: float

    @property
    def task_seconds(self) -> float:
        """Seconds of a core for a task."""
        return self.clips_per_task * sum(self.clip_seconds.values()) + self.task_overhead_seconds


@dataclass(frozen=True)
class Assumed:
    """Of a cloud; every value is an option of benchmarks/scale.py.

    Attributes:
        machine: What it is called.
        cores: Of a machine.
        dollars: An hour of a machine.
        gigabits: A second, of its network.
        requests: That a bucket answers in a second.
        reclaimed: Machines of a hundred that are taken away in an hour.
        replaced_seconds: Until another has come and has installed everything.
    """

    machine: str
    cores: int
    dollars: float
    gigabits: float
    requests: float
    reclaimed: float
    replaced_seconds: float


@dataclass(frozen=True)
class Bill:
    """A pass over AudioSet on some machines.

    Attributes:
        machines: How many.
        limits: Seconds that each thing takes by itself, by name; the longest holds up all others.
        hours: What the pass takes.
        dollars: What it costs.
    """

    machines: int
    limits: dict[str, float]
    hours: float
    dollars: float

    @property
    def bottleneck(self) -> str:
        """What takes longest."""
        return max(self.limits, key=lambda name: self.limits[name])


def bill(measured: Measured, assumed: Assumed, machines: int, clips: int = AUDIOSET_CLIPS) -> Bill:
    """Computes what a pass takes and costs if all its parts overlap, and nothing fails.

    Args:
        measured: What the work takes.
        assumed: What the machines are.
        machines: How many.
        clips: Of ten seconds.
    """
    tasks = math.ceil(clips / measured.clips_per_task)
    cores = machines * assumed.cores
    bytes_moved = clips * (measured.bytes_read + measured.bytes_written)
    stages = {stage: clips * seconds / cores for stage, seconds in measured.clip_seconds.items()}
    limits = {
        **stages,
        "network": bytes_moved * 8 / (machines * assumed.gigabits * 1e9),
        # One for each clip that is read, and each partition that is written and, if a pass goes on, read.
        "requests": (clips + 2 * tasks) / assumed.requests,
        "driver": tasks * measured.driver_seconds,
    }
    # Stages share the cores; the other things go on beside them. The last task of each core ends alone.
    work = sum(stages.values()) + tasks * measured.task_overhead_seconds / cores
    seconds = measured.start_seconds + max(
        work + measured.task_seconds / 2, *(limits[each] for each in OTHERS)
    )
    return Bill(machines, limits, seconds / 3600, machines * assumed.dollars * seconds / 3600)


#: What is no work of cores.
OTHERS = ("network", "requests", "driver")


@dataclass(frozen=True)
class Simulated:
    """How a pass went.

    Attributes:
        seconds: From the start to the last task's end.
        done: Tasks that were done; each once.
        lost: Tasks that were begun and lost with their machine.
        failures: Machines that were taken away.
        busy: Share of all cores' seconds that went into tasks that were done.
    """

    seconds: float
    done: int
    lost: int
    failures: int
    busy: float


def simulated(
    measured: Measured,
    assumed: Assumed,
    machines: int,
    tasks: int,
    *,
    spread: float = 0.0,
    seed: int = 0,
) -> Simulated:
    """Lets machines do tasks, and be taken away and replaced, event by event.

    The driver hands tasks out one at a time; a machine that is taken away loses what its cores have begun,
    and those tasks are handed out again.

    Args:
        measured: What tasks take.
        assumed: What machines there are, and how often they go.
        machines: How many.
        tasks: How many.
        spread: Standard deviation of the logarithm of a task's seconds.
        seed: Of what is drawn.
    """
    generator = np.random.default_rng(seed)
    hourly = -math.log(1.0 - assumed.reclaimed / 100.0)
    ready = list(range(tasks))[::-1]
    # Moment, order, what happens, and to whom.
    events: list[tuple[float, int, str, tuple[int, int, int]]] = []
    number = 0
    free_driver = 0.0
    lives = [0] * machines
    running: list[dict[int, tuple[int, float]]] = [{} for _ in range(machines)]
    waiting: list[tuple[int, int, int]] = []
    finished: set[int] = set()
    lost = failures = 0
    useful = 0.0

    def later(moment: float, what: str, who: tuple[int, int, int]) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (moment, number, what, who))

    def begins(machine: int, moment: float) -> None:
        for core in range(assumed.cores):
            later(moment + measured.start_seconds, "free", (machine, core, lives[machine]))
        if hourly:
            gone = moment + generator.exponential(3600.0 / hourly)
            later(gone, "gone", (machine, 0, lives[machine]))

    def hands_out(now: float) -> None:
        nonlocal free_driver
        while ready and waiting:
            machine, core, life = waiting.pop()
            if life != lives[machine]:
                continue
            free_driver = max(free_driver, now) + measured.driver_seconds
            seconds = measured.task_seconds * float(np.exp(generator.normal(-(spread**2) / 2, spread)))
            running[machine][core] = (ready.pop(), seconds)
            later(free_driver + seconds, "done", (machine, core, life))

    for machine in range(machines):
        begins(machine, 0.0)
    now = 0.0
    while len(finished) < tasks:
        now, _, what, (machine, core, life) = heapq.heappop(events)
        if what == "back":
            begins(machine, now)
            continue
        if life != lives[machine]:
            continue
        if what == "gone":
            failures += 1
            lost += len(running[machine])
            ready += [task for task, _ in running[machine].values()]
            running[machine].clear()
            lives[machine] += 1
            later(now + assumed.replaced_seconds, "back", (machine, 0, lives[machine]))
        else:
            if what == "done":
                task, seconds = running[machine].pop(core)
                finished.add(task)
                useful += seconds
            waiting.append((machine, core, life))
        hands_out(now)
    return Simulated(now, len(finished), lost, failures, useful / (now * machines * assumed.cores))
