"""The model card, generated from the metrics."""

import html
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import TAPS

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

# A Jinja template, like the Hub's own.
_TEMPLATE = Path(__file__).with_name("card_template.md")

_MODELS = {
    "int8": "**INT8 student** (this model)",
    "fp32": "FP32 student",
    "previous": "INT8 student of the previous release",
    "teacher": "Teacher, softmax",
    "teacher_sigmoid": "Teacher, sigmoid",
    "judge": "Teacher of clips",
}
_TAGS = ["knowledge-distillation", "yamnet", "tflite", "tinyml"]

# Datasets on the Hub, by source in the corpus.
_HUB_DATASETS = {
    "esc50_subset": "ashraq/esc50",
    "librispeech_test_clean": "openslr/librispeech_asr",
    "speech_commands": "google/speech_commands",
    "speech_commands_isolated": "google/speech_commands",
    "speech_commands_v2_test": "google/speech_commands",
}
# A copy of google/yamnet/1; the original is on TensorFlow Hub.
_YAMNET_ON_THE_HUB = "thelou1s/yamnet"
# Shows how events are found; it has no results, because it is used for every detector.
_THUMBNAIL = "https://raw.githubusercontent.com/yamnet-cry/yamnet-cry/main/docs/pictures/events.png"
# The example in the Hub's documentation of the task.
_WIDGET = [
    {
        "src": "https://huggingface.co/datasets/huggingfacejs/tasks/resolve/main/audio-classification/audio.wav",
        "example_title": "A sound without crying",
    }
]

#: For one patch (README.md of tensorflow/models, research/audioset/yamnet).
YAMNET_MULTIPLY_ACCUMULATES = 69_200_000

# Escapes links, pictures and table columns; other Markdown only changes the appearance of a word.
_MARKDOWN = str.maketrans({"\\": r"\\", "|": r"\|", "[": r"\[", "]": r"\]", "!": r"\!"})

_COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "macro_average_precision": "macro AP",
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
    models = metrics["models"]
    reports = {name: models[key]["all"] for key, name in _MODELS.items() if key in models}
    columns = _columns(reports.values())
    rows = [[name, *(_cell(values, column) for column in columns)] for name, values in reports.items()]
    return markdown_table(["", *columns.values()], rows)


def labels_table(metrics: dict[str, Any]) -> str:
    """Returns the results of the INT8 student by label as a Markdown table.

    Args:
        metrics: The content of a classifier's ``metrics.json``.
    """
    labels = metrics["models"]["int8"]["labels"]
    columns = _columns(labels.values())
    rows = [
        [label, str(values["clips"]), *(_cell(values, column) for column in columns)]
        for label, values in labels.items()
    ]
    return markdown_table(["label", "clips", *columns.values()], rows)


def _columns(reports: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Returns the metrics that occur in at least one report, and their names."""
    there = {key for values in reports for key in values}
    return {key: name for key, name in _COLUMNS.items() if key in there}


def sources_table(metrics: dict[str, Any]) -> str:
    """Returns the results of the INT8 student by source as a Markdown table."""
    sources = metrics["models"]["int8"]["by_source"]
    counts = {"cry": "cry", "not_cry": "not cry"}
    columns = {name: _COLUMNS.get(name, name) for name in ("auc", "average_precision", "recall")}
    columns["fpr"] = "FPR"
    if "labels" in metrics["models"]["int8"]:
        counts, columns = {"clips": "clips"}, _columns(sources.values())
    rows = [
        [source, *(str(values[count]) for count in counts), *(_cell(values, column) for column in columns)]
        for source, values in sources.items()
    ]
    return markdown_table(["source", *counts.values(), *columns.values()], rows)


def evaluated_on(metrics: dict[str, Any]) -> str:
    """Describes the evaluated clips in one sentence.

    Args:
        metrics: The content of a model folder's ``metrics.json``.
    """
    values, evaluation = metrics["models"]["int8"]["all"], metrics["evaluation"]
    intervals = evaluation["intervals"]
    if "clips" in values:
        clips, how = f"{values['clips']:,} clips", "Clips are scored by their windows' mean probability."
    else:
        clips = f"{values['cry']:,} clips with crying and {values['not_cry']:,} without"
        how = (
            "All models are calibrated on validation clips in the same way; F1, precision and recall are "
            "computed at probability 0.5."
        )
    return (
        f"Split `{evaluation['split']}`: {clips}, "
        f"from {values['groups']:,} groups (households, uploaders, speakers) that are in no other split. "
        f"In brackets: {intervals['level']:.0%} intervals from {intervals['bootstrap_replicates']:,} "
        f"bootstrap replicates over groups. {how}"
    )


def render(
    config: ModelConfig, recipe: dict[str, Any], metrics: dict[str, Any], *, pictures: str = ""
) -> str:
    """Writes the model card.

    Args:
        config: The model's configuration.
        recipe: The content of ``recipe.json``.
        metrics: The content of ``metrics.json``.
        pictures: Path of the plots, relative to the card; defaults to the same folder.

    Returns:
        Markdown with the YAML front matter that the Hugging Face Hub reads. Texts in the recipe and the
        metrics are escaped: they are never interpreted as Markdown or HTML.
    """
    # Imported here because it takes longer than loading a detector.
    from huggingface_hub import ModelCard

    recipe, metrics = escaped(recipe), escaped(metrics)
    int8 = metrics["models"]["int8"]
    sources = markdown_table(
        ["source", "clips", "licence"],
        [
            [name, str(sum(source["clips"].values())), "<br>".join(source["licences"]) or "not given"]
            for name, source in recipe["sources"].items()
        ],
    )
    card = ModelCard.from_template(
        _card_data(config, recipe, metrics),
        template_path=str(_TEMPLATE),
        config=config,
        recipe=recipe,
        metrics=metrics,
        settings=recipe["recipe"],
        windows=metrics["training"]["windows"]["train"],
        evaluated_on=evaluated_on(metrics),
        results=results_table(metrics),
        results_by_source=sources_table(metrics),
        results_by_label=labels_table(metrics) if "labels" in int8 else "",
        # Folders of version 0.1.0 have a single teacher.
        teachers=recipe["teachers"] if "teachers" in recipe else [recipe["teacher"]],
        began_with=_began_with(recipe.get("began_with")),
        judges=_judges(recipe),
        context=_context(recipe["recipe"].get("context")),
        labels=escaped(list(config.task.labels)),
        events=_events(int8["events"]) if "events" in int8 else "",
        sources=sources,
        pictures=pictures,
        yamnet_multiply_accumulates=YAMNET_MULTIPLY_ACCUMULATES,
    )
    return f"{card}\n"


def _context(settings: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns the number of windows and seconds that a context network covers; None without one."""
    if settings is None:
        return None
    windows = 1 + (TAPS - 1) * sum(settings["dilations"])
    return {
        "windows": windows,
        "seconds": YAMNET.patch_seconds + (windows - 1) * YAMNET.patch_hop_seconds,
    }


def _began_with(model: dict[str, Any] | None) -> str:
    """Describes the model that training started from; empty if the weights were random."""
    if model is None:
        return ""
    return (
        f"a model of recipe `{model['recipe']}`, yamnet-cry {model['package_version']} "
        f"(Keras file of SHA-256 {str(model['sha256'])[:12]}...)"
    )


def _judges(recipe: dict[str, Any]) -> list[str]:
    """Returns the names of teachers of clips."""
    roles = recipe["recipe"].get("teaching", {}).get("roles", [])
    named = zip(recipe.get("teachers", []), roles, strict=False)
    return [teacher["name"] for teacher, role in named if role == "clips"]


def _card_data(config: ModelConfig, recipe: dict[str, Any], metrics: dict[str, Any]) -> "ModelCardData":
    """Returns the card's metadata: how to load and find the model, its licence, and its main results."""
    from huggingface_hub import EvalResult, ModelCardData

    split = metrics["evaluation"]["split"]
    main_results = _main_results(metrics["models"]["int8"])
    trained_on = {
        _HUB_DATASETS[name]
        for name, source in recipe["sources"].items()
        if name in _HUB_DATASETS and any(key.startswith("train/") for key in source["clips"])
    }
    of_yamnet = any(teacher["name"].startswith("YAMNet") for teacher in recipe["teachers"])
    return ModelCardData(
        library_name="keras",
        license=recipe.get("license"),
        pipeline_tag="audio-classification",
        tags=["audio", *(["baby-cry-detection"] if config.task.group else []), *_TAGS],
        base_model=_YAMNET_ON_THE_HUB if of_yamnet else None,
        datasets=sorted(trained_on) or None,
        metrics=[metric for metric, _ in main_results],
        thumbnail=_THUMBNAIL if config.task.group else None,
        widget=_WIDGET if config.task.group else None,
        model_name=f"yamnet-cry, recipe {config.recipe}",
        eval_results=[
            EvalResult(
                task_type="audio-classification",
                task_name="Baby cry detection" if config.task.group else "Audio classification",
                dataset_type="yamnet-cry",
                dataset_name=", ".join(metrics["models"]["int8"]["by_source"]),
                dataset_split=split,
                metric_type=metric,
                metric_name=name,
                metric_value=round(value, 4),
            )
            for (metric, name), value in main_results.items()
        ],
    )


def _main_results(report: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Returns the main metrics, by their type on the Hub and their name."""
    measured = report["all"]
    if "events" not in report:
        return {(key, name): measured[key]["value"] for key, name in _columns([measured]).items()}
    events = report["events"]
    return {
        ("roc_auc", "AUC"): measured["auc"]["value"],
        ("average_precision", "AP"): measured["average_precision"]["value"],
        ("f1", "F1 at probability 0.5"): measured["f1"]["value"],
        ("false_alarms_per_hour", "False alarms per hour, on hard negatives"): (
            events["false_alarms_per_hour"]["value"]
        ),
        ("event_recall", "Crying clips with a detected event"): events["recall"]["value"],
    }


def _events(events: dict[str, Any]) -> str:
    rate, recall = events["false_alarms_per_hour"], events["recall"]
    return (
        f"Events: {recall['value']:.0%} ({recall['low']:.0%}\N{EN DASH}{recall['high']:.0%}) of the crying "
        f"clips raised one. The clips without crying, {events['hours']:.2f} hours in total, caused "
        f"{events['false_alarms']} false alarms: {rate['value']:.1f} per hour "
        f"({rate['low']:.1f}\N{EN DASH}{rate['high']:.1f})."
    )


def _cell(values: dict[str, Any], column: str) -> str:
    if column not in values:
        return ""
    value = values[column]
    return f"{value['value']:.3f} ({value['low']:.3f}\N{EN DASH}{value['high']:.3f})"


def escaped(value: Any) -> Any:
    r"""Returns JSON with every string escaped for Markdown, on one line.

    Examples:
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

    Examples:
        >>> print(markdown_table(["a"], [["1"]]))
        | a |
        | --- |
        | 1 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
