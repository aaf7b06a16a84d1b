"""Exceptions for errors that the user can fix."""


class YamnetCryError(Exception):
    """Base class of all errors that the user can fix.

    The command line prints these as one line; tracebacks indicate bugs. Each is also a built-in error, a
    ValueError or a RuntimeError.

    Examples:
        >>> from yamnet_cry import CryDetector
        >>> try:
        ...     CryDetector.from_pretrained()("no_such_file.wav")
        ... except YamnetCryError as error:
        ...     print(type(error).__name__, error)
        AudioError no_such_file.wav: no such file
    """


class AudioError(YamnetCryError, ValueError):
    """Audio that cannot be read, or whose samples cannot be used."""


class InputEnded(AudioError):
    """Live audio that ended without being stopped."""


class SourceError(YamnetCryError, ValueError):
    """An invalid address or name of a camera, stream or microphone."""


class DeliveryError(YamnetCryError, RuntimeError):
    """A message that could not be delivered."""


class ModelError(YamnetCryError, ValueError):
    """A model folder or repository that is missing, incomplete, damaged or not of the expected kind."""


class HubError(YamnetCryError, RuntimeError):
    """A push to the Hugging Face Hub that failed or was refused."""


class ExportError(YamnetCryError, RuntimeError):
    """A model that cannot be exported, or whose export gives different results."""


class CorpusError(YamnetCryError, ValueError):
    """A corpus that cannot be used for training or evaluation."""


class RecipeError(YamnetCryError, ValueError):
    """An unknown recipe, or an invalid setting."""


class TeacherError(YamnetCryError, RuntimeError):
    """A teacher that cannot be found or loaded."""


class RunError(YamnetCryError, RuntimeError):
    """A distillation run that cannot start, resume or write its result."""


class LocationError(YamnetCryError, RuntimeError):
    """A file, folder or bucket that cannot be listed, read or written."""


class ClusterError(YamnetCryError, RuntimeError):
    """A cluster that cannot be reached, or whose machines do not meet the requirements."""


class PartitionError(YamnetCryError, ValueError):
    """A partition of results that is damaged, or was written by another program."""


class OutletError(YamnetCryError, ValueError):
    """An outlet for events whose address or settings cannot be used."""
