"""Ray: connects to a cluster, checks its versions, and distributes work to its machines."""

import logging
import os
import pickle
import socket
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Protocol
from urllib.parse import urlsplit

from yamnet_cry.cluster import require_extra
from yamnet_cry.errors import ClusterError, YamnetCryError

#: Address of the cluster on this machine, or of the one in ``RAY_ADDRESS``.
AUTO = "auto"

_PACKAGE = "yamnet-cry"

# Ray itself would retry for minutes, and then exit the program.
_PATIENCE_SECONDS = 10.0

# Attempts for a task whose process or machine dies each time; then the pass fails.
_MOST_ATTEMPTS = 20

# With as many workers as cores, one thread each is fastest. TensorFlow gets two: with one it sums in another
# order, and logits would differ from those of a process with any other number of threads.
_FEW_THREADS = {
    "TF_NUM_INTRAOP_THREADS": "2",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class Worker(Protocol):
    """Runs the tasks of a pass, one after the other, in a process of the cluster."""

    def __call__(self, task: Any, attempt: int, /) -> Any:
        """Runs one task; the result must be picklable.

        Args:
            task: The task.
            attempt: 1 at first, higher if processes or machines died during earlier attempts.
        """
        ...


class Engine:
    """A Ray cluster that this process is connected to, see `connected`."""

    def run(self, tasks: Iterable[Any], make: Callable[[], Worker]) -> Generator[Any, None, None]:
        """Runs tasks on all machines, including machines that join during the run.

        Tasks of machines and processes that die are repeated on others.

        Args:
            tasks: The tasks; each must be picklable.
            make: Creates a worker, once per process; must be picklable.

        Yields:
            The result of each task, in the order of completion.

        Raises:
            YamnetCryError: An error raised by a worker; other workers finish their tasks or are stopped.
            ClusterError: If workers die repeatedly.
        """
        import ray
        from ray import cloudpickle
        from ray.data import ActorPoolStrategy

        counting = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Attempts)
        rows = [{"number": n, "task": cloudpickle.dumps(task)} for n, task in enumerate(tasks)]
        count = len(rows)
        if not count:
            return
        there = ray.cluster_resources()
        processors, accelerators = int(there.get("CPU", 1)), int(there.get("GPU", 0))
        # A worker with an accelerator uses its share of the processors for decoding.
        each = max(1, processors // accelerators) if accelerators else 1
        most = accelerators or max(1, processors)
        # From here on, tasks are only in Ray's object store.
        waiting = ray.data.from_items(rows, override_num_blocks=count)
        del rows
        done = waiting.map_batches(
            _Actor,
            fn_constructor_args=(cloudpickle.dumps(make), version(_PACKAGE), counting.remote()),
            batch_size=1,
            # The pool shrinks when machines leave, and grows when machines join.
            compute=ActorPoolStrategy(
                min_size=1,
                initial_size=min(most, count),
                max_size=count,
                max_tasks_in_flight_per_actor=2,
            ),
            num_cpus=each,
            num_gpus=1 if accelerators else None,
            runtime_env={"env_vars": _environment(each, bool(accelerators))},
        )
        with _explained():
            for row in done.iter_rows():
                came = pickle.loads(row["came"])
                if isinstance(came, YamnetCryError):
                    raise came
                yield came


class _Attempts:
    """Counts the attempts of each task, in a separate process that outlives workers."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        self._begun[number] += 1
        return self._begun[number]


class _Actor:
    """The callable that Ray Data runs in each worker process."""

    def __init__(self, make: bytes, wanted: str, attempts: Any) -> None:
        self._attempts = attempts
        self._worker: Worker | YamnetCryError
        try:
            if (here := version(_PACKAGE)) != wanted:
                raise ClusterError(_other_versions({socket.gethostname(): here}, wanted))
            self._worker = pickle.loads(make)()
        except YamnetCryError as error:
            # If it were raised here, Ray would restart the process again and again.
            self._worker = error
        except ImportError as error:
            self._worker = ClusterError(f"{socket.gethostname()}: {error}")

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"came": [pickle.dumps(self._came(int(batch["number"][0]), batch["task"][0]))]}

    def _came(self, number: int, task: bytes) -> Any:
        import ray

        if isinstance(self._worker, YamnetCryError):
            return self._worker
        attempt = ray.get(self._attempts.begin.remote(number))
        if attempt > _MOST_ATTEMPTS:
            return ClusterError(
                f"{attempt - 1} processes of the cluster crashed in a row in the same task; memory may have "
                "run out: check Ray's log files. Finished work is kept"
            )
        try:
            return self._worker(pickle.loads(task), attempt)
        except YamnetCryError as error:
            return error


@contextmanager
def connected(address: str) -> Iterator[Engine]:
    """Connects to a cluster, unless this process is already connected, and checks its versions.

    Args:
        address: `AUTO`, or ``HOST:PORT`` as ``ray start --head`` prints it.

    Raises:
        ClusterError: If there is no cluster, it has another version of Ray or Python, or its machines have
            another version of this package.
        ImportError: If Ray is not installed.
    """
    require_extra()
    with _quiet():
        import ray

        ours = not ray.is_initialized()
        if ours:
            _connect(address)
        try:
            _check_versions()
            yield Engine()
        finally:
            if ours:
                ray.shutdown()


def _connect(address: str) -> None:
    import ray

    if address != AUTO:
        _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        if address == AUTO:
            raise ClusterError(
                "no Ray cluster runs on this machine; start one with `ray start --head`, or pass the "
                "address of one with --cluster HOST:PORT"
            ) from None
        raise ClusterError(f"no Ray cluster at {address} ({_first_line(error)})") from None
    except Exception as error:
        raise ClusterError(f"the cluster at {address} cannot be used ({_first_line(error)})") from None


def _check_reachable(address: str) -> None:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        raise ClusterError(f"expected {AUTO} or HOST:PORT, such as 10.0.0.1:6379. Received: {address!r}")
    try:
        socket.create_connection((host, port), _PATIENCE_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster at {address} ({error.strerror or error}); `ray start --head` prints its address"
        ) from None


def _check_versions() -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def found() -> str | None:
        # Pickled by value, because the package itself may be missing there.
        from importlib import metadata

        try:
            return metadata.version("yamnet-cry")
        except metadata.PackageNotFoundError:
            return None

    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        ray.remote(found)
        .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
        .remote()
        for node in nodes
    ]
    with _explained():
        answers = ray.get(asked)
    here = version(_PACKAGE)
    differing = {
        node["NodeManagerHostname"]: there
        for node, there in zip(nodes, answers, strict=True)
        if there != here
    }
    if differing:
        raise ClusterError(_other_versions(differing, here))


def _other_versions(found: dict[str, str | None], wanted: str) -> str:
    named = [f"{there or 'none'} on {host}" for host, there in sorted(found.items())[:3]]
    return (
        f"expected yamnet-cry {wanted} on all machines of the cluster, as here. Received: "
        f"{', '.join(named)}{', ...' if len(found) > 3 else ''}; install the same version there"
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Converts errors of Ray, which have dozens of lines, to a `ClusterError` of one line."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        raise ClusterError(
            f"the cluster failed ({_first_line(cause or error)}); finished work is kept: to continue, "
            "repeat the command"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses Ray's console output; its log files contain it."""
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    # Its threads would query Prometheus, and log that there is none.
    os.environ.setdefault("RAY_DATA_USAGE_DISABLED", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        # Ray warns about its own settings.
        warnings.filterwarnings("ignore", module=r"ray(\.|$)")
        # Importing it adds its handlers.
        import ray.data  # noqa: F401

        for name in ("ray", "ray.data"):
            for handler in logging.getLogger(name).handlers:
                # Only Ray's own handlers; it also attaches those of the program.
                if isinstance(handler, logging.StreamHandler) and handler not in logging.root.handlers:
                    handler.setLevel(logging.CRITICAL)
        yield


def _environment(threads: int, accelerated: bool) -> dict[str, str]:
    """The environment variables of worker processes."""
    chosen = os.environ.get("KERAS_BACKEND")
    backend = chosen or ("jax" if accelerated else None)
    return {
        **({} if threads > 1 else _FEW_THREADS),
        **({} if backend is None else {"KERAS_BACKEND": backend}),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
