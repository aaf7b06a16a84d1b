"""Texts of the reports on the sibling recipes: published figures, and differences from the sources."""

from dataclasses import dataclass

from siblings_runs import LABELS_ALONE, TAUGHT

from yamnet_cry.distill.recipes import AED, KWS
from yamnet_cry.task import Task


@dataclass(frozen=True)
class Text:
    """The text of a report.

    Attributes:
        introduction: Text before the main table.
        reading: Text after it.
        differences: Differences from the source.
    """

    introduction: str
    reading: str
    differences: str


@dataclass(frozen=True)
class Source:
    """A row of the table of all systems.

    Attributes:
        recipe: Recipe of the package.
        what: What it does.
        figure: Published figure of the source.
        run: The run to compare with it, or a variant whose folds are evaluated together.
        split: Test data.
        student: The student whose cost is reported.
        task: Task of the folds.
        metric: Metric of the folds.
    """

    recipe: str
    what: str
    figure: str
    run: str
    split: str
    student: str
    task: Task | None = None
    metric: str = "accuracy"


CRY_SOURCE = Source(
    "cry",
    "crying, DS-CNN and context",
    "AUC 0.866",
    "",
    "this project's clips, all sources; the source used 18 crying clips of its own",
    "cry",
)

SOURCES = (
    Source(
        "ser",
        "speech emotion, Wav2Small",
        "94.8 %",
        f"random/Wav2Small/{TAUGHT[0]}",
        "TESS, random split as in the source; see the report for unseen speakers",
        "Wav2Small",
    ),
    Source(
        "ser-tiny",
        "speech emotion, Wav2Tiny",
        "86.3 %",
        f"random/Wav2Tiny/{TAUGHT[0]}",
        "the same",
        "Wav2Tiny",
    ),
    Source(
        "kws",
        "twelve keywords, DS-CNN",
        "96.7 %",
        "DS-CNN/taught",
        "the official test clips, split into five folds by speaker",
        "DS-CNN",
        KWS.task,
    ),
    Source(
        "aed",
        "dogs, crying and gunshots, LSTM",
        "no absolute figure",
        "LSTM/taught, 32 bits",
        "five folds by source; macro average precision",
        "LSTM",
        AED.task,
        "macro_average_precision",
    ),
    Source(
        "dogs",
        "dog sounds, MelCNN",
        "over 90 % of its teacher's accuracy",
        "as recorded/MelCNN/taught",
        "clips of one repository, labelled by the teacher; agreement with the teacher",
        "MelCNN",
    ),
)

SER_TEXT = Text(
    introduction=f"""# Speech emotion: recipes `ser` and `ser-tiny`

TESS has two speakers. With a random split, both are in training and test and say the same words in the
same carrier phrase, and students are nearly always correct. On an unseen speaker neither students nor
teacher are: this gap, not the size of the students, limits their practical use.

The source (github.com/ujpjm30/Knowledge-Distillation-for-TinyML-Embedded-AI) uses a random split and
reports 98.39 % for its teacher wav2vec2-base, 94.82 % for Wav2Small with 90K parameters and 86.25 % for
Wav2Tiny with 15K. It reports temperature 2 and a label weight of one half (T=2 alpha=0.5) as best for
Wav2Small, and better results with labels only ({LABELS_ALONE}) for Wav2Tiny. Here the teacher is the
frozen encoder of Whisper-base with logistic regression on its mean output.

Accuracy with 95 % intervals: over clips for the random split, over words for unseen speakers. A dash
marks configurations that were not run.
""",
    reading="""For unseen speakers, each of the two speakers is tested with students trained only on the
other. There is one run per configuration. With the random split, the configurations differ by less than
their intervals, except Wav2Tiny at temperature 3 without labels, which is undertrained. On unseen speakers,
the results vary strongly between runs: the same two commands with TensorFlow on a CPU and the same seed gave
42.7 and 22.0 % for Wav2Small, and 20.1 and 34.9 % for Wav2Tiny. Neither the temperature nor the label
weight has a visible effect, and students reach about half of the teacher's accuracy on a new voice.

Iterative distillation, which the source names as future work (Whisper teaches Wav2Small, and that teaches
Wav2Tiny), does not help: with the random split Wav2Tiny is less accurate than with Whisper as its teacher,
and for unseen speakers the difference is within that between runs.""",
    differences="""## Differences from the source

- Teacher: wav2vec2-base was not available in the environment of these runs. `--teacher` accepts a
  fine-tuned checkpoint of it.
- Wav2Tiny has the source's layers and its 10,797 trainable parameters; the other 5,082 that the source
  counts belong to the spectrogram, which is not a layer here. The source does not publish the layers for
  90K parameters: Wav2Small has those of arXiv:2408.13920 with 15 channels, 90,307 parameters.
- Wav2Small weights time steps with a gate instead of a softmax over time. An INT8 softmax has a step of
  1/256, which is more than an equal share of 500 steps.
- Clips are not normalised to the same level; the log is of power plus 1e-6, not in decibels.
- The epoch is selected on a tenth of the clips, while the source uses the last one; the learning rate
  has a cosine decay instead of a linear one.
- The source gives no training seed, and publishes neither its split nor its checkpoints.

TESS is CC BY-NC-ND 4.0: neither its clips nor these models are redistributed. The commands are in
`ser.json`. These students, except the iterative ones, were trained with Keras on JAX on a GPU
(`KERAS_BACKEND=jax`), and quantised and measured on a CPU; on two cores a run takes five to nine minutes
of one core.""",
)

KWS_TEXT = Text(
    introduction="""# Keyword spotting: recipe `kws`

The source (github.com/priyadeepjaiswal9c/tiny-kws) has a DS-CNN of 119,372 parameters for ten words,
`unknown` and `silence`. It reports an accuracy of 96.65 % and a macro F1 of 96.64 % on the 4,890 official
test clips of Speech Commands, trained on the official training clips.

These figures are **not comparable: they do not use the official split.** Only the official test clips and
some further clips of some words were available in the environment of these runs. The test clips are split
into five folds by speaker; each fold is tested with students trained on the others. With the full Speech
Commands dataset, pass its folder as `--audio` to use the official lists.
""",
    reading="""Intervals are over speakers. `yes`, `no`, `on`, `off` and `stop` have only the training clips
of three folds, and `unknown` has seven further words for training but twenty-five in the test: nearly half
of all errors involve it. The teacher, whose labels come from the same clips, does not improve the
student.""",
    differences="""## Differences from the source

- A tenth of its training clips; six epochs of these and of 6,000 augmented clips instead of thirty
  epochs; augmentation is computed once. The limit is the number of clips rather than of epochs: thirty
  epochs, or 20,000 augmented clips, gain two points on validation clips
  ([experiment 024](../experiments/024-key-words.md)).
- Frames start at the beginning of the clip instead of half a frame earlier, because audio is processed
  in blocks; 400 samples of silence are appended.
- `silence` clips are one-second excerpts of six recordings, which occur in all folds.

The commands are in `kws.json`. These students were trained with Keras on JAX on a GPU (`KERAS_BACKEND=jax`),
and quantised and measured on a CPU; on two cores a run takes about thirteen minutes of one core.""",
)

AED_TEXT = Text(
    introduction="""# Acoustic events: recipe `aed`

The source ("Compression of Acoustic Event Detection Models With Quantized Distillation") distils a
large network into a shallow LSTM for dogs, crying and gunshots, with low-bit quantisation-aware training
of the student. It reports that distillation reduces the error by 15 %, and that quantisation reduces the
model to 2 % of the teacher's and 12 % of the student's size; its absolute errors, data and bit widths were
not available to us, so none are quoted.

Here the teacher is EfficientAT mn04 (0.98 M parameters); its score of a clip has the same weight as the
label. The student is an LSTM of 64 units over five seconds, 33,219 parameters. Clips are split into five
folds by source.
""",
    reading="""Error is one minus the mean of the three average precisions; intervals are over sources.
For 32 and 8 bits, the figures are those of the deployed INT8 model. Weights of 4 and 2 bits are also
computed as INT8; the table gives their packed size.""",
    differences="""## Differences from the source

- AudioSet was not available in the environment of these runs: crying is from this project's corpus; dogs
  and gunshots are few openly licensed clips, most gunshots from games.
- The teacher's sigmoids are mixed with the labels of clips; the source's loss was not available to us.
- Gunshots come from two dozen sources, so their intervals are wide.

The commands are in `aed.json`.""",
)

DOGS_TEXT = Text(
    introduction="""# Dogs: recipe `dogs`

The source ("How We Distilled SOTA Transformers for Real-Time Edge Audio Classification") labels clips
with zero-shot CLAP after cleaning them with AudioSep, and trains a small CNN on mel spectrograms with
labels and soft targets: under 2 MB, under 50 ms on a Raspberry Pi 4, and over 90 % of CLAP's accuracy.

Neither model was available in the environment of these runs. Here EfficientAT's mn04 labels the clips
with its own labels for barking, whimpering and howling, and the vocals of htdemucs replace AudioSep.
Students are tested on the clips as recorded, labelled by the teacher; the human labels are the names of
the folders of the clips.
""",
    reading="""Intervals are over groups of twenty consecutive clips, which may be from one recording.
Separating the vocals of the training clips makes no measurable difference on these clips.""",
    differences="""## Differences from the source

- The teacher and the separator. `--teacher` accepts a CLAP checkpoint with the recipe's sentences; this
  code is tested with a tiny random one.
- The clips: 2,700 of one public repository (github.com/w-rosales/dog-bark-detection, no licence stated)
  instead of thousands from videos and libraries.
- mn04 almost never detects a whine, so `whine` cannot be learnt from it.

The commands are in `dogs.json`.""",
)
