"""Builds the benchmark's scenes: clips, positions and levels are drawn once and stored in the manifest.

Measured scenes contain only clips of the split `test`, and the validation nights, on which thresholds are
chosen, only clips of `val`. Test clips must not be used for training, and weights are not fitted to
validation clips.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from hearing_manifest import (
    CRIES,
    CRYING_NIGHT,
    LOOK_ALIKES,
    MIXTURES,
    NIGHTS,
    VALIDATION,
    VERSION,
    Benchmark,
    ClipId,
    Scene,
    Sound,
    digest,
    render,
)
from tqdm import tqdm

from yamnet_cry.distill.corpus import CRY, NOT_CRY, Clip
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import YAMNET, Float32

SEED = 42

#: Kinds of sound in nights, and their probabilities as background of a mixture.
KINDS = {"room": 0.4, "effect": 0.2, "speech": 0.2, "music": 0.2}

# Maximum number of samples of one package or author in a night.
MOST_OF_A_GROUP = 20 * 60 * YAMNET.sample_rate
NIGHT_PIECE = 30 * 60 * YAMNET.sample_rate

MIXTURE_COUNT = 500
MIXTURE_SAMPLES = 30 * YAMNET.sample_rate
RATIOS_DB = (-6, 0, 6)
LONGEST_CRY = 10 * YAMNET.sample_rate
QUIETEST_BACKGROUND = 1e-3
LOUDEST = 0.99

CRYING_PIECES = 16
CRYING_COUNT = 20
APART = 60 * YAMNET.sample_rate

# A cry begins and ends with the first and last 20 ms within this level of its loudest 20 ms: softer parts are
# masked by a background as loud as the cry. Of 25, 20, 15 and 12 dB, events on validation clips start closest
# to this one.
FRAME = YAMNET.sample_rate // 50
BELOW_LOUDEST_DB = 15.0

# Silence around a look-alike, so that windows are placed as in a quiet room.
AROUND = 2 * YAMNET.sample_rate

# Categories of look-alikes by the labels of ESC-50 and other corpora.
LOOK_ALIKE_LABELS = {
    "cat": "cats",
    "noise/dude_miaowing": "cats",
    "dog": "dogs",
    "sheep": "sheep and goats",
    **dict.fromkeys(("rooster", "hen", "crow", "chirping_birds"), "birds"),
    **dict.fromkeys(("cow", "pig", "frog", "insects", "crickets"), "other animals"),
    **dict.fromkeys(("siren", "car_horn", "church_bells", "clock_alarm"), "sirens and alarms"),
    "door_wood_creaks": "squeaks",
    "laughing": "laughter",
}
UPLOADS = "uploads without crying"
ROOM_LABELS = re.compile(
    r"rain|sea_waves|thunderstorm|wind|crackling_fire|pouring_water|water_drops|clock_tick|washing_machine|"
    r"vacuum_cleaner|engine|train|helicopter|airplane|noise/running_tap|toilet_flush|chainsaw|fireworks|"
    r"keyboard_typing|mouse_click|brushing_teeth"
)

# Debian's games are unlabelled. The names of all their sounds were read, and none suggests a baby; sounds
# whose names suggest children or a resemblance to crying are excluded.
LEFT_OUT = re.compile(
    r"child|kid|playground|crowd|cheering|baby|babies|infant|cry|wail|scream|tavern|village|main_square|bark|growl|"
    r"snarl|dog|meow|baa|sheep|cow|moo|gull|bird|hawk|rooster|rabbit|frog|siren|policecar|firetruck|ooh|ouch|death|die",
    re.IGNORECASE,
)
SPOKEN = {"debian:fillets-ng-data-nl"}


def place_of(clip: Clip) -> tuple[str, str] | None:
    """Returns the part (nights or look-alikes) and the kind or category of a clip; None if it is not used."""
    kind, label = clip.extra.get("kind", ""), clip.extra.get("label", "")
    if CRY in clip.labels or clip.extra.get("target") == "ir":
        return None
    if clip.source.startswith("speech_commands"):
        return NIGHTS, "speech"
    if NOT_CRY not in clip.labels:
        if clip.source != "debian_sounds" or LEFT_OUT.search(label):
            return None
        return NIGHTS, "speech" if clip.group in SPOKEN else kind
    if kind == "look-alike":
        return LOOK_ALIKES, clip.extra.get("category", "")
    if kind:
        return NIGHTS, kind
    if clip.source == "donateacry":
        return LOOK_ALIKES, UPLOADS
    if label in LOOK_ALIKE_LABELS:
        return LOOK_ALIKES, LOOK_ALIKE_LABELS[label]
    if clip.source.startswith("librispeech"):
        return NIGHTS, "speech"
    return NIGHTS, "room" if ROOM_LABELS.fullmatch(label) else "effect"


def loud_part(samples: Float32) -> tuple[int, int]:
    """Returns the first sample of the loud part of a clip, and the sample after its last.

    Examples:
        >>> loud_part(np.concatenate([np.zeros(6400), np.ones(3200), np.zeros(640)]).astype(np.float32))
        (6400, 9600)
    """
    count = len(samples) // FRAME
    if not count:
        return 0, len(samples)
    power = np.mean(np.square(samples[: count * FRAME].reshape(count, FRAME), dtype=np.float64), axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-BELOW_LOUDEST_DB / 10))
    return int(loud[0]) * FRAME, (int(loud[-1]) + 1) * FRAME


def rms(samples: Float32) -> float:
    """Returns the root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


class Builder:
    """Builds scenes of the clips of corpora.

    Args:
        clips: Clips of all corpora.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._known: dict[str, int] = {}
        self._read: dict[int, Float32] = {}
        self._ids: list[ClipId] = []
        self._generator = np.random.default_rng(SEED)
        placed: dict[tuple[str, str, str], list[Clip]] = defaultdict(list)
        for clip in sorted(clips, key=lambda clip: (_hash(clip.group), clip.group, clip.name)):
            place = place_of(clip)
            if place is not None and clip.split in ("val", "test"):
                placed[clip.split, *place].append(clip)
        self._placed = placed
        self._cries: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for clip in sorted(clips, key=lambda clip: (clip.group, clip.name)):
            if CRY in clip.labels and clip.split == "test":
                number = self._number(clip)
                start, stop = loud_part(self._read[number])
                self._cries[clip.group].append((number, start, min(stop, start + LONGEST_CRY)))
        if not self._cries:
            raise CorpusError("the benchmark needs crying clips of the split test, and there are none")
        rooms = sorted(
            (clip for clip in clips if clip.extra.get("target") == "ir" and clip.split == "test"),
            key=lambda clip: clip.name,
        )
        self._responses = tuple(self._number(clip) for clip in rooms)

    def build(self) -> Benchmark:
        """Builds all scenes."""
        scenes: list[Scene] = []
        stages: list[tuple[str, Iterable[Scene]]] = [
            (VALIDATION, self._nights("val", VALIDATION)),
            (NIGHTS, self._nights("test", NIGHTS)),
            (MIXTURES, self._mixtures()),
            (LOOK_ALIKES, self._look_alikes()),
            (CRIES, self._lone_cries()),
            (CRYING_NIGHT, self._crying_night()),
        ]
        for name, made in stages:
            for scene in tqdm(made, desc=name, unit="scene"):
                samples = render(scene, self._read.__getitem__)
                peak = float(np.abs(samples).max())
                if scene.sounds and peak > LOUDEST:
                    scene = replace(scene, gain=float(np.float32(LOUDEST / peak)))
                    samples = render(scene, self._read.__getitem__)
                scenes.append(replace(scene, sha256=digest(samples)))
        return Benchmark(VERSION, SEED, tuple(self._ids), tuple(scenes), self._responses)

    def _number(self, clip: Clip) -> int:
        if clip.name not in self._known:
            samples = clip.read()
            number = self._known[clip.name] = len(self._ids)
            self._ids.append(ClipId(clip.name, clip.group, CRY in clip.labels, len(samples), digest(samples)))
            self._read[number] = samples
        return self._known[clip.name]

    def _timeline(self, split: str, kind: str) -> list[tuple[int, int]]:
        """Returns the clips of a kind in a split's nights, and the first sample of each when joined."""
        found: list[tuple[int, int]] = []
        position = 0
        used: dict[str, int] = defaultdict(int)
        for clip in self._placed[split, NIGHTS, kind]:
            number = self._number(clip)
            length = self._ids[number].samples
            if used[clip.group] + length <= MOST_OF_A_GROUP:
                used[clip.group] += length
                found.append((number, position))
                position += length
        return found

    def _nights(self, split: str, part: str) -> Iterator[Scene]:
        for kind in KINDS:
            pieces: list[list[tuple[int, int, int]]] = []
            filled = NIGHT_PIECE
            for number, _ in self._timeline(split, kind):
                length = self._ids[number].samples
                if filled + length > NIGHT_PIECE:
                    pieces.append([])
                    filled = 0
                pieces[-1].append((number, 0, length))
                filled += length
            for count, piece in enumerate(pieces, start=1):
                yield _scene(f"{part}/{kind} {count}", part, kind, piece, [])

    def _background(self, kind: str, samples: int) -> list[tuple[int, int, int]]:
        line = self._timeline("test", kind)
        total = line[-1][1] + self._ids[line[-1][0]].samples
        first = int(self._generator.integers(max(1, total - samples)))
        return _cut(line, self._ids, first, first + samples)

    def _cry(self) -> tuple[int, int, int]:
        groups = sorted(self._cries)
        own = self._cries[groups[int(self._generator.integers(len(groups)))]]
        return own[int(self._generator.integers(len(own)))]

    def _laid(self, scene: Scene, cry: tuple[int, int, int], at: int, ratio_db: int) -> Scene | None:
        """Adds a cry to a scene, at a ratio to the covered background; None if that is nearly silent."""
        number, start, stop = cry
        covered = rms(render(scene, self._read.__getitem__)[at : at + stop - start])
        if covered < QUIETEST_BACKGROUND:
            return None
        gain = covered * 10 ** (ratio_db / 20) / max(rms(self._read[number][start:stop]), 1e-9)
        sound = Sound(number, start, stop, at, float(np.float32(gain)))
        return replace(scene, sounds=tuple(sorted((*scene.sounds, sound), key=lambda each: each.at)))

    def _mixtures(self) -> Iterator[Scene]:
        kinds = [kind for kind in KINDS if self._placed["test", NIGHTS, kind]]
        shares = np.array([KINDS[kind] for kind in kinds])
        for count in range(MIXTURE_COUNT):
            ratio = RATIOS_DB[count // 2 % len(RATIOS_DB)]
            label = f"{ratio:+d} dB" if count % 2 == 0 else "no cry"
            while True:
                kind = str(self._generator.choice(kinds, p=shares / shares.sum()))
                background = self._background(kind, MIXTURE_SAMPLES)
                scene = _scene(f"{MIXTURES}/{count:03d}", MIXTURES, label, background, [], MIXTURE_SAMPLES)
                if count % 2:
                    break
                cry = self._cry()
                at = int(self._generator.integers(MIXTURE_SAMPLES - (cry[2] - cry[1])))
                laid = self._laid(scene, cry, at, ratio)
                if laid is not None:
                    scene = laid
                    break
            yield scene

    def _look_alikes(self) -> Iterator[Scene]:
        for split, part, category in sorted(self._placed):
            if (split, part) != ("test", LOOK_ALIKES):
                continue
            for count, clip in enumerate(self._placed[split, part, category]):
                number = self._number(clip)
                length = self._ids[number].samples
                sound = Sound(number, 0, length, AROUND, 1.0)
                yield _scene(
                    f"{part}/{category} {count:03d}", part, category, [], [sound], length + 2 * AROUND
                )

    def _lone_cries(self) -> Iterator[Scene]:
        every = [cry for group in sorted(self._cries) for cry in self._cries[group]]
        for count, (number, start, stop) in enumerate(every):
            sound = Sound(number, start, stop, AROUND, 1.0)
            yield _scene(f"{CRIES}/{count:03d}", CRIES, "", [], [sound], stop - start + 2 * AROUND)

    def _crying_night(self) -> Iterator[Scene]:
        order: list[int] = []
        numbers = [number for kind in KINDS for number, _ in self._timeline("test", kind)]
        wanted = CRYING_PIECES * NIGHT_PIECE
        length = 0
        # The clips are repeated in another order until the night is long enough.
        while length < wanted:
            order += self._generator.permutation(numbers).tolist()
            length = sum(self._ids[number].samples for number in order)
        line: list[tuple[int, int]] = []
        position = 0
        for number in order:
            line.append((number, position))
            position += self._ids[number].samples
        places = self._spread(wanted)
        for piece in range(CRYING_PIECES):
            first = piece * NIGHT_PIECE
            background = _cut(line, self._ids, first, first + NIGHT_PIECE)
            scene = _scene(f"{CRYING_NIGHT}/{piece:02d}", CRYING_NIGHT, "", background, [], NIGHT_PIECE)
            for place in places:
                if first <= place < first + NIGHT_PIECE:
                    scene = self._somewhere_near(scene, place - first)
            yield scene

    def _somewhere_near(self, scene: Scene, at: int) -> Scene:
        ratio = RATIOS_DB[int(self._generator.integers(len(RATIOS_DB)))]
        while True:
            cry = self._cry()
            laid = self._laid(scene, cry, min(at, scene.samples - (cry[2] - cry[1])), ratio)
            if laid is not None:
                return laid
            # The background there is nearly silent, so a ratio is undefined; try 5 s later.
            at = (at + 5 * YAMNET.sample_rate) % (scene.samples - LONGEST_CRY)

    def _spread(self, samples: int) -> list[int]:
        while True:
            places = np.sort(self._generator.integers(samples - LONGEST_CRY, size=CRYING_COUNT)).tolist()
            if min(np.diff(places)) > APART:
                return places


def _scene(
    name: str,
    part: str,
    label: str,
    background: Sequence[tuple[int, int, int]],
    sounds: Sequence[Sound],
    samples: int | None = None,
) -> Scene:
    length = sum(stop - start for _, start, stop in background) if samples is None else samples
    return Scene(name, part, label, length, tuple(background), tuple(sounds), 1.0, "")


def _cut(
    line: Sequence[tuple[int, int]], ids: Sequence[ClipId], first: int, last: int
) -> list[tuple[int, int, int]]:
    """Returns the parts of joined clips between two samples."""
    found = []
    for number, position in line:
        start, stop = max(0, first - position), min(ids[number].samples, last - position)
        if start < stop:
            found.append((number, start, stop))
    return found


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
