"""A small training run on a number of JAX devices: `test_devices` starts it in a separate process."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import context, recipes, training
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sections import ContextSettings, StudentSettings, Train
from yamnet_cry.distill.windows import Opinion, Windows
from yamnet_cry.frontend import YAMNET

EPOCHS = 4


def corpus() -> Windows:
    """Clips of three windows: loud in the upper bands where the teacher predicts crying."""
    generator = np.random.default_rng(0)
    labels = [("cry",), ("not_cry",)]
    splits = ["train"] * 27 + ["val"] * 12
    clips = [Clip(str(n), labels[n % 2], split, str(n), "s", lambda: "") for n, split in enumerate(splits)]
    frames = YAMNET.patch_frames + 2 * YAMNET.patch_hop
    log_mel = generator.normal(-4, 1, (len(clips), frames, YAMNET.mel_bands)).astype(np.float32)
    log_mel[::2, :, 40:] += 2.0
    logits = np.full((3 * len(clips), len(CRY_TASK.labels)), -6.0, np.float32)
    logits[:, CRY_TASK.group_indices] = np.where(np.arange(3 * len(clips)) // 3 % 2, -5.0, 2.0)[:, None]
    starts = frames * np.arange(len(clips))[:, None] + YAMNET.patch_hop * np.arange(3)
    return Windows(
        clips=clips,
        front_end=YAMNET,
        log_mel=log_mel.reshape(-1, YAMNET.mel_bands),
        first_frame=starts.ravel(),
        clip_index=np.repeat(np.arange(len(clips)), 3),
        opinions=[Opinion("windows", 1.0, CRY_TASK.labels, "independent", logits)],
    )


def main(folder: Path, count: int, bits: int, stop: int) -> None:
    """Trains student and context network and writes their outputs; stops after epoch `stop` if not 0."""
    recipe = replace(
        recipes.get("reference", [f"export.weight_bits={bits}"]),
        selection=None,
        student=StudentSettings(fold=4, stem_stride=(4, 2), blocks=((8, 2), (16, 2)), head_rank=4),
        # 81 windows: the last batch has 17, which two devices cannot share equally.
        train=Train(epochs=EPOCHS, batch_size=32, learning_rate=5e-3, drop_epoch=EPOCHS),
        context=ContextSettings(filters=4, dilations=(1,), windows=4, epochs=2, batch_size=4),
    )
    if stop:
        on_epoch_end = training.Checkpoints.on_epoch_end

        def stopping(self: training.Checkpoints, epoch: int, logs: dict[str, float] | None = None) -> None:
            on_epoch_end(self, epoch, logs)
            if epoch + 1 == stop:
                sys.exit(0)

        training.Checkpoints.on_epoch_end = stopping  # type: ignore[method-assign]
    windows = corpus()
    student, history = training.fit(
        windows, recipe, CRY_TASK.labels, 0, folder, device_count=count, progress=False
    )
    # Shows that training was not done on one device alone.
    used = {len(variable.value.sharding.device_set) for variable in student.variables}
    patches = windows.patches(np.arange(10))
    alone = student.predict(patches, verbose=0)
    student, network, of_context = context.fit(
        windows, student, recipe, CRY_TASK.labels, 0, folder / "context", device_count=count, progress=False
    )
    outputs = [alone, student.predict(patches, verbose=0), *map(np.asarray, network.get_weights())]
    np.savez(folder / "outputs.npz", *outputs)
    done = {"history": history, "context": of_context, "devices": [*used]}
    (folder / "done.json").write_text(json.dumps(done))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
