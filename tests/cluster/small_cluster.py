"""Local Ray clusters, small enough for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

#: Settings of every node.
SMALL = {"object_store_memory": 80_000_000, "include_dashboard": False}

# On a busy machine a node takes longer to start than Ray's default timeout.
_PATIENCE_SECONDS = "300"


@contextmanager
def cluster(processors: int) -> Iterator[Any]:
    """Starts a cluster of one node, whose processes can import the modules in this folder."""
    from ray.cluster_utils import Cluster

    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    # By default Ray runs workers at a low priority, and on a busy machine they might never run.
    patient = {"RAY_raylet_start_wait_time_s": _PATIENCE_SECONDS, "RAY_worker_niceness": "0"}
    with mock.patch.dict(os.environ, {"PYTHONPATH": path, **patient}):
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": processors, **SMALL})
        try:
            yield started
        finally:
            started.shutdown()
