"""Workers of a cluster that do almost no work."""

import os

import pyarrow as pa

from yamnet_cry.cluster.passes import Answer
from yamnet_cry.errors import AudioError, ClusterError


class Doubling:
    def __call__(self, task, attempt):
        if task == 13:
            raise AudioError("13 is not heard")
        return 2 * task


class Dying:
    def __call__(self, task, attempt):
        if task == "deadly" and attempt < 4:
            os._exit(1)
        return attempt


class DyingJudge:
    """Kills its process at one recording, and cannot read another."""

    def __call__(self, items):
        for item in items:
            if item.name == "deadly":
                os._exit(1)
            yield AudioError("torn") if item.name == "torn" else Answer(pa.table({"name": [item.name]}))


def refuse():
    raise ClusterError("no such model here")
