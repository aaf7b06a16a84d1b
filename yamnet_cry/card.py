"""The model card: generated from what was measured, never typed."""

import html
from typing import Any

from yamnet_cry.model_folder import EVALUATION_PLOT, TRAINING_PLOT, ModelConfig

_MODELS = {
    "int8": "**INT8 student** (this model)",
    "fp32": "FP32 student",
    "teacher": "Teacher, softmax",
    "teacher_sigmoid": "Teacher, sigmoid",
}
_TAGS = ["audio", "baby-cry-detection", "knowledge-distillation", "yamnet", "tflite", "tinyml"]

#: Of one patch (README.md of tensorflow/models, research/audioset/yamnet).
YAMNET_MULTIPLY_ACCUMULATES = 69_200_000

# Links, pictures and columns of tables; other marks only change the look of a word.
_MARKDOWN = str.maketrans({"\\": r"\\", "|": r"\|", "[": r"\[", "]": r"\]", "!": r"\!"})

_COLUMNS = {
    "auc": "AUC",
    "average_precision": "AP",
    "best_f1": "best F1",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "fpr_at_94_recall": "FPR at 94 % recall",
    "calibration_error": "calibration error",
}


def results_table(metrics: dict[str, Any]) -> str:
    """Returns the results of all evaluated models as a Markdown table, with 95 % intervals.

    Args:
        metrics: The content of a model folder's ``metrics.json``.
    """
    rows = [
        [name, *(_cell(metrics["models"][key]["all"], column) for column in _COLUMNS)]
        for key, name in _MODELS.items()
        if key in metrics["models"]
    ]
    return markdown_table(["", *_COLUMNS.values()], rows)


def sources_table(metrics: dict[str, Any]) -> str:
    """Returns the results of the INT8 student by source as a Markdown table."""
    columns = {name: _COLUMNS.get(name, name) for name in ("auc", "average_precision", "recall")}
    columns["fpr"] = "FPR"
    rows = [
        [source, str(values["cry"]), str(values["not_cry"]), *(_cell(values, column) for column in columns)]
        for source, values in metrics["models"]["int8"]["by_source"].items()
    ]
    return markdown_table(["source", "cry", "not cry", *columns.values()], rows)


def evaluated_on(metrics: dict[str, Any]) -> str:
    """Returns one sentence on the clips that were evaluated.

    Args:
        metrics: The content of a model folder's ``metrics.json``.
    """
    values, evaluation = metrics["models"]["int8"]["all"], metrics["evaluation"]
    intervals = evaluation["intervals"]
    return (
        f"Split `{evaluation['split']}`: {values['cry']} clips with crying and {values['not_cry']} without, "
        f"from {values['groups']} groups (households, uploaders, speakers) that no other split shares. "
        f"In brackets: {intervals['level']:.0%} intervals from {intervals['bootstrap_replicates']:,} "
        "bootstrap replicates over groups. Every model is calibrated on validation clips in the same way; "
        "F1, precision and recall are taken at probability 0.5."
    )


def render(
    config: ModelConfig, recipe: dict[str, Any], metrics: dict[str, Any], *, pictures: str = ""
) -> str:
    """Writes the model card.

    Args:
        config: The model's configuration.
        recipe: The content of ``recipe.json``.
        metrics: The content of ``metrics.json``.
        pictures: Where the plots are, as seen from the card; beside it by default.

    Returns:
        Markdown with the YAML front matter that the Hugging Face Hub reads. Texts in the recipe and the
        metrics are shown as they are, never taken for Markdown or HTML.
    """
    recipe, metrics = escaped(recipe), escaped(metrics)
    operations = metrics["size"]["multiply_accumulates"] / 1e6
    slope, intercept = config.calibration.slope, config.calibration.intercept
    off = metrics["models"]["int8"]["all"]["calibration_error"]
    total, kilobytes = config.parameters["total"], metrics["size"]["int8_bytes"] / 1024
    settings, windows = recipe["recipe"], metrics["training"]["windows"]["train"]
    loss, augmented = settings["loss"], settings["augmentation"]["views"]
    views = f" and of {augmented:,} augmented views of them" if augmented else ""
    labels = (
        f"; {loss['label_weight']:.0%} of the loss is binary cross-entropy on cry / no cry, with the clips' "
        "labels and, where there are none, the teacher's scores"
        if loss["label_weight"]
        else ""
    )
    selection, positive, negative = settings["selection"], windows["positive"], windows["negative"]
    sources = markdown_table(
        ["source", "clips", "licence"],
        [
            [name, str(sum(source["clips"].values())), "<br>".join(source["licences"]) or "not given"]
            for name, source in recipe["sources"].items()
        ],
    )
    return f"""---
{_front_matter(config, metrics)}
---

# yamnet-cry, recipe `{config.recipe}`

Hears a baby cry: a student of Google's YAMNet with {total:,} parameters, a {kilobytes:.1f} KB full-integer
TFLite file. It takes YAMNet's own log-mel patches (16 kHz, 0.96 s) and gives logits for AudioSet's 521
classes. The score of a window is softmax(logits)[19] + softmax(logits)[20], which is calibrated to a
probability. Windows that agree make an event; the probability that a baby cries in a recording is the highest
threshold at which there still is one. From {config.threshold} on, it counts as crying.

```python
from yamnet_cry import CryDetector  # pip install yamnet-cry

detector = CryDetector.from_pretrained()  # or a repository on the Hub, "OWNER/NAME"
print(detector("night.wav"))
```

To fine-tune it or take it elsewhere, the same student in Keras, from float32 patches of shape
(batch, 96, 64, 1) to logits of shape (batch, 521):

```python
import keras

student = keras.models.load_model("hf://OWNER/NAME")  # or "model.keras"
```

## Results

{evaluated_on(metrics)}

{results_table(metrics)}

{_events(metrics["models"]["int8"]["events"])}

### By source

{sources_table(metrics)}

![Precision and recall, misses against false alarms, reliability, histogram]({pictures}{EVALUATION_PLOT})

## Training

Teacher: {recipe["teacher"]["name"]}. It scored every window of the training clips{views}:
{positive:,} windows above {selection["positive_above"]} (sigmoids of both cry classes together) were
learnt as positive, {negative:,} below {selection["negative_below"]} as negative, the other
{windows["all"] - positive - negative:,} were left out. Each epoch took all positives and
up to {settings["sampling"]["negatives_per_positive"]} freshly drawn negatives for each. Target
`{loss["target"]}`{labels}; {settings["train"]["epochs"]} epochs, of which the one with the lowest
validation loss was kept; seed {recipe["seed"]}. {settings["export"]["calibration_patches"]} patches of
validation audio set the ranges for INT8. Every setting is in `recipe.json`.

{sources}

![Losses of training and validation]({pictures}{TRAINING_PLOT})

## Calibration

The probability of a window is sigmoid({slope:.3f} * log-odds {intercept:+.3f}) of its score (Platt scaling),
fitted on validation so that the probabilities of clips are right: on the clips above, they are off by
{off["value"]:.3f} on average (expected calibration error). To fit the threshold to a room,
`yamnet-cry calibrate` listens to ten minutes of it without crying.

## Memory and speed

| | |
| --- | --- |
| INT8 model | {metrics["size"]["int8_bytes"]:,} bytes |
| parameters | {total:,}, of which {config.parameters["trainable"]:,} trainable |
| multiply-accumulates a window, of which there are two a second | {operations:.3f} million |
| those of YAMNet | {YAMNET_MULTIPLY_ACCUMULATES / 1e6:.1f} million |

## Limits

- The probability was calibrated on clips of which a quarter are crying, mostly from phones. Another room, or
  a whole night with little crying, may want another threshold: set `detector.threshold`.
- Whimpering, other babies on television, cats and children at play can sound alike. Do not rely on it alone
  where a child's safety depends on it.
- Trained and measured on phone recordings and short clips, not on whole nights in a room.

## Citation

```bibtex
@software{{yamnet_cry,
  title = {{yamnet-cry: an INT8 baby-cry detector distilled from YAMNet, and its distillation kit}},
  author = {{{{The yamnet-cry authors}}}},
  version = {{{config.package_version}}},
  license = {{MIT}}
}}
```

The teacher is YAMNet (Plakal and Ellis, Google, Apache-2.0); its 521 classes are those of AudioSet (Gemmeke
et al., ICASSP 2017).
"""


def _front_matter(config: ModelConfig, metrics: dict[str, Any]) -> str:
    """What the Hub reads, in YAML: how to load and find the model, and its main results."""
    # Imported here because it takes longer than all the rest of a detector's start.
    from huggingface_hub import EvalResult, ModelCardData

    measured, events = metrics["models"]["int8"]["all"], metrics["models"]["int8"]["events"]
    split = metrics["evaluation"]["split"]
    results = {
        ("roc_auc", "AUC"): measured["auc"]["value"],
        ("average_precision", "AP"): measured["average_precision"]["value"],
        ("f1", "F1 at probability 0.5"): measured["f1"]["value"],
        ("false_alarms_per_hour", "False alarms an hour, on hard negatives"): (
            events["false_alarms_per_hour"]["value"]
        ),
        ("event_recall", "Crying clips that gave an event"): events["recall"]["value"],
    }
    data = ModelCardData(
        library_name="keras",
        license="mit",
        pipeline_tag="audio-classification",
        tags=_TAGS,
        model_name=f"yamnet-cry, recipe {config.recipe}",
        eval_results=[
            EvalResult(
                task_type="audio-classification",
                task_name="Baby cry detection",
                dataset_type="yamnet-cry",
                dataset_name=", ".join(metrics["models"]["int8"]["by_source"]),
                dataset_split=split,
                metric_type=metric,
                metric_name=name,
                metric_value=round(value, 4),
            )
            for (metric, name), value in results.items()
        ],
    )
    return data.to_yaml()


def _events(events: dict[str, Any]) -> str:
    rate, recall = events["false_alarms_per_hour"], events["recall"]
    return (
        f"Events: {recall['value']:.0%} ({recall['low']:.0%}\N{EN DASH}{recall['high']:.0%}) of the crying "
        f"clips gave one. The clips without crying, joined to {events['hours']:.2f} hours, gave "
        f"{events['false_alarms']}: {rate['value']:.1f} false alarms an hour "
        f"({rate['low']:.1f}\N{EN DASH}{rate['high']:.1f})."
    )


def _cell(values: dict[str, Any], column: str) -> str:
    if column not in values:
        return ""
    value = values[column]
    return f"{value['value']:.3f} ({value['low']:.3f}\N{EN DASH}{value['high']:.3f})"


def escaped(value: Any) -> Any:
    r"""Returns JSON with every text in it made safe to stand in Markdown, on one line.

    Example:
        >>> print(escaped(["a|b", "<script>"]))
        ['a\\|b', '&lt;script&gt;']
    """
    if isinstance(value, dict):
        return {escaped(key): escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [escaped(each) for each in value]
    if not isinstance(value, str):
        return value
    line = "".join(character if character.isprintable() else " " for character in value)
    return html.escape(line.replace("`", "'"), quote=False).translate(_MARKDOWN)


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a table in Markdown.

    Example:
        >>> print(markdown_table(["a"], [["1"]]))
        | a |
        | --- |
        | 1 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
