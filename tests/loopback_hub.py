"""A Hugging Face Hub on loopback, in memory, with enough of its HTTP protocol for the unmodified client.

It has repositories, private ones too, branches, tags, pull requests, and both routes of large files (LFS, and
Xet into a local store). It can crash in the middle of a request. Set ``HF_ENDPOINT`` to its address.
"""

import base64
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".tflite", ".keras", ".h5", ".png", ".wav")
USER, TOKEN = "user", "hf_loopback"

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Blob:
    """A file: regular, or large and stored by its SHA-256. Files in the Xet store have no content here."""

    size: int
    sha256: str
    content: bytes | None
    large: bool
    xet_hash: str | None = None

    @property
    def etag(self) -> str:
        if self.large:
            return self.sha256
        assert self.content is not None
        return hashlib.sha1(b"blob %d\0" % self.size + self.content).hexdigest()


def blob(content: bytes, *, large: bool = False) -> Blob:
    return Blob(len(content), hashlib.sha256(content).hexdigest(), content, large)


@dataclass
class Repository:
    private: bool = False
    sdk: str | None = None
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, ref: str, message: str, files: dict[str, Blob]) -> str:
        oid = hashlib.sha1(f"{ref} {message} {len(self.commits)}".encode()).hexdigest()
        self.commits[oid] = files
        self.messages.append(message)
        self.heads[ref] = oid
        return oid

    def resolve(self, revision: str) -> str | None:
        known = {**self.heads, **self.tags}
        return known.get(revision, revision if revision in self.commits else None)


def problem(status: int, code: str, message: str) -> Answer:
    return status, {"X-Error-Code": code, "X-Error-Message": message}, b"{}"


def as_json(content: object, status: int = 200, **headers: str) -> Answer:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


def xet_hashes(store: Path) -> dict[str, str]:
    """Maps SHA-256 to Xet hash for all files in a local Xet store, from its shards (xet-core, mdb_shard)."""

    def as_hex(raw: bytes) -> str:
        return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))

    found = {}
    for shard in store.rglob("*.mdb"):
        content, at = shard.read_bytes(), 48
        while content[at : at + 32] != b"\xff" * 32:
            name = as_hex(content[at : at + 32])
            flags, segments = struct.unpack_from("<II", content, at + 32)
            at += 48 * (1 + segments)
            if flags & 1 << 31:  # a verification entry for each segment
                at += 48 * segments
            if flags & 1 << 30:  # metadata: the SHA-256
                found[as_hex(content[at : at + 32])] = name
                at += 48
    return found


class LoopbackHub:
    """The server; a context manager.

    Attributes:
        repositories: By kind and id, such as ``("models", "user/model")``.
        log: Method and path of every request.
        dies_at: Method and start of a path; at the first such request the server crashes half-way.
        meanwhile: Called before every commit, to simulate concurrent changes.
    """

    def __init__(self, xet_store: Path | None = None) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.log: list[str] = []
        self.dies_at: str | None = None
        self.dead = False
        self.meanwhile: Callable[[Repository], object] = lambda repository: None
        self.xet_store = xet_store
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        # Large files are on another host name: the client follows redirects to the same host too early.
        self.storage = f"http://localhost:{self.server.server_port}"

    def __enter__(self) -> "LoopbackHub":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(
        self, repo_id: str, files: dict[str, bytes], *, private: bool = False, kind: str = "models"
    ) -> Repository:
        """Creates a repository with files on main."""
        repository = self.repositories[kind, repo_id] = Repository(private)
        blobs = {name: blob(content, large=name.endswith(LARGE)) for name, content in files.items()}
        self.large |= {each.sha256: each.content or b"" for each in blobs.values() if each.large}
        repository.commit("main", "first", blobs)
        return repository

    def files(self, repo_id: str, revision: str = "main", kind: str = "models") -> dict[str, Blob]:
        repository = self.repositories[kind, repo_id]
        oid = repository.resolve(revision)
        assert oid is not None, f"no revision {revision}"
        return repository.commits[oid]

    # Responses.

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        path, query = unquote(parts.path), parse_qs(parts.query)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN):
            return problem(401, "", "Invalid user token.")
        known = token == TOKEN
        if path.startswith("/storage/"):
            return self._storage(method, path.removeprefix("/storage/"), body)
        if path == "/api/whoami-v2":
            user = {"type": "user", "id": "1", "name": USER, "orgs": []}
            return as_json(user) if known else problem(401, "", "Invalid username or password.")
        if path == "/api/validate-yaml":
            return as_json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body)) if known else problem(401, "", "Log in first.")
        match = re.fullmatch(r"/api/(models|spaces|datasets)/([^/]+/[^/]+)/?(.*)", path)
        kind, repo_id, rest = match.groups() if match else self._plain(path)
        repository = self.repositories.get((kind, repo_id))
        if repository is None or (repository.private and not known):
            return problem(404 if known else 401, "RepoNotFound", "Repository not found")
        if not match and rest.startswith("resolve/"):
            return self._resolve(repository, f"{kind}/{repo_id}", rest.removeprefix("resolve/"))
        if method in ("POST", "PUT", "DELETE") and not known and not rest.startswith("paths-info"):
            return problem(401, "", "Log in first.")
        if rest == "info/lfs/objects/batch":
            return self._batch(json.loads(body))
        return self._api(repository, repo_id, method, rest, query, body)

    def _plain(self, path: str) -> tuple[str, str, str]:
        match = re.fullmatch(r"/(?:(spaces|datasets)/)?([^/]+/[^/]+?)(?:\.git)?/((?:resolve|info)/.+)", path)
        return (match[1] or "models", match[2], match[3]) if match else ("", "", "")

    def _create(self, wanted: dict[str, Any]) -> Answer:
        kind = (wanted.get("type") or "model") + "s"
        repo_id = f"{wanted.get('organization') or USER}/{wanted['name'].split('/')[-1]}"
        url = f"{self.address}/{'spaces/' if kind == 'spaces' else ''}{repo_id}"
        if (kind, repo_id) in self.repositories:
            return as_json({"error": "You already created this repo", "url": url}, 409)
        private = wanted.get("private") or wanted.get("visibility") == "private"
        repository = self.repositories[kind, repo_id] = Repository(bool(private), wanted.get("sdk"))
        repository.commit("main", "initial commit", {".gitattributes": blob(b"*.tflite filter=lfs\n")})
        return as_json({"url": url, "name": repo_id, "id": "1"})

    def _storage(self, method: str, sha256: str, body: bytes) -> Answer:
        if method == "PUT":
            if hashlib.sha256(body).hexdigest() != sha256:
                return problem(400, "BadRequest", "another SHA-256 was announced")
            self.large[sha256] = body
            return 200, {"ETag": '"stored"'}, b""
        return 200, {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}, self.large[sha256]

    def _batch(self, wanted: dict[str, Any]) -> Answer:
        objects = []
        for each in wanted["objects"]:
            known = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.large:
                known["actions"] = {"upload": {"href": f"{self.address}/storage/{each['oid']}", "header": {}}}
            objects.append(known)
        return as_json(
            {"transfer": "basic", "objects": objects}, **{"Content-Type": "application/vnd.git-lfs+json"}
        )

    def _api(
        self, repository: Repository, repo_id: str, method: str, rest: str, query: dict[str, Any], body: bytes
    ) -> Answer:
        operation, _, argument = rest.partition("/")
        if operation.startswith("xet-"):
            address = f"local://{self.xet_store}"
            # Sent twice: uploads read the body, downloads the headers.
            content = {"casUrl": address, "accessToken": "token", "exp": 4102444800}
            names = ("X-Xet-Cas-Url", "X-Xet-Access-Token", "X-Xet-Token-Expiration")
            return as_json(content, **dict(zip(names, map(str, content.values()), strict=True)))
        if operation in ("tag", "branch"):
            return self._reference(repository, operation, argument, json.loads(body or b"{}"))
        if operation == "refs":
            return as_json(
                {
                    key: self._listed(refs)
                    for key, refs in (
                        ("branches", repository.heads),
                        ("tags", repository.tags),
                        ("converts", {}),
                    )
                }
            )
        oid = repository.resolve(re.sub(r"^(refs/pr/\d+|[^/]*).*", r"\1", argument) or "main")
        if oid is None:
            return problem(404, "RevisionNotFound", f"Invalid rev id: {argument}")
        files = repository.commits[oid]
        if operation == "preupload":
            return as_json({"files": [self._planned(files, each) for each in json.loads(body)["files"]]})
        if operation == "commit":
            return self._commit(repository, repo_id, argument, body, bool(query.get("create_pr")))
        if operation == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            return as_json([self._entry(name, files[name]) for name in wanted if name in files])
        if operation == "tree":
            return self._tree(
                files, argument.partition("/")[2], recursive=query.get("recursive") in (["True"], ["true"])
            )
        siblings = [{"rfilename": name} for name in files]
        return as_json(
            {"id": repo_id, "sha": oid, "private": repository.private, "siblings": siblings, "tags": []}
        )

    def _listed(self, references: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": name, "ref": name, "targetCommit": oid} for name, oid in references.items()]

    def _tree(self, files: dict[str, Blob], folder: str, *, recursive: bool) -> Answer:
        start = folder and f"{folder}/"
        inside = {name: each for name, each in files.items() if name.startswith(start)}
        if folder and not inside:
            return problem(404, "EntryNotFound", f"{folder} does not exist")
        if recursive:
            return as_json([self._entry(name, each) for name, each in inside.items()])
        own = {name: each for name, each in inside.items() if "/" not in name.removeprefix(start)}
        folders = {start + name.removeprefix(start).partition("/")[0] for name in inside.keys() - own.keys()}
        about = [{"type": "directory", "path": name, "size": 0, "oid": ""} for name in sorted(folders)]
        return as_json([*about, *(self._entry(name, each) for name, each in own.items())])

    def _entry(self, name: str, each: Blob) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": name, "size": each.size, "oid": each.etag}
        if each.large:
            entry["lfs"] = {"oid": each.sha256, "size": each.size, "pointerSize": 130}
        if each.xet_hash:
            entry["xetHash"] = each.xet_hash
        return entry

    def _planned(self, files: dict[str, Blob], each: dict[str, Any]) -> dict[str, Any]:
        name = each["path"]
        mode = "lfs" if name.endswith(LARGE) else "regular"
        known = {"oid": files[name].etag} if name in files else {}
        return {"path": name, "uploadMode": mode, "shouldIgnore": False, **known}

    def _reference(self, repository: Repository, kind: str, argument: str, wanted: dict[str, Any]) -> Answer:
        if kind == "tag":
            references, name, start = repository.tags, wanted["tag"], argument
        else:
            references, name, start = repository.heads, argument, wanted.get("startingPoint") or "main"
        if name in references:
            return as_json({"error": "Reference already exists"}, 409)
        oid = repository.resolve(start)
        if oid is None:
            return problem(404, "RevisionNotFound", f"Invalid rev id: {start}")
        references[name] = oid
        return as_json({})

    def _commit(self, repository: Repository, repo_id: str, ref: str, body: bytes, proposed: bool) -> Answer:
        self.meanwhile(repository)
        lines = [json.loads(line) for line in body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        base = repository.resolve(ref)
        if base is None:
            return problem(404, "RevisionNotFound", f"Invalid rev id: {ref}")
        if header.get("parentCommit") not in (None, base):
            return problem(
                412, "PreconditionFailed", "A commit has happened since. Please refresh and try again."
            )
        files = dict(repository.commits[base])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = blob(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                sha256, size, content = value["oid"], value["size"], self.large.get(value["oid"])
                xet_hash = xet_hashes(self.xet_store).get(sha256) if self.xet_store else None
                if content is None and xet_hash is None:
                    return problem(422, "LfsMissing", f"{sha256} was never uploaded")
                files[value["path"]] = Blob(size, sha256, content, True, xet_hash)
        done: dict[str, Any] = {"success": True, "hookOutput": ""}
        if proposed:
            number = 1 + sum(name.startswith("refs/pr/") for name in repository.heads)
            ref = f"refs/pr/{number}"
            done["pullRequestUrl"] = f"{self.address}/{repo_id}/discussions/{number}"
        oid = repository.commit(ref, header["summary"], files)
        return as_json({**done, "commitOid": oid, "commitUrl": f"{self.address}/{repo_id}/commit/{oid}"})

    def _resolve(self, repository: Repository, where: str, rest: str) -> Answer:
        revision, _, name = rest.partition("/")
        oid = repository.resolve(revision)
        if oid is None:
            return problem(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        each = repository.commits[oid].get(name)
        if each is None:
            status, headers, body = problem(404, "EntryNotFound", "Entry not found")
            return status, {**headers, "X-Repo-Commit": oid}, body
        headers = {"X-Repo-Commit": oid, "ETag": f'"{each.etag}"', "Accept-Ranges": "bytes"}
        if not each.large:
            assert each.content is not None
            return 200, headers, each.content
        headers |= {
            "X-Linked-ETag": f'"{each.sha256}"',
            "X-Linked-Size": str(each.size),
            "Location": f"{self.storage}/storage/{each.sha256}",
        }
        if each.xet_hash:
            route = f"{self.address}/api/{where}/xet-read-token/{oid}"
            headers |= {"X-Xet-Hash": each.xet_hash, "X-Xet-Refresh-Route": route}
        return 302, headers, b""


class Machine:
    """A computer whose user is logged in to the Hub."""

    def __init__(self, server: LoopbackHub, home: Path, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        self.server = server
        self.environment = {
            **kept,
            "HF_ENDPOINT": server.address,
            "HF_HOME": str(home),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **environment,
        }

    def run(self, *arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
        program = ["-c", code] if code is not None else ["-m", "yamnet_cry", *arguments]
        return subprocess.run(
            [sys.executable, *program], env=self.environment, capture_output=True, text=True, check=False
        )

    def pushes(self, *arguments: str) -> str:
        result = self.run("push", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def fails(self, *arguments: str) -> str:
        result = self.run("push", *arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        return result.stderr.strip().splitlines()[-1]


def _handler(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Logs nothing."""

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = f"{self.command} {self.path}"
            hub.log.append(request)
            dying = hub.dead or (hub.dies_at is not None and request.startswith(hub.dies_at))
            body = self.rfile.read(length // 2 if dying else length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answers, content = hub.answer(
                self.command, self.path, headers, body if not dying else b""
            )
            if dying and (self.command != "GET" or hub.dead):
                hub.dead = True
                self.close_connection = True
                return
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if wanted and status == 200:
                first, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
                answers = {**answers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}
                status, content = 206, content[first : last + 1]
            self.send_response(status)
            for name, value in {**answers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if dying else content)
            if dying:
                hub.dead = self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    return Handler
