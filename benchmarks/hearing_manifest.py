"""The benchmark as a file: the clips of each scene with positions and gains, and the hash of the result.

The manifest contains no audio, and none is needed to read it. With the clips, every scene can be rebuilt bit
for bit by this rule, in float32 arithmetic:

1. A scene starts as zeros. 2. The parts of clips in `Scene.background` are copied into it, one after another,
from the first sample on. 3. For each of `Scene.sounds`, in order: its part of a clip times its gain is added
to the samples from `at` on. 4. All samples are multiplied by `Scene.gain`.
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

#: The parts of the benchmark; thresholds are chosen on the first, the others are measured.
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
    """A clip of a scene.

    Attributes:
        name: Name of the file within its corpus.
        group: Unit of resampling: a household, an author, a package.
        cry: Whether it contains crying.
        samples: Length at 16 kHz.
        sha256: SHA-256 of the samples as little-endian float32.
    """

    name: str
    group: str
    cry: bool
    samples: int
    sha256: str


@dataclass(frozen=True)
class Sound:
    """A part of a clip that is added to a scene's background.

    Attributes:
        clip: Number of the clip.
        start: First sample in the clip.
        stop: Sample after the last in the clip.
        at: First sample in the scene.
        gain: Factor, a float32.
    """

    clip: int
    start: int
    stop: int
    at: int
    gain: float


@dataclass(frozen=True)
class Scene:
    """A recording composed of clips.

    Attributes:
        name: Unique name.
        part: One of `PARTS`.
        label: Kind of a night, ratio of a mixture in decibels, or category of a look-alike.
        samples: Length.
        background: Consecutive parts of clips: number of the clip, first sample, and sample after the last.
        sounds: Sounds added to the background.
        gain: Factor for the whole scene, a float32.
        sha256: SHA-256 of the resulting samples as little-endian float32.
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
        """Length in seconds."""
        return self.samples / YAMNET.sample_rate


@dataclass(frozen=True)
class Benchmark:
    """All scenes and their clips.

    Attributes:
        version: Version, such as ``cry-benchmark v1``.
        seed: Random seed with which the scenes were built.
        clips: All clips; scenes refer to them by index.
        scenes: All scenes, in order.
        responses: Indices of the clips that are impulse responses of rooms.
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
        """Returns the clip in a scene's background at a time; the last one after the end."""
        ends = np.cumsum([stop - start for _, start, stop in scene.background])
        place = int(np.searchsorted(ends, seconds * YAMNET.sample_rate, side="right"))
        return self.clips[scene.background[min(place, len(ends) - 1)][0]]


def digest(samples: Float32) -> str:
    """Returns the SHA-256 of samples as little-endian float32."""
    return hashlib.sha256(samples.astype("<f4", copy=False).tobytes()).hexdigest()


def render(scene: Scene, read: Callable[[int], Float32]) -> Float32:
    """Renders a scene, by the rule in the module's docstring.

    Args:
        scene: The scene.
        read: Decodes the clip with a number: float32 at 16 kHz.

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
    """Writes a manifest, with a line for each clip and scene, for readable diffs.

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
        CorpusError: If the file cannot be read, or is not a manifest.
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
    """The clips of a benchmark on this machine.

    Args:
        benchmark: The benchmark.
        files: Paths of clips by name.
    """

    def __init__(self, benchmark: Benchmark, files: dict[str, Path]) -> None:
        self._benchmark, self._files = benchmark, files
        self._latest: tuple[int, Float32] | None = None

    def read(self, number: int) -> Float32:
        """Decodes a clip.

        Raises:
            CorpusError: If it is missing, cannot be decoded, or has another length.
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
        """Renders a scene, and compares it with its hash.

        Raises:
            CorpusError: If a clip is missing, or the hash differs.
        """
        samples = render(scene, self.read)
        if digest(samples) != scene.sha256:
            raise CorpusError(
                f"{scene.name} is not that of {self._benchmark.version}. Which clips differ: --check"
            )
        return samples

    def differences(self) -> Iterator[str | None]:
        """Compares all clips with the manifest; yields None or a description of the difference for each."""
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
