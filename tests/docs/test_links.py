"""Links lead somewhere, and each page has its twin in the other language."""

import re
from pathlib import Path

import pytest
from pages import HOME, PAGES, blocks, commands, headings, name, prose

ONE_LANGUAGE = {"CHANGELOG.md", "RESULTS.md", "dataset/README.md"}
ENGLISH = [p for p in PAGES if not p.name.endswith(".zh.md") and name(p) not in ONE_LANGUAGE]


def anchors(page: Path) -> set[str]:
    """What a link may name behind the #, as GitHub and its like make it of headings."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings(page))
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_pictures_resolve(page: Path) -> None:
    for link in re.findall(r"\[[^]]*\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", ENGLISH, ids=name)
def test_twin_shows_the_same(page: Path) -> None:
    twin = page.with_name(f"{page.stem}.zh.md")
    assert [language for language, _ in blocks(page)] == [language for language, _ in blocks(twin)]
    assert commands(page) == commands(twin)
    assert len(headings(page)) == len(headings(twin))
    links = [re.findall(r"\]\(([\w/]+)(?:\.zh)?\.md", prose(p)) for p in (page, twin)]
    assert sorted(links[0]) == sorted(links[1])


def test_no_page_without_twin() -> None:
    chinese = {p.with_name(p.name.replace(".zh.md", ".md")) for p in PAGES if ".zh." in p.name}
    assert chinese == set(ENGLISH)


@pytest.mark.parametrize("language", ["", ".zh"], ids=["English", "Chinese"])
def test_readme_leads_to_every_page(language: str) -> None:
    text = (HOME / f"README{language}.md").read_text(encoding="utf-8")
    for page in ENGLISH:
        if page.parent.name == "docs":
            assert f"(docs/{page.stem}{language}.md)" in text
