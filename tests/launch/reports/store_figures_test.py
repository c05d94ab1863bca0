# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Laws of the figures of a store's report."""

from launch.reports.store_figures import draw_coverage, draw_sizes

EDGES = [1, 2, 4, 8, 16, 32, 64]


def histogram(*counts):
  return {"edges": EDGES, "counts": counts}


def test_a_figure_shows_shares_not_counts():
  """A corpus that is ten times as large looks the same."""
  counts = (0, 3, 9, 4, 1, 0)
  one = draw_sizes({"train": histogram(*counts)}, "tokens")
  ten = draw_sizes({"train": histogram(*(10 * n for n in counts))}, "tokens")
  assert one == ten
  assert one != draw_sizes({"train": histogram(0, 4, 9, 4, 1, 0)}, "tokens")


def test_every_mark_is_named_and_inside_the_axis():
  """Also far beyond the longest text."""
  made = histogram(0, 3, 9, 4, 1, 0)
  figure = draw_sizes({"train": made}, "tokens", {"longest row": 512})
  assert ">longest row<" in figure
  assert ">100<" in figure
  assert ">100<" not in draw_sizes({"train": made}, "tokens")


def test_splits_are_told_apart_where_there_are_two():
  made = histogram(0, 3, 9, 4, 1, 0)
  both = draw_sizes({"train": made, "validation": made}, "tokens")
  assert ">train<" in both
  assert ">validation<" in both
  assert ">train<" not in draw_sizes({"train": made}, "tokens")


def test_coverage_is_drawn_from_nothing_to_all_of_the_text():
  points = [{"pieces": 10**k, "share": k / 4} for k in range(5)]
  figure = draw_coverage(points)
  assert all(f">{share} %<" in figure for share in (0, 20, 100))
  assert draw_coverage(points[:3]) != figure
