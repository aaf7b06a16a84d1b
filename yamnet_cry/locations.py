"""Files and folders here, on shared drives and in buckets, by path or URL."""

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

# What fsspec needs for the usual buckets, by protocol.
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def is_url(name: str) -> bool:
    """Tells a URL from a path.

    Examples:
        >>> is_url("s3://bucket/clips"), is_url("clips"), is_url("C://clips")
        (True, False, False)
    """
    return _URL.match(name) is not None


@dataclass(frozen=True, slots=True)
class Location:
    """A file or folder, by path or by a URL that fsspec knows: ``s3://``, ``gs://``, ``hf://``, ``file://``.

    Attributes:
        name: The path or URL; paths are absolute, for other processes have other folders.
        size: Of a file that was listed, in bytes; 0 where nobody knows.
        version: What changes when a listed file does: its entity tag or the time it was changed.

    Examples:
        >>> Location.of("s3://bucket/clips").child("a.wav").name
        's3://bucket/clips/a.wav'
    """

    name: str
    size: int = 0
    version: str = ""

    @classmethod
    def of(cls, name: str | os.PathLike[str]) -> "Location":
        """Takes a path or URL as users write it."""
        given = os.fspath(name)
        return cls(given.rstrip("/") if is_url(given) else os.path.abspath(given))

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> "Location":
        """Takes a file here, with its size and version; one that is not there has none."""
        place = cls.of(path)
        with suppress(OSError):
            status = os.stat(place.name)
            return cls(place.name, status.st_size, str(status.st_mtime_ns))
        return place

    @property
    def origin(self) -> str:
        """By what its content is known again without being read."""
        return f"{self.name} {self.size} {self.version}"

    def child(self, name: str) -> "Location":
        """Returns what lies in a folder under a name."""
        return Location(f"{self.name}/{name}" if is_url(self.name) else os.path.join(self.name, name))

    def relative_to(self, folder: "Location") -> str:
        """Returns its name within a folder, with ``/`` between the parts."""
        return self.name.removeprefix(folder.name).replace(os.sep, "/").lstrip("/")

    def listed(self) -> list["Location"]:
        """Lists files: all in a folder and folders within it, those that fit a pattern with ``*``, or one.

        Returns:
            The files in the order of their names, with sizes and versions; none if there is nothing.

        Raises:
            LocationError: If it cannot be listed.
        """
        with self._explained("listed"):
            system, path = self._system()
            # What a listing said before may have changed.
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
        """Tells whether there is such a file or folder.

        Raises:
            LocationError: If that cannot be found out.
        """
        with self._explained("read"):
            system, path = self._system()
            return bool(system.exists(path))

    def open(self) -> BinaryIO:
        """Opens a file for reading.

        Raises:
            LocationError: If it must not be read, which is then so for its neighbours too.
            OSError: If it cannot be, for any other reason.
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
        """Writes a file whole or not at all, and the folders that it lies in.

        Raises:
            LocationError: If it cannot be written; it is then as it was before.
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
            # A bucket shows an object when all of it has come.
            system.pipe_file(path, content)

    def _named(self, own: str, found: str) -> str:
        """Returns the name of a listed file as this one is written: file systems leave out the protocol."""
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
        """Turns whatever a file system raises into one line.

        Args:
            done: What could not be done.
            passed: What is left as it is, unless it says that a right is missing.
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
                f"{self.name} must not be {done} with the rights there are ({_reason(error)}); what is done "
                "stays done"
            ) from None
        except Exception as error:
            if isinstance(error, passed):
                raise
            raise LocationError(f"{self.name} cannot be {done} ({_reason(error)})") from None


def _version(about: dict[str, Any]) -> str:
    known = (about.get(key) for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created"))
    return str(next(filter(None, known), ""))


def _is_local(system: Any) -> bool:
    protocol = system.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
