"""The sections of a recipe: its settings, with their allowed values and meanings.

Each field has a validation rule in its annotation and its meaning in the docstring; the checks and
`yamnet-cry recipes show` use both.
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

#: How a network pools over time, see `StudentSettings`.
Pooling = Literal["average", "over_time", "gated"]

#: Initial weights of a student.
Start = Literal["random", "released"]

#: Targets of the student's logits, see `losses.DistillationLoss`.
Target = Literal["raw_sigmoid", "softmax", "sigmoid"]

#: How a teacher's logits are used, see `Teaching`.
Role = Literal["windows", "clips"]

#: How the learning rate decays, see `training.learning_rate`.
Schedule = Literal["drop", "cosine"]

Range = tuple[float, float]

Probability = Annotated[float, number(0, 1)]


@dataclass(frozen=True)
class StudentSettings:
    """The student's architecture.

    Attributes:
        architecture: Type of network: ``ds_cnn`` is a depthwise-separable CNN, ``vgg`` a CNN of plain 3x3
            convolutions, ``lstm`` an LSTM layer over the bands of each frame, averaged over time.
        fold: Number of neighbouring mel bands to fold into channels of the first convolution; must divide the
            number of bands. More channels make better use of SIMD instructions.
        stem_filters: Filters of the first convolution.
        stem_kernel: Kernel size of the first convolution, in time and bands.
        stem_stride: Strides of the first convolution, in time and bands.
        blocks: Filters and stride of each block, in order. A block is a depthwise-separable convolution
            (``ds_cnn``), or a plain convolution followed by max-pooling with that stride (``vgg``).
        pooling: Pooling after the last block. ``average``: over time and bands. ``over_time``: a 1x1
            convolution and an average over time, which keeps the bands separate. ``gated``: a dense layer
            over the bands and channels of each step, weighted by a gate and averaged over time.
        dropout: Dropout rate after pooling, in [0, 1).
        norm_momentum: Momentum of batch normalisation. The running averages lag by about 100 steps at 0.99;
            use a lower value for short runs, otherwise inference is wrong.
        units: Units of the LSTM.
        head_rank: Width of a linear layer before the logits, which factorises the last layer; 0 for none.
        start: Initial weights: ``random``, or those of the ``released`` model (or the one given with
            ``--start``), for every layer of the same name and shape.
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
    """How the teachers of a run are used, in the order of ``--teacher``.

    Attributes:
        roles: ``windows``: the student matches the teacher's logits of every window, through a second head if
            the teacher has other labels. ``clips``: the teacher's score of a clip is used as a soft label of
            the clip; trailing teachers of this role are optional.
        weights: For ``windows``, the teacher's weight among all such teachers. For ``clips``, the teacher's
            share of a clip's label, in [0, 1]; clips without labels use the teacher's score alone.
        prompts: For a teacher such as CLAP that compares sounds with text: one sentence per label of the
            task, in their order. For a teacher with other labels: those that each label of the task
            corresponds to, separated by ``;``, and an empty text for a label of anything else.
    """

    roles: Annotated[tuple[Role, ...], each_of(get_args(Role), 8)] = ("windows",)
    weights: Annotated[tuple[float, ...], each_within(1e-3, 1e3, 8)] = (1.0,)
    prompts: Annotated[tuple[str, ...], texts(1000, 1000)] = ()


@dataclass(frozen=True)
class Augmentation:
    """Augmented recordings (views) of the training clips, which the teachers score as well.

    Attributes:
        views: Number of augmented recordings; 0 for none.
        seconds: Maximum duration of a view, in seconds.
        shift_seconds: Maximum shift of a clip in time, in seconds; the gap is filled with silence.
        positive_share: Share of views whose foreground clip is positive: labelled with the task's target, or
            with any label for tasks without a target.
        pitch: Probability of a pitch shift.
        semitones: Range of the pitch shift, in semitones.
        speed: Probability of a tempo change.
        rates: Range of the tempo, as a factor.
        mix: Probability of mixing in another clip as background.
        background: For tasks without a target, the label of the background clips. Default: clips without
            labels.
        snr_db: Range of the level of the clip relative to the background, in dB.
        surround: Probability that the background also plays before and after the clip, in a view of up to
            ``seconds``.
        room: Probability of reverberation.
        measured_rooms: Share of reverberation with measured impulse responses, if the corpus has any:
            training clips of target ``ir`` in its manifest.
        room_seconds: Range of the reverberation time (RT60), in seconds.
        direct_db: Range of the direct-to-reverberant ratio, in dB.
        noise: Probability of coloured noise.
        noise_snr_db: Range of the level of the clip relative to the noise, in dB.
        clip: Probability of clipping.
        curve: Probability of a random frequency response of a microphone.
        curve_db: Standard deviation of the frequency response, in dB.
        low_pass: Probability of a low-pass filter. Without it, the student may learn the bandwidth of the
            recordings if only one class was recorded with telephones.
        low_pass_hertz: Range of the cut-off frequency, in Hz.
        level_dbfs: Range of the level of a view, in dBFS.
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
    """Which windows to train on, by the sum of the teacher's sigmoids over the labels of the task's group.

    Attributes:
        positive_above: Windows with a larger sum are positive.
        negative_below: Windows with a smaller sum are negative; those in between are dropped.
    """

    positive_above: Annotated[float, number(0, 2)] = 0.30
    negative_below: Annotated[float, number(0, 2)] = 0.05


@dataclass(frozen=True)
class Sampling:
    """The samples of an epoch.

    Attributes:
        negatives_per_positive: Each epoch uses all positive windows, and this many newly sampled negative
            windows per positive.
    """

    negatives_per_positive: Annotated[int, integer(1, 10_000)] = 3


@dataclass(frozen=True)
class Loss:
    """The loss of the student.

    Attributes:
        target: How the teacher's logits become targets.
        temperature: Divides the logits of teacher and student; the loss is rescaled to keep the size of
            gradients (Hinton et al. 2015).
        label_weight: Weight, in [0, 1], of the labels of clips relative to the teacher's logits; 0 for pure
            distillation, effectively 1 without a teacher. For a task with a group, labels are binary: windows
            of clips without the group are negative; windows of clips with it are positive, unless the
            teacher's score is below ``selection.negative_below``; windows of unlabelled clips use the
            teacher's score.
        label_smoothing: Label smoothing, in [0, 1), for exclusive labels without a group (Szegedy et al.
            2016).
    """

    target: Annotated[Target, one_of(get_args(Target))] = "raw_sigmoid"
    temperature: Annotated[float, number(0.01, 100)] = 1.0
    label_weight: Annotated[float, number(0, 1)] = 0.0
    label_smoothing: Annotated[float, number(0, 0.9)] = 0.0


@dataclass(frozen=True)
class Train:
    """How the student is trained, with AdamW.

    Attributes:
        epochs: Number of epochs.
        batch_size: Windows per step.
        learning_rate: Initial learning rate.
        weight_decay: Decoupled weight decay.
        schedule: ``drop`` lowers the learning rate once, at ``drop_epoch``; ``cosine`` is a cosine decay.
        drop_epoch: First epoch, counted from 0, with the lower learning rate; without effect in shorter runs.
        dropped_learning_rate: Learning rate from ``drop_epoch`` on, or at the end of the cosine decay.
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
    """The context network, and its joint training with the student on sequences of windows.

    Batch normalisation is frozen. A clip's log-odds are the softmax-weighted mean over its windows; the loss
    compares them with the clip's label and the scores of teachers of clips.

    Attributes:
        filters: Filters of each convolution.
        dilations: Dilation of each convolution, in windows of 0.48 s; 1, 2 and 6 cover 19 windows, 9.6 s.
        windows: Windows per training sequence.
        before: Probability that the free part of a sequence is filled with the end of another clip without
            the target, so that the network does not depend on earlier audio.
        window_weight: Weight, in [0, 1], of the loss of single windows relative to the loss of clips; it
            trains the start and end of events.
        student_weight: Weight of the student's own loss, see ``loss``.
        negatives_per_positive: Each epoch uses all clips whose target probability exceeds 0.3, and this many
            newly sampled others per clip.
        epochs: Number of epochs.
        batch_size: Clips per step.
        learning_rate: Initial learning rate of a cosine decay.
        dropped_learning_rate: Final learning rate.
        prior: Expected share of recordings with the target in use, in (0, 1), to calibrate probabilities for.
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
        calibration_patches: Number of validation patches used to calibrate the ranges of activations.
        dense_per_channel: Whether to quantise dense layers per channel. This takes 24 bytes per output, and
            older microcontroller runtimes do not support it.
        weight_bits: Bits per weight, 2 to 8, for quantisation-aware training. With 0, weights are quantised
            to 8 bits after training.
    """

    calibration_patches: Annotated[int, integer(1, 1_000_000)] = 200
    dense_per_channel: Annotated[bool, FLAG] = True
    weight_bits: Annotated[int, WEIGHT_BITS] = 0
