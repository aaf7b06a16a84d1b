"""Files and folders on local disks, shared drives and in buckets, by path or URL."""

import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from yamnet_cry.errors import LocationError
from yamnet_cry.files import write_whole

_URL = re.compile(r"[a-z][a-z0-9+.-]+://")
_WILD = "*"

# Packages that fsspec needs for common buckets, by protocol.
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def is_url(name: str) -> bool:
    """Returns whether a name is a URL, and not a path.

    Examples:
        >>> is_url("s3://bucket/clips"), is_url("clips"), is_url("C://clips")
        (True, False, False)
    """
    return _URL.match(name) is not None


@dataclass(frozen=True, slots=True)
class Location:
    """A file or folder, by path or by a URL for fsspec: ``s3://``, ``gs://``, ``hf://``, ``file://``.

    Attributes:
        name: The path or URL; paths are absolute, because processes may have different working directories.
        size: Size of a listed file, in bytes; 0 if unknown.
        version: Entity tag or modification time of a listed file, which changes with its content.

    Examples:
        >>> Location.of("s3://bucket/clips").child("a.wav").name
        's3://bucket/clips/a.wav'
    """

    name: str
    size: int = 0
    version: str = ""

    @classmethod
    def of(cls, name: str | os.PathLike[str]) -> "Location":
        """Returns the location of a path or URL as given by a user."""
        given = os.fspath(name)
        return cls(given.rstrip("/") if is_url(given) else os.path.abspath(given))

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> "Location":
        """Returns the location of a local file with its size and version, without them if it is missing."""
        place = cls.of(path)
        with suppress(OSError):
            status = os.stat(place.name)
            return cls(place.name, status.st_size, str(status.st_mtime_ns))
        return place

    @property
    def origin(self) -> str:
        """Identifies the content without reading it: name, size and version."""
        return f"{self.name} {self.size} {self.version}"

    def child(self, name: str) -> "Location":
        """Returns the location of a name within this folder."""
        return Location(f"{self.name}/{name}" if is_url(self.name) else os.path.join(self.name, name))

    def relative_to(self, folder: "Location") -> str:
        """Returns its name within a folder, with ``/`` between the parts."""
        return self.name.removeprefix(folder.name).replace(os.sep, "/").lstrip("/")

    def listed(self) -> list["Location"]:
        """Lists files: all in a folder and its subfolders, those that match a pattern with ``*``, or one.

        Returns:
            The files in the order of their names, with sizes and versions; empty if there are none.

        Raises:
            LocationError: If it cannot be listed.
        """
        with self._explained("listed"):
            system, path = self._system()
            # A cached listing may be outdated.
            system.invalidate_cache()
            if _WILD in path and not system.exists(path):
                found = system.glob(path, detail=True)
            else:
                found = system.find(path, detail=True)
            files = [(name, about) for name, about in found.items() if about["type"] == "file"]
        return [
            Location(self._named(path, name), int(about.get("size") or 0), _version(about))
            for name, about in sorted(files)
        ]

    def exists(self) -> bool:
        """Returns whether the file or folder exists.

        Raises:
            LocationError: If that cannot be determined.
        """
        with self._explained("read"):
            system, path = self._system()
            return bool(system.exists(path))

    def open(self) -> BinaryIO:
        """Opens a file for reading.

        Raises:
            LocationError: If permission is denied, which then applies to the files beside it too.
            OSError: If it cannot be opened for any other reason.
        """
        with self._explained("read", OSError):
            system, path = self._system()
            file: BinaryIO = system.open(path, "rb")
        # Messages about audio name the file by this.
        with suppress(AttributeError):
            file.name = self.name  # type: ignore[misc]
        return file

    def read(self) -> bytes:
        """Reads a file.

        Raises:
            LocationError: If it cannot be read.
        """
        with self._explained("read"):
            system, path = self._system()
            content: bytes = system.cat_file(path)
            return content

    def write(self, content: bytes) -> None:
        """Writes a file atomically, and creates its parent folders.

        Raises:
            LocationError: If it cannot be written; it is then unchanged.
        """
        with self._explained("written"):
            if not is_url(self.name):
                Path(self.name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(Path(self.name), content)
                return
            system, path = self._system()
            if _is_local(system):
                replace(self, name=path).write(content)
                return
            system.makedirs(posixpath.dirname(path), exist_ok=True)
            # In a bucket, an object appears only after its upload is complete.
            system.pipe_file(path, content)

    def _named(self, own: str, found: str) -> str:
        """Returns the name of a listed file in the form of this name: file systems omit the protocol."""
        if not is_url(self.name):
            return os.path.normpath(found)
        folder, within = self.name, own.rstrip("/")
        if _WILD in own:
            folder, within = (text.partition(_WILD)[0].rpartition("/")[0] for text in (self.name, own))
        if not within or not found.startswith(within):
            return found if is_url(found) else f"{self.name.partition('://')[0]}://{found}"
        return folder + found.removeprefix(within)

    def _system(self) -> tuple[Any, str]:
        import fsspec

        if not is_url(self.name):
            return fsspec.filesystem("file"), self.name
        system, path = fsspec.core.url_to_fs(self.name)
        return system, path

    @contextmanager
    def _explained(self, done: str, passed: type[BaseException] | tuple[()] = ()) -> Iterator[None]:
        """Converts any exception of a file system to a `LocationError` of one line.

        Args:
            done: The failed operation as a past participle, for the message.
            passed: Exceptions to raise unchanged, except those of denied permission.
        """
        try:
            yield
        except LocationError:
            raise
        except ImportError:
            protocol = self.name.partition("://")[0]
            package = _PACKAGES.get(protocol)
            hint = f"pip install {package}" if package else "install the package that fsspec names"
            raise LocationError(
                f"{self.name}: {protocol}:// needs a package that is missing; {hint}"
            ) from None
        except PermissionError as error:
            raise LocationError(
                f"{self.name} cannot be {done}: permission denied ({_reason(error)}). Get access and repeat "
                "the command; finished work is kept"
            ) from None
        except Exception as error:
            if isinstance(error, passed):
                raise
            raise LocationError(f"{self.name} cannot be {done} ({_reason(error)})") from None


def _version(about: dict[str, Any]) -> str:
    # Of S3, Azure, Google's storage, the Hugging Face Hub, and files; then of any other.
    keys = ("ETag", "etag", "md5Hash", "blob_id", "mtime", "LastModified", "created")
    return str(next(filter(None, map(about.get, keys)), ""))


def _is_local(system: Any) -> bool:
    protocol = system.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
