"""Other ways to hear the same classes, for comparison: YAMNet as its users run it, and the reference's way.

Each takes a whole waveform at 16 kHz and returns scores of windows. All run on one thread.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from yamnet_cry import CryDetector, features
from yamnet_cry.classes import cry_score
from yamnet_cry.features import Float32

Scorer = Callable[[Float32], object]


def scorers(weights: str, detector: CryDetector) -> dict[str, Scorer]:
    """Builds all peers from YAMNet's weights.

    Args:
        weights: ``yamnet_folded.npz``, or the folder that holds it.
        detector: Whose student the reference's way runs.
    """
    import tensorflow as tf

    from yamnet_cry.distill import teachers

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    path = Path(weights)
    teacher = teachers.YamnetTeacher(path / "yamnet_folded.npz" if path.is_dir() else path).model
    window = tf.signal.hann_window(features.FRAME_LENGTH, periodic=True)
    mel = tf.constant(features.mel_matrix())

    def log_mel_graph(waveform: tf.Tensor) -> tf.Tensor:
        frames = tf.signal.frame(waveform, features.FRAME_LENGTH, features.FRAME_HOP)
        spectrum = tf.signal.rfft(frames * window, [features.FFT_LENGTH])
        return tf.math.log(tf.abs(spectrum) @ mel + features.LOG_OFFSET)

    def yamnet_graph(waveform: tf.Tensor) -> tf.Tensor:
        """The signature of google/yamnet/1: a waveform in, scores of its windows out."""
        patches = tf.signal.frame(log_mel(waveform), features.PATCH_FRAMES, features.PATCH_HOP, axis=0)
        return tf.sigmoid(teacher(patches[..., tf.newaxis]))

    signature = [tf.TensorSpec([None], tf.float32)]
    log_mel = tf.function(log_mel_graph, input_signature=signature)
    yamnet = tf.function(yamnet_graph, input_signature=signature)

    converter = tf.lite.TFLiteConverter.from_keras_model(teacher)
    interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def on_litert(waveform: Float32) -> Float32:
        patches = features.patches(features.log_mel(waveform))[:, None, :, :, None]
        outputs = np.empty((len(patches), 521), np.float32)
        for patch, output in zip(patches, outputs, strict=True):
            interpreter.set_tensor(given, patch)
            interpreter.invoke()
            output[:] = interpreter.get_tensor(found)[0]
        return outputs

    def windows(waveform: Float32) -> list[Float32]:
        starts = range(0, len(waveform) - features.PATCH_SAMPLES + 1, features.PATCH_HOP_SAMPLES)
        return [waveform[start : start + features.PATCH_SAMPLES] for start in starts]

    def by_window(waveform: Float32) -> list[np.ndarray]:
        return [yamnet(part).numpy() for part in windows(waveform)]

    def reference(waveform: Float32) -> list[Float32]:
        """The teacher is called for its front end, window by window, and then the student."""
        found = []
        for part in windows(waveform):
            yamnet(part)
            found.append(cry_score(detector._student.logits(log_mel(part).numpy())))
        return found

    return {
        "YAMNet FP32, tf.function, a minute at a time": lambda waveform: yamnet(waveform).numpy(),
        "YAMNet FP32, tf.function, a window at a time": by_window,
        "YAMNet FP32 on LiteRT, with this package's front end": on_litert,
        "the reference's way: the teacher for its front end, then the student": reference,
    }
