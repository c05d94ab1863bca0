# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every link of a page leads to a file that is here, and to a heading of it."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SKIPPED = (".venv", "runs", "build", "dist")
PAGES = sorted(
  page.relative_to(ROOT)
  for page in ROOT.rglob("*.md")
  if page.relative_to(ROOT).parts[0] not in SKIPPED
)


def anchors(page):
  """The names that the headings of a page are linked by."""
  text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
  headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
  kept = (re.sub(r"[^\w\- ]", "", each.lower()) for each in headings)
  return {each.replace(" ", "-") for each in kept}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
  text = (ROOT / page).read_text(encoding="utf-8")
  for target in re.findall(r"\]\(([^)\s]+)\)", text):
    if re.match(r"\w+:", target):
      continue
    name, _, anchor = target.partition("#")
    linked = ROOT / pathlib.Path(page).parent / name if name else ROOT / page
    assert linked.exists(), f"{page}: {target}"
    if anchor:
      assert anchor in anchors(linked), f"{page}: {target}"


def test_the_readme_leads_to_every_page_of_docs():
  """At most over one other page."""
  linked = set()
  for page in ("README.md", *map(str, (ROOT / "docs").glob("*.md"))):
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = (ROOT / page).parent
    for name in re.findall(r"\]\(([^)\s#]+\.md)", text):
      linked.add((folder / name).resolve())
  pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")}
  assert not pages - linked
