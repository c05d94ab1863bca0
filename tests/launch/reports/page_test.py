# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import matplotlib
import pytest

from launch.reports import page


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
