# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What runs came to, a line a metric: last and best values, speed, scores."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bertjax.objectives.pretraining import SUMMARY_METRICS
from bertjax.trials.comparison import Comparison, compare, correct
from launch.compare.runs import Line, Run

NOTHING = "–"
_ENTROPY, _LOSS = "unigram_entropy", "mlm_loss"
_LENGTH = "seq_length"
# A name, and a cell for each run.
Row = tuple[str, tuple[str, ...]]


def measure(runs: Sequence[Run]) -> list[Row]:
  """Return what the runs came to."""
  rows = _finetuned(runs) if runs[0].kind == "finetune" else _pretrained(runs)
  return [row for row in rows if any(cell != NOTHING for cell in row[1])]


def tokens_at(run: Run, steps: Sequence[int]) -> list[float]:
  """Return the tokens that a run had seen after some of its steps."""
  known = [line for line in run.train if "tokens" in line]
  if not known:
    return []
  return np.interp(
    steps,
    [0, *(line["step"] for line in known)],
    [0, *(line["tokens"] for line in known)],
  ).tolist()


def compare_scores(
  runs: Sequence[Run], names: Sequence[str]
) -> tuple[Comparison, ...]:
  """Compare fine-tuning runs with the first one, by the seeds of both.

  By the score that chose the first run's learning rate, on test, or on dev
  where one has no test. Runs without a common seed are left out.

  Args:
    runs: the runs.
    names: what to call them.
  """
  base, found = runs[0], []
  assert base.result is not None
  metric = base.result.scores.metric
  split = (
    "test" if all(r.result and r.result.scores.test for r in runs) else ("dev")
  )
  for run, name in zip(runs[1:], names[1:], strict=True):
    ours, theirs = _by_seed(run, split, metric), _by_seed(base, split, metric)
    seeds = ours.keys() & theirs.keys()
    if seeds:
      found.append(
        compare(
          {seed: ours[seed] for seed in seeds},
          {seed: theirs[seed] for seed in seeds},
          name=name,
          baseline_name=names[0],
          metric=f"{split}_{metric}",
        )
      )
  return correct(found)


def _pretrained(runs: Sequence[Run]) -> Iterator[Row]:
  yield "step", _cells(f"{run.step:,}" for run in runs)
  yield (
    "tokens seen",
    _cells(
      NOTHING if run.tokens is None else f"{run.tokens:,}" for run in runs
    ),
  )
  for name in SUMMARY_METRICS:
    words = name.replace("_", " ")
    yield f"validation {words}", _cells(_last(run, name) for run in runs)
    yield f"best validation {words}", _cells(_best(run, name) for run in runs)
  yield "unigram entropy", _cells(_last(run, _ENTROPY) for run in runs)
  yield "nats below it", _cells(_below(run) for run in runs)
  yield (
    "tokens a second",
    _cells(_median(run, "tokens_per_second", ",.0f") for run in runs),
  )
  yield (
    "seconds a step",
    _cells(_median(run, "step_seconds", ".4g") for run in runs),
  )
  yield (
    "share of waiting for data",
    _cells(_median(run, "wait_share", ".2%") for run in runs),
  )


def _finetuned(runs: Sequence[Run]) -> Iterator[Row]:
  results = [run.result for run in runs if run.result is not None]
  yield "start", _cells(each.init for each in results)
  yield (
    "learning rate",
    _cells(
      f"{each.scores.learning_rate:g} of {len(each.scores.selection)}"
      for each in results
    ),
  )
  yield "seeds", _cells(str(len(each.scores.seeds)) for each in results)
  yield "diverged", _cells(str(len(each.scores.diverged)) for each in results)
  yield "steps of a trial", _cells(f"{each.steps:,}" for each in results)
  for split in ("dev", "test"):
    scores = [dict(getattr(each.scores, split)) for each in results]
    for name in dict.fromkeys(name for each in scores for name in each):
      yield (
        f"{split} {name.replace('_', ' ')}",
        _cells(str(each[name]) if name in each else NOTHING for each in scores),
      )
  yield (
    "expected best of the seeds on dev",
    _cells(f"{each.scores.expected_best['seeds'][-1]:.4f}" for each in results),
  )


def _last(run: Run, name: str) -> str:
  line = _last_line(run)
  return f"{line[name]:.4f}" if name in line else NOTHING


def _last_line(run: Run) -> Line:
  return run.validation[-1] if run.validation else {}


def _best(run: Run, name: str) -> str:
  # Rows of another phase have another length, and other losses.
  length = _last_line(run).get(_LENGTH)
  lines = [
    line
    for line in run.validation
    if name in line and line.get(_LENGTH) == length
  ]
  if not lines:
    return NOTHING
  choose = min if name.endswith("loss") else max
  best = choose(lines, key=lambda line: line[name])
  return f"{best[name]:.4f} at {best['step']:,}"


def _below(run: Run) -> str:
  line = _last_line(run)
  if _LOSS not in line or _ENTROPY not in line:
    return NOTHING
  return f"{line[_ENTROPY] - line[_LOSS]:.4f}"


def _median(run: Run, name: str, form: str) -> str:
  values = [line[name] for line in run.timing if name in line]
  return format(statistics.median(values), form) if values else NOTHING


def _by_seed(run: Run, split: str, metric: str) -> Mapping[int, float]:
  assert run.result is not None
  scores = run.result.scores
  summary = scores.summary(split, metric)
  if summary is None:
    return {}
  return dict(zip(scores.seeds, summary.values, strict=True))


def _cells(values: Iterator[str]) -> tuple[str, ...]:
  return tuple(values)
