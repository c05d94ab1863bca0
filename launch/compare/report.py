# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison as text for a terminal, and as a page."""

from collections.abc import Iterator, Sequence

from bertjax.trials.finding import FoundWrong
from bertjax.trials.markdown import markdown
from launch.compare import figures
from launch.compare.differences import Difference, Differences
from launch.compare.measures import compare_scores, measure
from launch.compare.runs import Run
from launch.reports import page

TITLE = "runs compared"  # in the title of each page
_WIDEST = 40  # characters of a value in a terminal
_CURVES = ("mlm_loss", "mlm_accuracy", "nsp_accuracy", "sop_accuracy")
_KINDS = {"pretrain": "pre-training", "finetune": "fine-tuning"}


def to_text(runs: Sequence[Run], found: Differences) -> str:
  """Return tables for a terminal, with a letter for each run."""
  letters = [figures.letter(number) for number in range(len(runs))]
  parts = [
    "\n".join(
      f"{name}: {run.folder}" for name, run in zip(letters, runs, strict=True)
    )
  ]
  parts += [f"warning: {each}" for each in found.cautions]
  parts += [
    f"warning of {name}: {each.line}" for name, each in _findings(runs, letters)
  ]
  parts.append(
    markdown(["", *letters], [[n, *cells] for n, cells in measure(runs)])
  )
  parts += [f"{each}." for each in _sentences(runs, letters)]
  for what, differ, equal in _groups(found):
    if differ:
      rows = [[each.name, *map(_short, each.values)] for each in differ]
      parts.append(markdown([what, *letters], rows))
    parts.append(_of_equal(what, differ, equal))
  return "\n\n".join(part for part in parts if part)


def to_page(runs: Sequence[Run], found: Differences) -> str:
  """Return the page; it is self-contained and the same for equal runs."""
  letters = [figures.letter(number) for number in range(len(runs))]
  return page.render(
    "compare_report.html",
    {
      "kind": _KINDS[runs[0].kind],
      "title": TITLE,
      "runs": [
        (name, str(run.folder)) for name, run in zip(letters, runs, strict=True)
      ],
      "cautions": found.cautions,
      "findings": _findings(runs, letters),
      "letters": letters,
      "measures": measure(runs),
      "sentences": [f"{each}." for each in _sentences(runs, letters)],
      "figures": [each for each in _draw(runs) if each[0]],
      "groups": [
        (what, differ, _of_equal(what, differ, equal), equal)
        for what, differ, equal in _groups(found)
      ],
    },
  )


def _findings(
  runs: Sequence[Run], names: Sequence[str]
) -> list[tuple[str, FoundWrong]]:
  """Return what each run warned of, after the name of the run."""
  return [
    (name, each)
    for name, run in zip(names, runs, strict=True)
    for each in run.findings
  ]


def _draw(runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
  """Yield figures with their captions; a figure of nothing is ""."""
  if runs[0].kind == "pretrain":
    for metric in _CURVES:
      words = metric.replace("_", " ")
      yield (
        figures.draw_validation(runs, metric),
        f"Validation {words} over steps.",
      )
      yield (
        figures.draw_validation(runs, metric, over_tokens=True),
        f"Validation {words} over the tokens that were seen.",
      )
    yield figures.draw_speed(runs), "Speed, as each run measured its own."
    return
  assert runs[0].result is not None
  metric = runs[0].result.scores.metric
  has_test = all(run.result and run.result.scores.test for run in runs)
  split = "test" if has_test else "dev"
  words = metric.replace("_", " ")
  yield (
    figures.draw_scores(runs, split, metric),
    f"{words} on {split}: a dot for each seed, a stroke for their mean.",
  )
  yield figures.draw_dev(runs, metric), f"{words} on dev, a line for each seed."


def _sentences(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
  if runs[0].kind == "pretrain":
    return []
  return [each.sentence for each in compare_scores(runs, names)]


def _groups(
  found: Differences,
) -> list[tuple[str, tuple[Difference, ...], dict[str, str]]]:
  return [
    ("field of the config", found.fields, dict(found.equal)),
    ("data and weights", found.facts, dict(found.equal_facts)),
    ("version", found.versions, dict(found.equal_versions)),
  ]


def _of_equal(
  what: str, differ: Sequence[Difference], equal: dict[str, str]
) -> str:
  """Return a sentence on what is the same in all runs."""
  other = "other " if differ else ""
  if what == "field of the config":
    return f"All {len(equal)} {other}fields of the config are equal."
  if what == "version":
    same = ", ".join(f"{name} {version}" for name, version in equal.items())
    if same:
      return f"The same in all runs: {same}."
    return "" if differ else "No run says with which versions it was made."
  names = ", ".join(equal)
  return f"Equal in all runs: {names}." if names else ""


def _short(value: str) -> str:
  return value if len(value) <= _WIDEST else f"{value[: _WIDEST - 1]}…"
