"""Where a model comes from: bundled with the package, a folder, or the Hugging Face Hub."""

import re
from os import PathLike, fspath
from pathlib import Path

from yamnet_cry.errors import ModelError
from yamnet_cry.model_folder import DETECTOR_FILES

_REPO_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


def locate(model: str | PathLike[str] | None = None, revision: str | None = None) -> Path:
    """Finds a model folder, downloading it if it is a repository on the Hub.

    Args:
        model: A folder, a repository id such as ``"user/model"``, or None for the bundled model.
            A folder of that name goes before a repository.
        revision: Branch, tag or commit of a repository; the main branch by default.

    Returns:
        The folder.

    Raises:
        ModelError: If there is no such folder or repository, or the Hub cannot be reached.
    """
    if model is None:
        if revision is not None:
            raise ModelError(f"the bundled model has no revisions. Received: revision={revision!r}")
        return _bundled()
    name = fspath(model)
    if name and Path(name).is_dir():
        if revision is not None:
            raise ModelError(f"{name} is a folder, which has no revisions. Received: revision={revision!r}")
        return Path(name)
    if isinstance(model, str) and _REPO_ID.fullmatch(model):
        return _download(model, revision)
    raise ModelError(f"no such model folder, and no repository id such as user/model. Received: {name!r}")


def _bundled() -> Path:
    package = Path(__file__).parent
    # A wheel carries hub/ inside the package; in a checkout it stands beside it.
    installed = package / "released"
    return installed if installed.is_dir() else package.parent / "hub"


def _download(repo_id: str, revision: str | None) -> Path:
    # Imported here because it takes as long as all the rest of a detector's start together.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RevisionNotFoundError

    where = f"{repo_id} at revision {revision}" if revision else repo_id
    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=list(DETECTOR_FILES)))
    except RevisionNotFoundError:
        raise ModelError(f"the Hub's {repo_id} has no revision {revision!r}") from None
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{where} is not in the local cache and the Hub cannot be reached; "
            "connect once, or pass a model folder"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403, 404):
            raise ModelError(
                f"the Hub shows no {where} (HTTP {status}), and there is no such folder here; "
                "check the name, and log in with `hf auth login` if it is private"
            ) from None
        raise ModelError(f"the Hub could not send {where} (HTTP {status}); try again later") from None
    except OSError as error:
        raise ModelError(f"{where} could not be downloaded ({error})") from None
