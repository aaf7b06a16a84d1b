"""The sections of a recipe: what can be set, to what, and what it decides.

Each field carries the rule for its value in its annotation, and its meaning in the docstring; checks and
`yamnet-cry recipes show` read them there.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from yamnet_cry.distill.settings import (
    FLAG,
    LABEL_OR_NOTHING,
    WEIGHT_BITS,
    each_of,
    each_within,
    integers,
    pairs,
    span,
    texts,
)
from yamnet_cry.fields import integer, number, one_of

#: A builder in `students.BUILDERS`.
Architecture = Literal["ds_cnn", "vgg", "lstm"]

#: How a network's last layer is made independent of time, see `StudentSettings`.
Pooling = Literal["average", "over_time", "gated"]

#: What a student's weights are in the beginning.
Start = Literal["random", "released"]

#: What the student's logits are compared with, see `losses.DistillationLoss`.
Target = Literal["raw_sigmoid", "softmax", "sigmoid"]

#: What a teacher's logits are used for, see `Teaching`.
Role = Literal["windows", "clips"]

#: How the learning rate falls, see `training.learning_rate`.
Schedule = Literal["drop", "cosine"]

Range = tuple[float, float]

Probability = Annotated[float, number(0, 1)]


@dataclass(frozen=True)
class StudentSettings:
    """The student's shape.

    Attributes:
        architecture: Kind of network: ``ds_cnn`` is a depthwise-separable CNN, ``vgg`` one of plain 3x3
            convolutions, ``lstm`` a layer of LSTM over the bands of each frame, averaged over time.
        fold: Neighbouring mel bands that become channels of the first convolution; must divide their number.
            A single channel leaves most lanes of a processor's vectors empty.
        stem_filters: Filters of the first convolution.
        stem_kernel: Its size along time and bands.
        stem_stride: Its strides along time and bands.
        blocks: Filters and stride of each block, one after the other: a depthwise-separable convolution, or
            a plain one, of which a stride is that of a max-pooling behind it.
        pooling: What comes after the last block: ``average``, over time and bands. ``over_time``: a 1x1
            convolution and an average over time, which keeps bands apart. ``gated``: bands and channels of a
            step together become as many values, each weighed by a gate before that average.
        dropout: Share, in [0, 1), of what is pooled that is left out in training.
        norm_momentum: Of the running averages of batch normalisation. With 0.99 they follow some hundred
            steps late: a run of few steps wants less, or its student hears nothing where it does not train.
        units: Width of an LSTM.
        head_rank: Width of a linear layer before the logits, which factorises the last layer; 0 for none.
        start: Weights to begin with: ``random``, or those of the ``released`` model or of the one that
            ``--start`` names, which have learnt from YAMNet what sounds are like, in every layer of the same
            name and shape.
    """

    architecture: Annotated[Architecture, one_of(get_args(Architecture))] = "ds_cnn"
    fold: Annotated[int, integer(1, 64)] = 1
    stem_filters: Annotated[int, integer(1, 1024)] = 8
    stem_kernel: Annotated[tuple[int, int], integers(1, 16, 2, 2)] = (3, 3)
    stem_stride: Annotated[tuple[int, int], integers(1, 4, 2, 2)] = (2, 2)
    blocks: Annotated[tuple[tuple[int, int], ...], pairs(32, ("filters", 1, 1024), ("stride", 1, 4))] = (
        (16, 1),
        (32, 2),
        (64, 2),
        (128, 2),
    )
    pooling: Annotated[Pooling, one_of(get_args(Pooling))] = "average"
    dropout: Annotated[float, number(0, 0.9)] = 0.0
    norm_momentum: Annotated[float, number(0, 0.9999)] = 0.99
    units: Annotated[int, integer(1, 512)] = 64
    head_rank: Annotated[int, integer(0, 1024)] = 0
    start: Annotated[Start, one_of(get_args(Start))] = "random"


@dataclass(frozen=True)
class Teaching:
    """How the teachers of a run are heard, in the order in which they are named.

    Attributes:
        roles: ``windows``: the student learns to match the teacher's logits of every window, through a second
            head where it tells other labels apart. ``clips``: what the teacher hears in a clip counts as a
            label of the clip; those that come last may be left out, and labels count alone then.
        weights: Of windows, the weight of the teacher among all such teachers. Of clips, the share of its
            word beside the labels that people gave, in [0, 1]; clips without labels have its word alone.
        prompts: For a teacher such as CLAP that compares sounds with sentences: one for each label of the
            task, in their order. For a teacher of other labels: those of its own that each label stands for,
            with ``;`` between them, and an empty text for a label that is none of the others.
    """

    roles: Annotated[tuple[Role, ...], each_of(get_args(Role), 8)] = ("windows",)
    weights: Annotated[tuple[float, ...], each_within(1e-3, 1e3, 8)] = (1.0,)
    prompts: Annotated[tuple[str, ...], texts(1000, 1000)] = ()


@dataclass(frozen=True)
class Augmentation:
    """Augmented recordings that are made of the training clips, and judged by the teachers as well.

    Attributes:
        views: Number of augmented recordings; 0 for none.
        seconds: Longest part of a clip that a view shows.
        shift_seconds: Farthest that a clip is moved to earlier or later; silence comes where it was.
        positive_share: Share of views with a clip in the foreground that is labelled with what is to be
            heard: with the target of a task that has one, with any label of other tasks.
        pitch: Probability of a shift in pitch.
        semitones: By how much the pitch is shifted.
        speed: Probability of another tempo.
        rates: The tempo, as a multiple of the clip's.
        mix: Probability of another clip under it.
        background: Of a task without a target, the label of those other clips; clips without labels by
            default.
        snr_db: Level of the clip over that other one, in decibels.
        surround: Probability that the other clip goes on before and after, so that the clip comes somewhere
            within a view of up to ``seconds``.
        room: Probability of an echo.
        measured_rooms: Share of echoes that are those of real rooms, if the corpus has impulse responses:
            training clips of target ``ir`` in its manifest.
        room_seconds: Time in which the echo decays by 60 dB.
        direct_db: Level of the direct sound over the echo, in decibels.
        noise: Probability of coloured noise.
        noise_snr_db: Level of the clip over the noise, in decibels.
        clip: Probability of clipped peaks.
        curve: Probability of a microphone's frequency response.
        curve_db: Standard deviation of that response, in decibels.
        low_pass: Probability of a low-pass: without it, a corpus in which only one class comes from
            telephones teaches bandwidth instead of crying.
        low_pass_hertz: Frequency above which nothing passes.
        level_dbfs: Level of every view, in decibels below full scale.
    """

    views: Annotated[int, integer(0, 10_000_000)] = 0
    seconds: Annotated[float, number(0.5, 600)] = 5.0
    shift_seconds: Annotated[float, number(0, 10)] = 0.0
    positive_share: Probability = 0.5
    pitch: Probability = 0.3
    semitones: Annotated[Range, span(-24, 24)] = (-3.0, 3.0)
    speed: Probability = 0.2
    rates: Annotated[Range, span(0.25, 4)] = (0.8, 1.25)
    mix: Probability = 0.6
    background: Annotated[str, LABEL_OR_NOTHING] = ""
    snr_db: Annotated[Range, span(-60, 60)] = (-5.0, 20.0)
    surround: Probability = 0.0
    room: Probability = 0.4
    measured_rooms: Probability = 0.0
    room_seconds: Annotated[Range, span(0.01, 10)] = (0.1, 0.8)
    direct_db: Annotated[Range, span(-60, 60)] = (-3.0, 12.0)
    noise: Probability = 0.4
    noise_snr_db: Annotated[Range, span(-60, 60)] = (0.0, 30.0)
    clip: Probability = 0.1
    curve: Probability = 0.5
    curve_db: Annotated[float, number(0, 60)] = 6.0
    low_pass: Probability = 0.4
    low_pass_hertz: Annotated[Range, span(100, 8000)] = (3000.0, 8000.0)
    level_dbfs: Annotated[Range, span(-120, 0)] = (-50.0, -10.0)


@dataclass(frozen=True)
class Selection:
    """Which windows are trained on, by the sum of the teacher's sigmoids of the labels in the task's group.

    Attributes:
        positive_above: Windows of which that sum is above this are positive.
        negative_below: Windows below this are negative; those between the two are dropped.
    """

    positive_above: Annotated[float, number(0, 2)] = 0.30
    negative_below: Annotated[float, number(0, 2)] = 0.05


@dataclass(frozen=True)
class Sampling:
    """What an epoch consists of.

    Attributes:
        negatives_per_positive: Each epoch takes every positive window, and this many negative ones
            for each, drawn anew.
    """

    negatives_per_positive: Annotated[int, integer(1, 10_000)] = 3


@dataclass(frozen=True)
class Loss:
    """What the student learns to match.

    Attributes:
        target: How the teacher's logits become targets.
        temperature: Divides the logits of both; gradients keep their size (Hinton et al. 2015).
        label_weight: Weight, in [0, 1], of the labels of clips against the teacher's logits; 0 for pure
            distillation, and as good as 1 where there is no teacher. Of a task with a group, the question is
            whether the group is heard: a window of a clip without it is a negative one, a window of a clip
            with it is a positive one if the teacher's score there is not below ``selection.negative_below``,
            and of an unlabelled clip the teacher's score is the answer.
        label_smoothing: Share, in [0, 1), that is taken from the label and given to all labels alike, for
            exclusive labels without a group (Szegedy et al. 2016).
    """

    target: Annotated[Target, one_of(get_args(Target))] = "raw_sigmoid"
    temperature: Annotated[float, number(0.01, 100)] = 1.0
    label_weight: Annotated[float, number(0, 1)] = 0.0
    label_smoothing: Annotated[float, number(0, 0.9)] = 0.0


@dataclass(frozen=True)
class Train:
    """How the student is fitted, by AdamW.

    Attributes:
        epochs: Number of epochs.
        batch_size: Windows in a step.
        learning_rate: Learning rate at the start.
        weight_decay: Decoupled weight decay.
        schedule: ``drop`` keeps the rate until ``drop_epoch``, ``cosine`` lowers it all along.
        drop_epoch: First epoch, counted from 0, at the lower learning rate; a run of fewer epochs keeps the
            rate to the end.
        dropped_learning_rate: Learning rate from then on, or at the end of the cosine.
    """

    epochs: Annotated[int, integer(1, 100_000)] = 60
    batch_size: Annotated[int, integer(1, 65_536)] = 32
    learning_rate: Annotated[float, number(1e-9, 1)] = 1e-3
    weight_decay: Annotated[float, number(0, 1)] = 1e-4
    schedule: Annotated[Schedule, one_of(get_args(Schedule))] = "drop"
    drop_epoch: Annotated[int, integer(0, 100_000)] = 30
    dropped_learning_rate: Annotated[float, number(0, 1)] = 1e-4


@dataclass(frozen=True)
class ContextSettings:
    """The context network over the student, and how both go on learning together, from sequences of windows.

    Batch normalisation is frozen by then. A clip's log-odds are the mean of its windows', weighed by their
    softmax, and compared with what labels and teachers of clips say of the clip.

    Attributes:
        filters: Filters of each convolution.
        dilations: One convolution each, in windows of 0.48 s; with 1, 2 and 6 it looks at 19 windows, 9.6 s.
        windows: In a training sequence.
        before: Probability that what a clip leaves free of a sequence holds the end of another clip without
            the target, so that what was heard before does not matter.
        window_weight: Weight, in [0, 1], of what is known of single windows against what is known of clips;
            it teaches when a cry begins and ends.
        student_weight: Weight of the student's own loss, see ``loss``, beside that.
        negatives_per_positive: Each epoch takes every clip of which the target is more probable than 0.3, and
            this many others for each, drawn anew.
        epochs: Number of epochs.
        batch_size: Clips in a step.
        learning_rate: Learning rate at the start; it falls along a cosine.
        dropped_learning_rate: Learning rate at the end.
        prior: Share of recordings with the target where the detector will listen, in (0, 1): what its
            probabilities are calibrated for.
    """

    filters: Annotated[int, integer(1, 128)] = 24
    dilations: Annotated[tuple[int, ...], integers(1, 64, 1, 7)] = (1, 2, 6)
    windows: Annotated[int, integer(1, 1000)] = 20
    before: Probability = 0.5
    window_weight: Probability = 0.4
    student_weight: Annotated[float, number(0, 1000)] = 0.2
    negatives_per_positive: Annotated[int, integer(1, 10_000)] = 2
    epochs: Annotated[int, integer(1, 100_000)] = 6
    batch_size: Annotated[int, integer(1, 65_536)] = 16
    learning_rate: Annotated[float, number(1e-9, 1)] = 1e-3
    dropped_learning_rate: Annotated[float, number(0, 1)] = 2e-5
    prior: Annotated[float, number(1e-6, 1 - 1e-6)] = 0.1


@dataclass(frozen=True)
class Export:
    """How the student is quantised.

    Attributes:
        calibration_patches: Patches of validation audio that set the ranges of activations.
        dense_per_channel: Whether dense layers have a scale for each output, as convolutions do. It costs
            24 bytes an output, and older microcontroller runtimes cannot run it.
        weight_bits: Bits of a weight, from 2 to 8, that the student learns with: it computes with such
            weights, and changes others in full precision. With 0, weights are rounded to 8 bits afterwards.
    """

    calibration_patches: Annotated[int, integer(1, 1_000_000)] = 200
    dense_per_channel: Annotated[bool, FLAG] = True
    weight_bits: Annotated[int, WEIGHT_BITS] = 0
