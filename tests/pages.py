"""The pages that users read, and what is in them."""

import re
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]

PAGES = sorted(
    [*HOME.glob("*.md"), *HOME.glob("docs/*.md"), HOME / "dataset" / "README.md"],
    key=lambda page: page.relative_to(HOME).as_posix(),
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_SPAN = re.compile(r"`[^`\n]+`")
_COMMENT = re.compile(r"\s+#.*")


def name(page: Path) -> str:
    """A page as test names show it."""
    return page.relative_to(HOME).as_posix()


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of each block of code."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))


def prose(page: Path) -> str:
    """The page without its blocks and spans of code."""
    return _SPAN.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))


def headings(page: Path) -> list[str]:
    """Text of each heading."""
    return re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.M)


def spans(page: Path) -> list[str]:
    """Each span of code in the text."""
    return [span.strip("`") for span in _SPAN.findall(_FENCE.sub("", page.read_text("utf-8")))]


def commands(page: Path) -> list[str]:
    """Each line that a user is told to type, and each that is shown with a prompt."""
    lines = []
    for language, content in blocks(page):
        for line in content.splitlines():
            if line.startswith("$ ") or language in ("shell", "powershell"):
                lines.append(_COMMENT.sub("", line.removeprefix("$ ")))
    return lines
