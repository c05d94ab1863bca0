# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the page of a study shows of its earlier points."""

import json

from launch.reports import sweep_points
from launch.sweep.report import PAGE, REPORT
from tests.testing.html_page import HtmlPage


def read(folder):
  return json.loads((folder / REPORT).read_text())


def test_probes_at_several_points_are_curves_with_their_differences(probed):
  view = sweep_points.view_points(read(probed), most=12)
  accuracy, loss = view["points"]
  assert (accuracy["metric"], loss["metric"]) == ("probe accuracy", "mlm loss")
  assert [words for _, words in accuracy["panels"]] == [
    "mlm_nsp and nsp_rows",
    "mlm_nsp and mlm",
  ]
  for svg, _ in accuracy["panels"]:
    assert ">difference</text>" in svg
    assert svg.count("fill-opacity: 0.2") == 2  # bands over the seeds
  # Losses of mlm are of rows of its own, and do not compare.
  of_rows, of_mlm = (svg for svg, _ in loss["panels"])
  assert ">difference</text>" in of_rows
  assert ">difference</text>" not in of_mlm
  # Two points of two arms in accuracy, and of one in the loss.
  assert view["number_at_points"] == len(view["point_rows"]) == 6
  (row,) = (
    row
    for row in view["point_rows"]
    if row[:3] == ["0.5", "mlm", "probe accuracy"]
  )
  assert " to " in row[4]
  text = " ".join(HtmlPage(probed / PAGE).text)
  assert "for the 6 comparisons of all earlier points" in text


def test_panels_of_points_beyond_what_a_page_draws_are_named(probed):
  (accuracy, _) = sweep_points.view_points(read(probed), most=1)["points"]
  assert accuracy["left_out"] == "mlm"
  assert len(accuracy["panels"]) == 1


def test_an_end_alone_has_no_figures(probed):
  view = sweep_points.view_points({**read(probed), "points": {}}, most=12)
  assert view["points"] == view["point_rows"] == []
