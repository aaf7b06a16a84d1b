"""Finds models in the package, in folders and on the Hugging Face Hub, and pushes them to the Hub.

Functions import ``huggingface_hub`` themselves: its import takes as long as the rest of loading a detector.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from yamnet_cry.errors import HubError, ModelError
from yamnet_cry.model.folder import DETECTOR_FILES, LARGEST, OPTIONAL_FILES

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_REPO_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")

# Attempts of a push that conflicts with other commits.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Source:
    """The source of a model: a folder, or a repository on the Hub at one commit.

    Attributes:
        folder: The folder, or the repository's snapshot in the cache.
        repo_id: Id of the repository; None for a folder.
        commit: Commit of the repository, so that files fetched later are of the same model.
        cache_dir: Folder for downloads; defaults to the Hub's cache.
        token: Access token; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.
        local_files_only: Whether to use only downloaded files, without network access.
    """

    folder: Path
    repo_id: str | None = None
    commit: str | None = None
    cache_dir: str | PathLike[str] | None = None
    token: str | None = None
    local_files_only: bool = False

    def fetch(self, names: Sequence[str]) -> Path:
        """Returns the folder, after downloading the given files if the repository has them.

        Raises:
            ModelError: If the Hub cannot be reached.
        """
        if self.repo_id is None or all((self.folder / name).exists() for name in names):
            return self.folder
        return _download(self.repo_id, self.commit, names, self.cache_dir, self.token, self.local_files_only)


@dataclass(frozen=True)
class Pushed:
    """The result of a push.

    Attributes:
        url: URL of the commit, or of the pull request.
        commit: Hash of the commit; that of the latest one if nothing had changed.
        tag: The tag of the commit, if any.
        note: A further note for the user, or empty.
    """

    url: str
    commit: str
    tag: str | None = None
    note: str = ""


def locate(
    model: str | PathLike[str] | None = None,
    revision: str | None = None,
    *,
    cache_dir: str | PathLike[str] | None = None,
    token: str | None = None,
    local_files_only: bool = False,
) -> Source:
    """Finds a model folder, downloading it if it is a repository on the Hub.

    Args:
        model: A folder, a repository id such as ``"user/model"``, or None for the bundled model.
            If a folder with the name exists, it takes precedence over a repository.
        revision: Branch, tag or commit of a repository; defaults to the main branch.
        cache_dir: Folder for downloads; defaults to the Hub's cache.
        token: For private repositories; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.
        local_files_only: Whether to use only files that were downloaded before, without network access.

    Returns:
        The source, with the files that a detector needs.

    Raises:
        ModelError: If the folder or repository does not exist, or the Hub cannot be reached.
    """
    if model is None:
        if revision is not None:
            raise ModelError(
                "the bundled model has no revisions; pass a repository as well. "
                f"Received: revision={revision!r}"
            )
        return Source(_bundled())
    name = fspath(model)
    if name and Path(name).is_dir():
        if revision is not None:
            raise ModelError(f"{name} is a folder, which has no revisions. Received: revision={revision!r}")
        return Source(Path(name))
    if isinstance(model, str) and _REPO_ID.fullmatch(model):
        names = (*DETECTOR_FILES, *OPTIONAL_FILES)
        folder = _download(model, revision, names, cache_dir, token, local_files_only)
        # In the Hub's cache, the folder of a snapshot is named after its commit.
        return Source(folder, model, folder.name, cache_dir, token, local_files_only)
    raise ModelError(f"expected a model folder or a repository id such as user/model. Received: {name!r}")


def _bundled() -> Path:
    package = Path(__file__).parents[1]
    # A wheel has hub/ inside the package; in a checkout it is beside it.
    installed = package / "released"
    return installed if installed.is_dir() else package.parent / "hub"


def _download(
    repo_id: str,
    revision: str | None,
    names: Sequence[str],
    cache_dir: str | PathLike[str] | None,
    token: str | None,
    local_files_only: bool,
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError

    where = f"{repo_id} at revision {revision}" if revision else repo_id
    if not local_files_only:
        _check_sizes(where, names, _sizes(repo_id, revision, names, token))
    try:
        with _explained(ModelError, f"{where} could not be downloaded"):
            return Path(
                snapshot_download(
                    repo_id,
                    revision=revision,
                    cache_dir=None if cache_dir is None else fspath(cache_dir),
                    token=token,
                    local_files_only=local_files_only,
                    allow_patterns=list(names),
                )
            )
    except RevisionNotFoundError:
        raise ModelError(f"{repo_id} on the Hub has no revision {revision!r}") from None
    except LocalEntryNotFoundError:
        if local_files_only:
            mend = "; load it once without local_files_only"
        else:
            mend = " and the Hub cannot be reached; connect once, or pass a model folder"
        raise ModelError(f"{where} is not in the local cache{mend}") from None


def _sizes(
    repo_id: str, revision: str | None, names: Sequence[str], token: str | None
) -> dict[str, int] | None:
    """Returns the sizes of files in bytes; None if the Hub does not answer: the cache may have the files."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # that of its HTTP client
    from huggingface_hub.hf_api import RepoFile

    try:
        infos = HfApi(token=token).get_paths_info(repo_id, list(names), revision=revision)
    except (HTTPError, OSError):
        return None
    return {info.path: info.size for info in infos if isinstance(info, RepoFile)}


def _check_sizes(where: str, names: Sequence[str], sizes: Mapping[str, int] | None) -> None:
    if sizes is None:
        return
    missing = [name for name in names if name in DETECTOR_FILES and name not in sizes]
    if missing:
        raise ModelError(f"{where} is not a yamnet-cry model: it has no {' and no '.join(missing)}")
    for name, largest in LARGEST.items():
        if sizes.get(name, 0) > largest:
            raise ModelError(
                f"{where}: {name} exceeds the size limit and was not downloaded. Expected: at most "
                f"{largest:,} bytes. Received: {sizes[name]:,}"
            )


def check_login(token: str | None = None) -> str:
    """Checks the login at the Hub, so that a push at the end of a long run does not fail without one.

    Returns:
        The user's name.

    Raises:
        HubError: If no user is logged in, or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with _explained(HubError, "the login at the Hub cannot be checked"):
        return str(HfApi(token=token).whoami()["name"])


def check_repo_id(repo_id: str) -> None:
    """Rejects an invalid repository id.

    Raises:
        HubError: If it is not of the form user/model.
    """
    if not _REPO_ID.fullmatch(repo_id):
        raise HubError(f"expected a repository id such as user/model. Received: {repo_id!r}")


def push(
    files: Mapping[str, Path | bytes],
    repo_id: str,
    message: str,
    *,
    kind: Literal["model", "space"] = "model",
    sdk: Literal["gradio", "static"] = "gradio",
    tag: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    token: str | None = None,
) -> Pushed:
    """Pushes files in one commit to a repository, which is created if it does not exist.

    Unchanged files are not uploaded again; other files in the repository are kept.

    Args:
        files: Paths or contents of the files, by name in the repository.
        repo_id: Repository id, such as ``"user/model"``.
        message: First line of the commit message.
        kind: Type of the repository: a model, or a Space.
        sdk: SDK of a new Space: Gradio, or static files for the browser.
        tag: Tag of the commit, if it goes to the main branch and the tag does not exist.
        private: Whether the repository is private; defaults to its present visibility or, for a new one, the
            Hub's default.
        revision: The branch, created if it does not exist; defaults to ``main``.
        create_pr: Whether to open a pull request with the commit instead.
        token: Access token; defaults to ``HF_TOKEN`` or the login of ``hf auth login``.

    Raises:
        HubError: If the Hub rejects the push, cannot be reached, or fails during it; the commit is then
            either complete or not created.
    """
    from huggingface_hub import HfApi

    check_repo_id(repo_id)
    api = HfApi(token=token)
    with _explained(HubError, f"{repo_id} could not be pushed"):
        api.create_repo(
            repo_id,
            private=private,
            repo_type=kind,
            exist_ok=True,
            space_sdk=sdk if kind == "space" else None,
        )
        is_private = api.repo_info(repo_id, repo_type=kind).private
        if private is not None and is_private != private:
            state = "private" if is_private else "public"
            raise HubError(f"{repo_id} is already {state}; change that in its settings, or choose another")
        if revision is not None:
            api.create_branch(repo_id, branch=revision, repo_type=kind, exist_ok=True)
        pushed = _commit(api, files, repo_id, message, kind, revision, create_pr)
        if tag is None or create_pr or revision not in (None, "main"):
            return pushed
        return _tagged(api, pushed, repo_id, kind, tag)


def _commit(
    api: "HfApi",
    files: Mapping[str, Path | bytes],
    repo_id: str,
    message: str,
    kind: str,
    revision: str | None,
    create_pr: bool,
) -> Pushed:
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(1, _ATTEMPTS + 1):
        parent = api.repo_info(repo_id, repo_type=kind, revision=revision).sha
        try:
            done = api.create_commit(
                repo_id,
                [
                    CommitOperationAdd(name, each if isinstance(each, bytes) else str(each))
                    for name, each in files.items()
                ],
                commit_message=message,
                repo_type=kind,
                revision=revision,
                create_pr=create_pr,
                parent_commit=parent,
            )
        except HfHubHTTPError as error:
            if error.response.status_code != 412 or attempt == _ATTEMPTS:
                raise
        else:
            note = "nothing has changed since the last push" if done.oid == parent else ""
            return Pushed(done.pr_url or done.commit_url, done.oid, note=note)
    raise AssertionError


def _tagged(api: "HfApi", pushed: Pushed, repo_id: str, kind: str, tag: str) -> Pushed:
    before = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id, repo_type=kind).tags}
    if tag not in before:
        api.create_tag(repo_id, tag=tag, revision=pushed.commit, repo_type=kind)
    elif before[tag] != pushed.commit:
        # Users who load a tag rely on it not to move.
        note = f"the tag {tag} already exists and stays at commit {before[tag][:12]}"
        return replace(pushed, note=note)
    return replace(pushed, tag=tag)


@contextmanager
def _explained(kind: type[ModelError] | type[HubError], what: str) -> Iterator[None]:
    """Converts errors of requests to the Hub to one line that says what to do."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is that of its HTTP client
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
        LocalTokenNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    login = "log in with `hf auth login`, or set HF_TOKEN"
    try:
        yield
    except (LocalEntryNotFoundError, RevisionNotFoundError):
        raise
    except LocalTokenNotFoundError:
        raise kind(f"{what}: not logged in; {login}") from None
    except HFValidationError as error:
        raise kind(f"{what}: {error}") from None
    except HfHubHTTPError as error:
        # Without a login, the Hub answers 401 for missing repositories, to hide which private ones exist.
        status = 404 if isinstance(error, RepositoryNotFoundError) else error.response.status_code
        reason = {
            401: f"the login was refused; {login}",
            403: "permission denied; use a token with write access",
            404: "no such repository on the Hub and no such local folder; check the name, and "
            f"{login} if it is private",
            409: "another commit is in progress (conflict); try again",
            412: f"{_ATTEMPTS} conflicts with other commits; try again",
            429: "rate limited by the Hub; try again later",
        }.get(status, f"the Hub answered with an error; try again later ({error.server_message or error})")
        raise kind(f"{what} (HTTP {status}): {reason}") from None
    except (HTTPError, OSError, RuntimeError) as error:
        # The transports (LFS and Xet) raise various errors.
        if isinstance(error, ModelError | HubError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{what}: the connection failed ({reason}); try again") from None
