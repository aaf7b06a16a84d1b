"""A hook of MkDocs: adds reports outside ``docs`` as pages, and links other files to the repository.

Documents have links relative to their own file, so that they work in the repository. The hook rewrites them
for the site.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

REPORTS = ("firmware", "hearing", "hosts", "soak", "speed")

# The page on the site of each file outside ``docs``.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "MODEL_CARD.md": "model_card.md",
    "README.md": "readme.md",
    "SECURITY.md": "security.md",
    "examples/home_assistant/README.md": "home_assistant.md",
    **{path: path for path in (f"benchmarks/{name}.md" for name in REPORTS)},
}

_LINK = re.compile(r"(?P<before>\]\()(?P<to>[^)\s#]+)(?P<after>#[^)]*)?\)")
_SOURCE = re.compile(r'(?P<before><img[^>]*? src=")(?P<to>[^"]+)(?P<after>)"')
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of files outside ``docs``."""
    for path, page in PAGES.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_without_front_matter(text)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Makes links and pictures relative to the page's path on the site."""
    here = page.file.src_uri
    origin = next((path for path, name in PAGES.items() if name == here), f"docs/{here}")

    def moved(found: re.Match[str]) -> str:
        target, end = resolved(found["to"], origin, here, str(config.repo_url)), found[0][-1]
        return f"{found['before']}{target}{found['after'] or ''}{end}"

    parts = _FENCE.split(markdown)
    parts[::2] = [_SOURCE.sub(moved, _LINK.sub(moved, part)) for part in parts[::2]]
    return "".join(parts)


def resolved(target: str, origin: str, here: str, repository: str) -> str:
    """Returns the target of a link on the site.

    Args:
        target: The link as written, without a fragment.
        origin: Path of the file with the link, from the root of the repository.
        here: Path of its page, from the root of the site.
        repository: URL of the repository, for files that are not pages.

    Examples:
        >>> resolved("../README.md", "docs/home.md", "home.md", "https://example.org/r")
        'readme.md'
        >>> resolved("../Dockerfile", "docs/home.md", "home.md", "https://example.org/r")
        'https://example.org/r/blob/main/Dockerfile'
    """
    if re.match(r"[a-z]+:|#|/", target):
        return target
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    if path in PAGES:
        place = PAGES[path]
    elif path.startswith("docs/"):
        place = path.removeprefix("docs/")
    elif (ROOT / path).exists():
        return f"{repository}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"
    else:
        return target  # MkDocs reports it
    return posixpath.relpath(place, posixpath.dirname(here) or ".")


def _without_front_matter(text: str) -> str:
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
