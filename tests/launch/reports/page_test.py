# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pathlib
import re

import matplotlib
import pytest

from launch.reports import page

TEMPLATES = pathlib.Path(page.__file__).parent / "templates"


def test_a_figure_is_an_element_in_the_colors_of_its_page():
  before = dict(matplotlib.rcParams)
  with page.draw("one") as drawing:
    drawing.axes.plot([1, 2], [3, 4], color=page.Ink.SECOND)
    drawing.axes.set_title("a < b")
  assert drawing.svg.startswith("<svg viewBox=")
  assert drawing.svg.endswith("</svg>")
  assert "var(--second)" in drawing.svg
  assert "#00000" not in drawing.svg
  assert "http" not in drawing.svg
  assert "a &lt; b" in drawing.svg
  assert dict(matplotlib.rcParams) == before


def test_a_figure_is_the_same_whatever_the_user_has_set():
  def figure():
    with page.draw("one") as drawing:
      drawing.axes.stairs([1, 2], [0, 1, 2], fill=True)
    return drawing.svg

  first = figure()
  with matplotlib.rc_context({"axes.linewidth": 9, "hatch.color": "pink"}):
    assert figure() == first


@pytest.mark.parametrize(
  ("value", "shown"),
  [
    (0.0, "0 %"),
    (1e-9, "<0.0001 %"),
    (0.00011, "0.01 %"),
    (0.0123, "1.2 %"),
    (0.51352, "51.4 %"),
    (1.0, "100.0 %"),
  ],
)
def test_only_a_share_of_0_looks_like_0(value, shown):
  assert page.format_share(value) == shown.replace(" ", "\u00a0")


def colors(rule):
  """{variable: color} of a rule of the style sheet."""
  return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", rule))


def luminance(color):
  """Relative luminance, by WCAG 2.2."""
  values = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
  linear = [
    each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
    for each in values
  ]
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
  low, high = sorted(map(luminance, (one, other)))
  return (high + 0.05) / (low + 0.05)


@pytest.fixture(scope="module")
def schemes():
  """The colors of a page in a light and in a dark room."""
  style = (TEMPLATES / "page.html").read_text(encoding="utf-8")
  light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
  return {"light": colors(light), "dark": colors(dark)}


def test_both_schemes_have_all_colors(schemes):
  assert {*schemes["light"]} == {*schemes["dark"]}
  assert luminance(schemes["dark"]["page"]) < 0.1
  assert luminance(schemes["light"]["page"]) > 0.9


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_curves_are_seen_on_their_ground(schemes, scheme):
  """By WCAG 2.2, 4.5 to 1 for texts (1.4.3) and 3 to 1 for lines (1.4.11)."""
  found = schemes[scheme]
  for ground in ("page", "card"):
    for name, least in (("text", 7), ("muted", 4.5), ("first", 3)):
      assert contrast(found[name], found[ground]) >= least, (name, ground)
    assert contrast(found["second"], found[ground]) >= 3, ground
  for text, ground in (("on-a", "a"), ("on-b", "b"), ("text", "note")):
    assert contrast(found[text], found[ground]) >= 4.5, text


@pytest.mark.parametrize(
  "path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.stem
)
def test_what_scrolls_is_reached_by_the_keyboard(path):
  text = path.read_text(encoding="utf-8")
  found = re.findall(r'<\w+ class="[^"]*\bscroll\b[^>]*>', text)
  assert all('tabindex="0"' in each for each in found), found


def test_a_page_fits_on_paper():
  """Nothing that scrolls is cut, and no figure is torn in two."""
  style = (TEMPLATES / "page.html").read_text(encoding="utf-8")
  rules = style.partition("@media print {")[2].partition("\n}")[0]
  assert ".scroll { overflow: visible; }" in rules
  assert re.search(r"figure[^{]*\{ break-inside: avoid; \}", rules)
