"""The benchmark as a file: which stretch of which clip sounds when, how loud, and what comes out of it.

Audio is in no manifest, and none is needed to read one. Whoever has the clips makes every scene again, bit
for bit, by this rule, in which each operation is one of float32:

1. A scene is zeros, one a sample.
2. The stretches of `Scene.background` are copied into it, one after another, from its first sample on.
3. For each of `Scene.sounds`, in order: its stretch times its gain is added to the samples from `at` on.
4. All samples are multiplied by `Scene.gain`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yamnet_cry.errors import AudioError, CorpusError
from yamnet_cry.frontend import YAMNET, Float32

VERSION = "cry-benchmark v1"
PATH = Path(__file__).with_name("cry-benchmark-v1.json")

#: The parts of the benchmark; the first one chooses thresholds, the others are measured.
VALIDATION, NIGHTS, MIXTURES, LOOK_ALIKES, CRIES, CRYING_NIGHT = PARTS = (
    "validation nights",
    "nights",
    "mixtures",
    "look-alikes",
    "cries",
    "crying night",
)


@dataclass(frozen=True)
class ClipId:
    """A clip that scenes are made of.

    Attributes:
        name: That of the file, within its corpus.
        group: What is resampled as one: a household, an author, a package.
        cry: Whether a baby cries in it.
        samples: Its length at 16 kHz.
        sha256: Of its samples as little-endian float32.
    """

    name: str
    group: str
    cry: bool
    samples: int
    sha256: str


@dataclass(frozen=True)
class Sound:
    """A stretch of a clip that is laid over a scene's background.

    Attributes:
        clip: Number of the clip.
        start: Its first sample.
        stop: The sample after its last.
        at: Where it starts in the scene, in samples.
        gain: What it is multiplied by, a float32.
    """

    clip: int
    start: int
    stop: int
    at: int
    gain: float


@dataclass(frozen=True)
class Scene:
    """A recording that is made of clips.

    Attributes:
        name: Unique in the benchmark.
        part: One of `PARTS`.
        label: Of a night the kind of sound, of a mixture the ratio in decibels, of a look-alike the category.
        samples: Its length.
        background: Number of a clip, first sample, and the sample after the last, of each stretch.
        sounds: What is laid over it.
        gain: What all of it is multiplied by, a float32.
        sha256: Of the result's samples as little-endian float32.
    """

    name: str
    part: str
    label: str
    samples: int
    background: tuple[tuple[int, int, int], ...]
    sounds: tuple[Sound, ...]
    gain: float
    sha256: str

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return self.samples / YAMNET.sample_rate


@dataclass(frozen=True)
class Benchmark:
    """All scenes, and the clips they are made of.

    Attributes:
        version: Such as ``cry-benchmark v1``.
        seed: Of everything that was drawn when the scenes were made up.
        clips: Scenes name them by their number.
        scenes: In order.
        responses: Numbers of the clips that are impulse responses of rooms.
    """

    version: str
    seed: int
    clips: tuple[ClipId, ...]
    scenes: tuple[Scene, ...]
    responses: tuple[int, ...] = ()

    def part(self, name: str) -> list[Scene]:
        """Returns the scenes of a part."""
        return [scene for scene in self.scenes if scene.part == name]

    def cries(self, scene: Scene) -> list[tuple[float, float]]:
        """Returns onset and end of the crying in a scene, in seconds."""
        return [
            (sound.at / YAMNET.sample_rate, (sound.at + sound.stop - sound.start) / YAMNET.sample_rate)
            for sound in scene.sounds
            if self.clips[sound.clip].cry
        ]

    def clip_at(self, scene: Scene, seconds: float) -> ClipId:
        """Returns the clip that a scene's background is from at a time; its last one after the end."""
        ends = np.cumsum([stop - start for _, start, stop in scene.background])
        place = int(np.searchsorted(ends, seconds * YAMNET.sample_rate, side="right"))
        return self.clips[scene.background[min(place, len(ends) - 1)][0]]


def digest(samples: Float32) -> str:
    """Returns the SHA-256 of samples as little-endian float32."""
    return hashlib.sha256(samples.astype("<f4", copy=False).tobytes()).hexdigest()


def render(scene: Scene, read: Callable[[int], Float32]) -> Float32:
    """Makes a scene, see the beginning of this file.

    Args:
        scene: The scene.
        read: Decodes the clip of a number: float32 at 16 kHz.

    Returns:
        float32 samples of shape (samples,).
    """
    mixed = np.zeros(scene.samples, np.float32)
    position = 0
    for clip, start, stop in scene.background:
        mixed[position : position + stop - start] = read(clip)[start:stop]
        position += stop - start
    for sound in scene.sounds:
        stretch = read(sound.clip)[sound.start : sound.stop] * np.float32(sound.gain)
        mixed[sound.at : sound.at + len(stretch)] += stretch
    mixed *= np.float32(scene.gain)
    return mixed


def write(benchmark: Benchmark, path: Path) -> None:
    """Writes a manifest: a line a clip and a scene, so that changes can be read.

    Raises:
        OSError: If it cannot be written.
    """
    clips = ([clip.name, clip.group, int(clip.cry), clip.samples, clip.sha256] for clip in benchmark.clips)
    scenes = (
        [
            *(scene.name, scene.part, scene.label, scene.samples, scene.background),
            *([[s.clip, s.start, s.stop, s.at, s.gain] for s in scene.sounds], scene.gain, scene.sha256),
        ]
        for scene in benchmark.scenes
    )

    def lines(rows: Iterable[Any]) -> str:
        compact = (json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
        return "[\n" + ",\n".join(compact) + "\n]"

    head = f'"version": {json.dumps(benchmark.version)}, "seed": {benchmark.seed}'
    responses = json.dumps(benchmark.responses)
    path.write_text(
        f'{{{head},\n"responses": {responses},\n"clips": {lines(clips)},\n"scenes": {lines(scenes)}}}\n',
        encoding="utf-8",
    )


def read(path: Path = PATH) -> Benchmark:
    """Reads a manifest.

    Raises:
        CorpusError: If it cannot be read, or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        clips = tuple(
            ClipId(name, group, bool(cry), samples, sha256)
            for name, group, cry, samples, sha256 in content["clips"]
        )
        scenes = tuple(
            Scene(
                *(name, part, label, samples),
                background=tuple((clip, start, stop) for clip, start, stop in background),
                sounds=tuple(Sound(*values) for values in sounds),
                gain=gain,
                sha256=sha256,
            )
            for name, part, label, samples, background, sounds, gain, sha256 in content["scenes"]
        )
        return Benchmark(content["version"], content["seed"], clips, scenes, tuple(content["responses"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path} is no manifest of the benchmark ({error})") from None


class Library:
    """The clips of a benchmark, where they are on this machine.

    Args:
        benchmark: The benchmark.
        files: Where clips of which name are.
    """

    def __init__(self, benchmark: Benchmark, files: dict[str, Path]) -> None:
        self._benchmark, self._files = benchmark, files
        self._latest: tuple[int, Float32] | None = None

    def read(self, number: int) -> Float32:
        """Decodes a clip.

        Raises:
            CorpusError: If it is not there, cannot be decoded, or is of another length.
        """
        from yamnet_cry import audio

        if self._latest is not None and self._latest[0] == number:
            return self._latest[1]
        name = self._benchmark.clips[number].name
        if name not in self._files:
            raise CorpusError(f"{name} is in none of the folders. Which clips are missing: --check")
        try:
            samples = audio.read(self._files[name])
        except AudioError as error:
            raise CorpusError(f"{name} cannot be decoded ({error})") from None
        if len(samples) != self._benchmark.clips[number].samples:
            raise CorpusError(f"differs: {name}, in its length. Which others differ: --check")
        self._latest = number, samples
        return samples

    def scene(self, scene: Scene) -> Float32:
        """Makes a scene, and holds it against its hash.

        Raises:
            CorpusError: If a clip is missing, or what comes out is another scene.
        """
        samples = render(scene, self.read)
        if digest(samples) != scene.sha256:
            raise CorpusError(
                f"{scene.name} is not that of {self._benchmark.version}. Which clips differ: --check"
            )
        return samples

    def differences(self) -> Iterator[str | None]:
        """Compares all clips with the manifest, one a step: None, or what is wrong with it."""
        for number, clip in enumerate(self._benchmark.clips):
            if clip.name not in self._files:
                yield f"missing: {clip.name}"
                continue
            try:
                same = digest(self.read(number)) == clip.sha256
            except CorpusError as error:
                yield str(error)
            else:
                yield None if same else f"differs: {clip.name}"
