"""The errors that tell a user what was received and what to do about it."""


class YamnetCryError(Exception):
    """Base of every error raised for something a user can fix.

    The command line prints these as one line and keeps tracebacks for bugs. Each is an error of Python's too,
    a ValueError or a RuntimeError.

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
    """Live audio that ended though nobody stopped it."""


class SourceError(YamnetCryError, ValueError):
    """A camera, stream or microphone that is named in a way that cannot be understood."""


class DeliveryError(YamnetCryError, RuntimeError):
    """A message that somebody could not be told."""


class ModelError(YamnetCryError, ValueError):
    """A model folder or repository that is missing, incomplete, corrupt or foreign."""


class HubError(YamnetCryError, RuntimeError):
    """Something that could not be pushed to the Hugging Face Hub, or must not be."""


class ExportError(YamnetCryError, RuntimeError):
    """A model that cannot be written in another format, or answers differently in it."""


class CorpusError(YamnetCryError, ValueError):
    """A collection of clips that cannot be trained on or evaluated as it stands."""


class RecipeError(YamnetCryError, ValueError):
    """A recipe that does not exist, or a setting it does not have."""


class TeacherError(YamnetCryError, RuntimeError):
    """A teacher that cannot be found or loaded."""


class RunError(YamnetCryError, RuntimeError):
    """A distillation run that cannot start, resume or write its result."""


class LocationError(YamnetCryError, RuntimeError):
    """A file, folder or bucket that cannot be listed, read or written with the rights there are."""


class ClusterError(YamnetCryError, RuntimeError):
    """A cluster that cannot be reached, or whose machines are not what a run needs."""


class PartitionError(YamnetCryError, ValueError):
    """A partition of results that is damaged, or of another program."""


class OutletError(YamnetCryError, ValueError):
    """A place for what was heard that cannot be used as it was named."""
