"""DCASE's metrics, computed by the two reference implementations.

`sed_eval` (Mesaros et al. 2016) computes error rate and F1 of onsets; `sed_scores_eval` (Ebbers et al. 2022)
the polyphonic sound detection score, over all thresholds.
"""

from collections.abc import Sequence

import numpy as np
from hearing_peers import Float64

from yamnet_cry.events import Event
from yamnet_cry.frontend import YAMNET

CRY = "cry"
COLLAR_SECONDS = 0.5

#: Required share of overlap of events and cries, strict and tolerant (DCASE 2021 task 4).
PSDS_TOLERANCES = (0.7, 0.1)

Stretches = Sequence[tuple[float, float]]


def onset_metrics(cries: Sequence[Stretches], events: Sequence[Sequence[Event]]) -> dict[str, float]:
    """Returns ``error_rate`` and ``f1`` of onsets within 0.5 s, by sed_eval.

    Args:
        cries: Onset and end of each cry in seconds, per recording.
        events: Detected events, per recording.
    """
    import dcase_util
    import sed_eval

    metrics = sed_eval.sound_event.EventBasedMetrics(
        [CRY], t_collar=COLLAR_SECONDS, evaluate_onset=True, evaluate_offset=False
    )
    for number, (truth, found) in enumerate(zip(cries, events, strict=True)):
        name = f"{number}.wav"
        stretches = [(event.start, event.end) for event in found]
        reference, estimated = (
            dcase_util.containers.MetaDataContainer(
                [{"filename": name, "onset": a, "offset": b, "event_label": CRY} for a, b in each]
            )
            for each in (truth, stretches)
        )
        metrics.evaluate(reference_event_list=reference, estimated_event_list=estimated)
    f1 = metrics.overall_f_measure()["f_measure"]
    return {
        "error_rate": float(metrics.overall_error_rate()["error_rate"]),
        "f1": 0.0 if np.isnan(f1) else float(f1),
    }


def psds(cries: Sequence[Stretches], tracks: Sequence[Float64], seconds: float) -> list[float]:
    """Returns the score at each of `PSDS_TOLERANCES`, up to 100 false alarms per hour.

    Args:
        cries: Onset and end of each cry in seconds, per recording.
        tracks: Scores of each recording's windows. The score of a window applies to its middle 0.48 s.
        seconds: Length of a recording.
    """
    import sed_scores_eval
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    margin = (YAMNET.patch_seconds - YAMNET.patch_hop_seconds) / 2
    scores, truths, lengths = {}, {}, {}
    for number, (truth, track) in enumerate(zip(cries, tracks, strict=True)):
        edges = np.arange(len(track) + 1) * YAMNET.patch_hop_seconds + margin
        edges[0], edges[-1] = 0.0, max(seconds, edges[-1])
        # Converted to float32 to force a copy: the array of pandas 3 is read-only, and sed_scores_eval writes
        # to it.
        frame = create_score_dataframe(track[:, None], edges.round(4), [CRY])
        scores[str(number)] = frame.astype({CRY: np.float32})
        truths[str(number)] = [(onset, min(end, seconds), CRY) for onset, end in truth]
        lengths[str(number)] = float(edges[-1])
    found = []
    for tolerance in PSDS_TOLERANCES:
        value, *_ = sed_scores_eval.intersection_based.psds(
            scores, truths, lengths, dtc_threshold=tolerance, gtc_threshold=tolerance
        )
        found.append(float(value))
    return found
