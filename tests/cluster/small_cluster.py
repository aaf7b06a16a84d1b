"""Clusters of Ray on this machine, small enough for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Of every node.
SMALL = {"object_store_memory": 80_000_000, "include_dashboard": False}


@contextmanager
def cluster(processors: int) -> Iterator[Any]:
    """Starts one with a single node, whose processes can import what lies beside the tests."""
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
    try:
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": processors, **SMALL})
        try:
            yield started
        finally:
            started.shutdown()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
