# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a study says about its question, in a sentence or two."""

from collections.abc import Sequence

from bertjax.trials.comparison import Comparison


def answer(comparisons: Sequence[Comparison], metric: str) -> str:
  """Return what comparisons with a baseline say in one metric.

  Arms that differ are named with their differences and 95 % intervals. Of the
  others, the one that is farthest from the baseline stands for all.

  Args:
    comparisons: those of `verdicts`; ones in other metrics are left out.
    metric: the metric that answers.
  """
  found = [each for each in comparisons if each.metric == metric]
  words = metric.replace("_", " ")
  if not found:
    return f"No arm was compared with the baseline in {words}."
  if len(found) == 1:
    return f"{found[0].sentence}."
  seeds, baseline = len(found[0].differences), found[0].baseline
  if seeds == 1:
    low = min(found, key=lambda each: each.mean)
    high = max(found, key=lambda each: each.mean)
    return (
      f"With one seed, differences to {baseline} in {words} reach from "
      f"{low.mean:+.3g} ({low.name}) to {high.mean:+.3g} ({high.name}): they "
      "have no spread, and all of them may be chance."
    )
  parts = []
  different = _with(found, "different")
  if different:
    shown = "; ".join(
      f"{each.name} {each.mean:+.3g} (95 % interval {each.interval})"
      for each in different
    )
    verb = "differs" if len(different) == 1 else "differ"
    parts.append(
      f"In {words}, {len(different)} of {len(found)} arms {verb} from "
      f"{baseline}: {shown}."
    )
  equivalent = _with(found, "equivalent")
  if equivalent:
    shown = ", ".join(each.name for each in equivalent)
    parts.append(
      f"Equivalent to {baseline} in {words} within ±{equivalent[0].margin:g}: "
      f"{shown}."
    )
  parts += [f"{each.sentence}." for each in _with(found, "no spread")]
  rest = _with(found, "undecided")
  if rest:
    farthest = max(rest, key=lambda each: abs(each.mean))
    other = "other " if parts else ""
    if len(rest) > 1:
      parts.append(
        f"None of {len(rest)} {other}arms is distinguishable from {baseline} "
        f"in {words} with {seeds} seeds. The farthest from it:"
      )
    parts.append(f"{farthest.sentence}.")
  return " ".join(parts)


def _with(found: Sequence[Comparison], conclusion: str) -> list[Comparison]:
  return [each for each in found if each.conclusion == conclusion]
