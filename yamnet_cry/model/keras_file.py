"""Reads the ``.keras`` file of a model folder without Keras."""

from io import BytesIO
from pathlib import Path
from typing import Any

from yamnet_cry.errors import ModelError
from yamnet_cry.fields import parse, shortened
from yamnet_cry.model.folder import CONFIG, KERAS_METADATA, KERAS_WEIGHTS, read

#: The parts of a ``.keras`` file, and their size limits in bytes.
LARGEST_PARTS = {KERAS_METADATA: 2**16, CONFIG: 2**20, KERAS_WEIGHTS: 2**27}


def unpack_keras(path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    """Unpacks a saved Keras model without Keras.

    Args:
        path: A ``.keras`` file.

    Returns:
        Keras's description of the model, the bytes of its weights in HDF5, and the bytes of its metadata in
        JSON: the version of Keras and the date of saving.

    Raises:
        ModelError: If it is not a Keras file, or too large when decompressed.
    """
    # Imported here because no detector needs it to start.
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(BytesIO(read(path.parent, path.name))) as archive:
            names = sorted(archive.namelist())
            if names != sorted(LARGEST_PARTS):
                raise ModelError(f"{path} is not a Keras model: it contains {shortened(names)}")
            for part, limit in LARGEST_PARTS.items():
                size = archive.getinfo(part).file_size
                if archive.getinfo(part).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ModelError(f"{path} is not a Keras model: {part} has an unsupported compression")
                if size > limit:
                    raise ModelError(
                        f"{path}: {part} exceeds the size limit. Expected: at most {limit:,} bytes. "
                        f"Received: {size:,}"
                    )
            description, *rest = (archive.read(name) for name in (CONFIG, KERAS_WEIGHTS, KERAS_METADATA))
            return parse(description), rest[0], rest[1]
    except ModelError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path} is not a Keras model ({error})") from None
