"""Estimates time, cost and bottleneck of a pass over audio on many machines, and simulates it.

The inputs are `Measured`, the measurements of benchmarks/scale.py on one machine, and `Assumed`, the
properties of a cloud, which are not measured.
"""

import heapq
import math
from dataclasses import dataclass

import numpy as np

#: AudioSet: number of clips, and seconds of each (Gemmeke et al. 2017).
AUDIOSET_CLIPS, CLIP_SECONDS = 2_100_000, 10.0


@dataclass(frozen=True)
class Measured:
    """Measurements on one machine.

    Attributes:
        clip_seconds: CPU seconds for a clip of ten seconds, by stage.
        clips_per_task: Clips per partition.
        task_overhead_seconds: Time that Ray adds to a task, on the worker's core.
        driver_seconds: Time per task in the driver, which is a single process.
        start_seconds: Time from the request for workers to their first task: processes, imports, weights.
        bytes_read: Size of a stored clip.
        bytes_written: Size of its logits in a partition.
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
        """CPU seconds per task."""
        return self.clips_per_task * sum(self.clip_seconds.values()) + self.task_overhead_seconds


@dataclass(frozen=True)
class Assumed:
    """Properties of a cloud; every value is an option of benchmarks/scale.py.

    Attributes:
        machine: Name of the machine type.
        cores: Cores per machine.
        dollars: Price of a machine per hour.
        gigabits: Bandwidth of its network, in Gbit/s.
        requests: Requests per second that a bucket serves.
        reclaimed: Percentage of machines reclaimed per hour.
        replaced_seconds: Time until a replacement is running with everything installed.
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
    """Estimate of a pass over AudioSet.

    Attributes:
        machines: Number of machines.
        limits: Seconds that each resource takes alone, by name; the longest is the bottleneck.
        hours: Duration of the pass.
        dollars: Cost of the pass.
    """

    machines: int
    limits: dict[str, float]
    hours: float
    dollars: float

    @property
    def bottleneck(self) -> str:
        """The resource that takes longest."""
        return max(self.limits, key=lambda name: self.limits[name])


def bill(measured: Measured, assumed: Assumed, machines: int, clips: int = AUDIOSET_CLIPS) -> Bill:
    """Computes duration and cost of a pass if all its parts overlap, and nothing fails.

    Args:
        measured: Measurements on one machine.
        assumed: Properties of the cloud.
        machines: Number of machines.
        clips: Number of clips of ten seconds.
    """
    tasks = math.ceil(clips / measured.clips_per_task)
    cores = machines * assumed.cores
    bytes_moved = clips * (measured.bytes_read + measured.bytes_written)
    stages = {stage: clips * seconds / cores for stage, seconds in measured.clip_seconds.items()}
    limits = {
        **stages,
        "network": bytes_moved * 8 / (machines * assumed.gigabits * 1e9),
        # One for each clip that is read, and for each partition that is written and, on resuming, read.
        "requests": (clips + 2 * tasks) / assumed.requests,
        "driver": tasks * measured.driver_seconds,
    }
    # Stages share the cores; other resources are used in parallel. At the end, cores wait for the last tasks.
    work = sum(stages.values()) + tasks * measured.task_overhead_seconds / cores
    seconds = measured.start_seconds + max(
        work + measured.task_seconds / 2, *(limits[each] for each in OTHERS)
    )
    return Bill(machines, limits, seconds / 3600, machines * assumed.dollars * seconds / 3600)


#: Resources other than cores.
OTHERS = ("network", "requests", "driver")


@dataclass(frozen=True)
class Simulated:
    """Result of a simulated pass.

    Attributes:
        seconds: Time from the start to the end of the last task.
        done: Number of finished tasks, each counted once.
        lost: Number of started tasks that were lost with their machine.
        failures: Number of reclaimed machines.
        busy: Share of the total core time spent on tasks that finished.
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
    """Simulates a pass event by event, with machines that are reclaimed and replaced.

    The driver assigns tasks one at a time. A reclaimed machine loses its running tasks, which are assigned
    again.

    Args:
        measured: Measurements on one machine.
        assumed: Properties of the cloud.
        machines: Number of machines.
        tasks: Number of tasks.
        spread: Standard deviation of the logarithm of the task times.
        seed: Seed of the random numbers.
    """
    generator = np.random.default_rng(seed)
    hourly = -math.log(1.0 - assumed.reclaimed / 100.0)
    ready = list(range(tasks))[::-1]
    # Time, order, kind of the event, and machine, core and life of the machine.
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
