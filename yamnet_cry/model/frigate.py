"""A model as the audio detector of Frigate: its label names there, and a README on how to install it."""

import re

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.errors import ExportError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.config import ModelConfig

#: The files that Frigate reads from the root of its container.
MODEL, LABELS = "cpu_audio_model.tflite", "audio-labelmap.txt"

#: Frigate's label for crying.
CRYING = "crying"

# Range of thresholds that Frigate accepts; a score must exceed the threshold.
_LEAST_THRESHOLD, _MOST_THRESHOLD = 0.5, 0.99


def check(config: ModelConfig) -> None:
    """Rejects models that Frigate cannot use as its audio detector.

    Raises:
        ExportError: If the model's task is not cry detection, or its windows are not those of YAMNet.
    """
    if config.task != CRY_TASK:
        raise ExportError(
            f"--format frigate needs a cry detection model; this model classifies {config.task}. "
            "Use --format waveform"
        )
    if differing := config.front_end.differences(YAMNET, ("sample_rate", "frame_length", "frame_hop")):
        raise ExportError(f"Frigate passes windows of 0.975 s at 16 kHz; this model has {differing}")


def labels(config: ModelConfig) -> list[str]:
    """Returns Frigate's label of each output: lower case, up to the first comma; `CRYING` for crying.

    Examples:
        >>> from yamnet_cry import CryDetector
        >>> found = labels(CryDetector.from_pretrained().config)
        >>> found[:2], found[19:22]
        (['speech', 'child_speech'], ['crying', 'crying', 'whimper'])
    """
    return [
        CRYING if label in config.task.group else re.sub("[^a-z0-9]+", "_", first.lower()).strip("_")
        for label in config.task.labels
        for first in label.split(",")[:1]
    ]


def readme(config: ModelConfig, summary: str, *, joined: bool = False) -> str:
    """Returns ``README.md``: how to install the folder, and what the scores mean.

    Args:
        config: The model's configuration.
        summary: Size, operators and how the model was checked.
        joined: Whether the scores of other classes are those of YAMNet, from a separate file.
    """
    threshold = min(max(config.threshold, _LEAST_THRESHOLD), _MOST_THRESHOLD)
    classes = " and ".join(
        f"{number} ({label})"
        for number, label in zip(config.task.group_indices, config.task.group, strict=True)
    )
    others = len(config.task.labels) - len(config.task.group)
    prior = config.calibration.prior
    holds = "" if prior is None else f" for a prior of {prior:.0%} crying"
    own = f"The other {others} classes are"
    if joined:
        rest = f"""{own} those of YAMNet, from the file passed to `export --with`. They have AudioSet's names
instead of Frigate's, which uses one name for several classes: for example, `{CRYING}` also for class 21, here
`whimper`. To keep Frigate's names, remove the line that mounts `{LABELS}`; then a whimper is also reported as
`{CRYING}`.
"""
    else:
        rest = f"""{own} the student's softmax outputs: rough approximations of YAMNet, not evaluated. They
have AudioSet's names instead of Frigate's, which uses one name for several classes: for example,
`{CRYING}` also for class 21, here `whimper`. If you need `bark`, `speech`, `fire_alarm` or `yell`, keep
Frigate's scores of them: `yamnet-cry export --format frigate --with {MODEL}`, with the
file in the root folder of Frigate's container.
"""
    return f"""# yamnet-cry as Frigate's audio detector, recipe `{config.recipe}`

`{MODEL}`: {summary}.

## Install

Frigate has no setting for its audio model. Mount both files over its own in `docker-compose.yml`:

```yaml
services:
  frigate:
    volumes:
      - ./{MODEL}:/{MODEL}:ro
      - ./{LABELS}:/{LABELS}:ro
```

In Frigate's `config.yml`:

```yaml
audio:
  enabled: true
  listen: [{CRYING}]
  min_volume: 200  # minimum volume to run the model; Frigate's default is 500
  filters:
    {CRYING}:
      threshold: {threshold:g}  # 0.8 by default
cameras:
  nursery:
    ffmpeg:
      inputs:
        - path: rtsp://camera/stream
          roles: [audio]
```

Restart Frigate. The files replace Frigate's audio detector on all cameras.

## What the scores are

Frigate scores each window of 0.975 s separately, and starts an event as soon as one output exceeds the
threshold of its label. It neither sums nor smooths the outputs of a label. Therefore classes
{classes}, both `{CRYING}`, have the same value: the calibrated
probability of crying{holds}, of a window without context.

The full detector uses ten seconds of context. A single window rarely reaches Frigate's default
threshold of 0.8; start with {threshold:g}, and raise it if there are false alarms. For events with context,
run `yamnet-cry listen --frigate http://frigate:5000/CAMERA` on the camera: it creates events in Frigate and
does not change Frigate's own detector.

{rest}"""
