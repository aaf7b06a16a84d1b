"""A model as the audio detector of Frigate: what its labels are called there, and how it is installed."""

import re

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.errors import ExportError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.config import ModelConfig

#: The files that Frigate reads, which lie at the root of its container.
MODEL, LABELS = "cpu_audio_model.tflite", "audio-labelmap.txt"

#: What Frigate calls crying.
CRYING = "crying"

# What Frigate accepts as a threshold; a score must exceed it.
_LEAST_THRESHOLD, _MOST_THRESHOLD = 0.5, 0.99


def check(config: ModelConfig) -> None:
    """Refuses models that Frigate cannot use as its audio detector.

    Raises:
        ExportError: If the model's task is not that of crying, or it hears other windows than YAMNet.
    """
    if config.task != CRY_TASK:
        raise ExportError(
            f"--format frigate needs a cry detection model; this model classifies {config.task}. "
            "Use --format waveform"
        )
    if differing := config.front_end.differences(YAMNET, ("sample_rate", "frame_length", "frame_hop")):
        raise ExportError(f"Frigate passes windows of 0.975 s at 16 kHz; this model has {differing}")


def labels(config: ModelConfig) -> list[str]:
    """Returns what Frigate calls each output: lower case, up to the first comma; crying by its own name.

    Example:
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
    """Returns ``README.md``: how the folder is installed, and what the scores are.

    Args:
        config: The model's configuration.
        summary: Size, operators and how the model was checked.
        joined: Whether the answers other than crying are those of YAMNet, from a file of its own.
    """
    threshold = min(max(config.threshold, _LEAST_THRESHOLD), _MOST_THRESHOLD)
    classes = " and ".join(
        f"{number} ({label})"
        for number, label in zip(config.task.group_indices, config.task.group, strict=True)
    )
    others = len(config.task.labels) - len(config.task.group)
    prior = config.calibration.prior
    holds = "" if prior is None else f", where {prior:.0%} of what is heard is crying"
    own = f"The other {others} classes are"
    if joined:
        rest = f"""{own} YAMNet's, as in the file that was given to `export --with`. They are
called by AudioSet's names and not by Frigate's, which gives one name to several classes, such as `{CRYING}`
to class 21 too, here `whimper`. To keep Frigate's names, leave out the line that mounts `{LABELS}`;
then what YAMNet takes for a whimper is `{CRYING}` too.
"""
    else:
        rest = f"""{own} what the student has learnt of YAMNet on the side: softmax, rough, unmeasured.
They are called by AudioSet's names and not by Frigate's, which gives one name to several classes, such as
`{CRYING}` to class 21 too, here `whimper`. Where `bark`, `speech`, `fire_alarm` or `yell` matter, keep
Frigate's own answers to them: `yamnet-cry export --format frigate --with {MODEL}`, with the
file that lies at the root of Frigate's container.
"""
    return f"""# yamnet-cry as Frigate's audio detector, recipe `{config.recipe}`

`{MODEL}`: {summary}.

## Install

Frigate has no setting for its audio model: both files are mounted over its own, in `docker-compose.yml`:

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
  min_volume: 200  # below this loudness, 500 by default, Frigate asks no model
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

Restart Frigate. The folder replaces Frigate's own detector on all cameras.

## What the scores are

Frigate cuts sound into windows of 0.975 s, asks of each alone, and starts an event as soon as one output
exceeds the threshold of its label. It neither adds up outputs of one label nor smooths them. Classes
{classes}, both `{CRYING}`, therefore hold the same value, whole and
not halved: the calibrated probability that a baby cries{holds},
of a window with nothing before it.

The detector itself follows ten seconds before it is sure. A single window seldom reaches Frigate's default
threshold of 0.8; begin with {threshold:g}, and raise it if something else in your home sets it off. For
events that know what came before, let `yamnet-cry listen --frigate http://frigate:5000/CAMERA` hear the
camera: it makes events in Frigate, and leaves Frigate's own detector as it is.

{rest}"""
