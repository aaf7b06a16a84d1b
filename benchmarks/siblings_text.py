"""What the reports on the sibling recipes say besides figures: what sources claim, and what differs."""

from dataclasses import dataclass

from siblings_runs import LABELS_ALONE, TAUGHT

from yamnet_cry.distill.recipes import AED, KWS
from yamnet_cry.task import Task


@dataclass(frozen=True)
class Text:
    """The words of a report.

    Attributes:
        introduction: Before its main table.
        reading: After it.
        differences: What is not as in the source.
    """

    introduction: str
    reading: str
    differences: str


@dataclass(frozen=True)
class Source:
    """A row of the table of all systems.

    Attributes:
        recipe: Of the package.
        what: It does.
        figure: That the source publishes.
        run: Whose figure stands beside it: a run, or a variant of which all folds are measured together.
        split: On what.
        student: Whose cost is told.
        task: Of folds.
        metric: Of folds.
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
    "clips of this project, all sources; its source: 18 crying clips of its own",
    "cry",
)

SOURCES = (
    Source(
        "ser",
        "emotions in speech, Wav2Small",
        "94.8 %",
        f"random/Wav2Small/{TAUGHT[0]}",
        "TESS at random, as its source; see the report for speakers unheard",
        "Wav2Small",
    ),
    Source(
        "ser-tiny",
        "emotions in speech, Wav2Tiny",
        "86.3 %",
        f"random/Wav2Tiny/{TAUGHT[0]}",
        "the same",
        "Wav2Tiny",
    ),
    Source(
        "kws",
        "twelve key words, DS-CNN",
        "96.7 %",
        "DS-CNN/taught",
        "the official test clips, resplit into five folds by speaker",
        "DS-CNN",
        KWS.task,
    ),
    Source(
        "aed",
        "dogs, crying and gunshots, LSTM",
        "none that is absolute",
        "LSTM/taught, 32 bits",
        "five folds by source; macro average precision",
        "LSTM",
        AED.task,
        "macro_average_precision",
    ),
    Source(
        "dogs",
        "what dogs do, MelCNN",
        "over 90 % of its teacher's accuracy",
        "as recorded/MelCNN/taught",
        "clips of one repository, labelled by the teacher; agreement with it",
        "MelCNN",
    ),
)

SER_TEXT = Text(
    introduction=f"""# Emotions in speech: recipes `ser` and `ser-tiny`

TESS has two speakers. Dealt at random, both are in training and test, each saying the same words in the
same carrier phrase, and students are right nearly always. On a speaker whom they never heard they are
not, nor is their teacher: that gap, not the students' size, is what stands between these figures and
use.

The source (github.com/ujpjm30/Knowledge-Distillation-for-TinyML-Embedded-AI) deals at random, and has
98.39 % for its teacher wav2vec2-base, 94.82 % for Wav2Small with 90K parameters and 86.25 % for
Wav2Tiny with 15K. It calls temperature 2 and a half share of labels (T=2 alpha=0.5) the best for
Wav2Small, and says that Wav2Tiny gains more from labels alone ({LABELS_ALONE}). Here the teacher is the
encoder of Whisper-base, whose weights stay as they are, with logistic regression on the mean of what it
gives.

Accuracy with 95 % intervals; of the random split over clips, of speakers unheard over words. A dash
stands for what has not been run.
""",
    reading="""How to read it: each of the two speakers is tested by students who learnt from the other
one alone. One run each. At random, no way of teaching differs from another by more than its interval, but
for Wav2Tiny at temperature 3 without labels, which has learnt too little. On speakers unheard, one draw
of weights says little: the same two commands with TensorFlow on a CPU, same seed, gave Wav2Small 42.7 and
22.0 %, and Wav2Tiny 20.1 and 34.9 %. So neither the temperature nor the share of labels matters here, and
students stay near half of what their teacher knows of a new voice.""",
    differences="""## What differs from the source

- The teacher: wav2vec2-base cannot be had where this was run. `--teacher` takes a fine-tuned checkpoint
  of it.
- Wav2Tiny has the source's layers and its 10,797 trainable parameters; the other 5,082 that the source
  counts are the spectrogram, which is no layer here. The source publishes no layers for 90K parameters:
  Wav2Small has those of arXiv:2408.13920 with 15 channels, 90,307 parameters.
- Wav2Small weighs time steps by a gate, not by a softmax over time. In INT8 a softmax is in steps of
  1/256, and an even share of 500 steps is less than that.
- Clips are not brought to the same level first; the log is of power plus 1e-6, not in decibels.
- A tenth of the clips chooses the epoch, which the source leaves to the last; the learning rate falls
  along a cosine, not a line.
- The source lists no training seed, and neither its split nor its checkpoints are published.

TESS is CC BY-NC-ND 4.0: neither its clips nor these models are passed on. The commands are in
`ser.json`. These students, but the iterative ones, were trained with Keras on JAX on a GPU
(`KERAS_BACKEND=jax`), and quantised and measured on a CPU; on two cores a run takes five to nine minutes
of a core.""",
)

KWS_TEXT = Text(
    introduction="""# Key words: recipe `kws`

The source (github.com/priyadeepjaiswal9c/tiny-kws) has a DS-CNN of 119,372 parameters that tells ten
words, `unknown` and `silence` apart: 96.65 % and macro F1 96.64 % on the 4,890 official test clips of
Speech Commands, trained on its own training clips.

These are **not its figures' equals: resplit, not the official split.** Where this was run, only the
official test clips could be had, and further clips of some words. So the test clips are dealt to five
folds by speaker; each is tested by students of the others. Who has Speech Commands passes its folder as
`--audio` and gets the official lists.
""",
    reading="""Intervals are over speakers. `yes`, `no`, `on`, `off` and `stop` have no other training clips
than those of three folds, and `unknown` has seven words beside these, where twenty-five are tested:
nearly half of all errors are about it. The teacher, whose labels come from the same clips, makes no
difference to the student.""",
    differences="""## What differs from the source

- A tenth of its training clips, six epochs of them and of 6,000 augmented ones instead of thirty
  epochs, and augmentation that is drawn once. It is the clips that are missing, not the epochs: thirty
  of them, or 20,000 augmented clips, bring two points more on validation clips
  ([experiment 024](../experiments/024-key-words.md)).
- Frames begin at the clip's start instead of half a frame before, for audio comes in blocks; 400
  samples of silence follow.
- Clips of `silence` are seconds of six recordings, which are in all folds.

The commands are in `kws.json`. These students were trained with Keras on JAX on a GPU (`KERAS_BACKEND=jax`),
and quantised and measured on a CPU; on two cores a run takes about thirteen minutes of a core.""",
)

AED_TEXT = Text(
    introduction="""# Acoustic events: recipe `aed`

The source ("Compression of Acoustic Event Detection Models With Quantized Distillation") distils a
large network into a shallow LSTM for dogs, crying and gunshots, with the student's weights held to few
bits while it learns. It reports that distillation lowers the error by 15 %, and that quantisation
leaves 2 % of the teacher's and 12 % of the student's size; its errors, data and bit widths are not in
what we have, so none is quoted.

Here the teacher is EfficientAT mn04 (0.98 M parameters), whose word on a clip counts as much as
people's. The student is an LSTM of 64 units over five seconds, 33,219 parameters. Clips are dealt to
five folds by source.
""",
    reading="""Error is one minus the mean of the three average precisions, intervals are over sources.
In full precision, and with 8 bits, the figures are those of the INT8 model that runs.
Weights of 4 and 2 bits are computed with as INT8 as well; packed, they take what the
table says.""",
    differences="""## What differs from the source

- AudioSet cannot be had where this was run: crying is that of this project's corpus, dogs and gunshots
  are few and openly licensed, most gunshots from games.
- The teacher's sigmoids are mixed with labels, clip by clip; the source's loss is not in what we have.
- Gunshots come from two dozen sources: their intervals are wide.

The commands are in `aed.json`.""",
)

DOGS_TEXT = Text(
    introduction="""# Dogs: recipe `dogs`

The source ("How We Distilled SOTA Transformers for Real-Time Edge Audio Classification") lets CLAP label
clips without any training, cleans them with AudioSep first, and teaches a small CNN on mel
spectrograms with labels and soft targets: under 2 MB, under 50 ms on a Raspberry Pi 4, and over 90 % of
CLAP's accuracy.

Neither can be had where this was run. Here EfficientAT's mn04 labels the clips, by its own labels for
barking, whimpering and howling, and htdemucs cleans them: its voices are kept. Students are tested on
clips as they were recorded, labelled by the teacher; people's names for them are those of the folders
that the clips came in.
""",
    reading="""Intervals are over groups of twenty clips in a row, which may be of one recording. Taking
everything but voices out of the clips to learn from makes no difference that these clips could show.""",
    differences="""## What differs from the source

- The teacher and the cleaner. `--teacher` takes a checkpoint of CLAP with the sentences that the recipe
  holds; that code is tested on a tiny random one.
- The clips: 2,700 of one public repository (github.com/w-rosales/dog-bark-detection, no licence stated),
  in place of thousands from videos and libraries.
- mn04 hardly ever calls a whine one, so `whine` cannot be learnt from it.

The commands are in `dogs.json`.""",
)
