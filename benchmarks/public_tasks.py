# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Scores on public data sets, with their spread over seeds.

    python -m benchmarks.public_tasks --data=DIR --bundle=DIR \
      [--books_bundle=DIR] [--output=runs/public_tasks] [--only=cola,rte]

Fine-tunes a bundle on each data set with five seeds, and prints a Markdown
table. It is also in `OUTPUT/table.md`, and is written again after each seed
from what `OUTPUT` holds: a data set of which nothing stands there says "not
run". Running the command again goes on where it stopped. `--books_bundle`, a
bundle of benchmarks.books, adds rows from that bundle and from random weights
of its shape.
"""

import json
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from benchmarks.public_tasks_rows import (
  RECALL,
  ROWS,
  WITHOUT,
  Row,
  make_config,
)
from bertjax import files
from bertjax.checkpoints.bundle import read_pretrained
from bertjax.files import first_line
from bertjax.finetune.degenerate import degenerate_seeds
from bertjax.finetune.experiment import Result
from bertjax.finetune.trial import TrialResult, read_result
from bertjax.interop.onnx import processor
from bertjax.trials.markdown import markdown
from bertjax.trials.statistics import summarize
from bertjax.trials.store import IDENTITY, RESULT, TRIALS, Trial
from launch import cli, finetune, host_memory
from launch.preflight.settle import each_once

SEEDS = 5
TABLE = "table.md"
TIMES = "seconds.jsonl"
NOT_RUN = "not run"


def choose(
  rows: Mapping[str, Row],
  only: Sequence[str],
  data: pathlib.Path,
  books_bundle: str | None,
) -> list[str]:
  """Return the names of the rows to run.

  Args:
    rows: all rows.
    only: names of some; none for all that can be run.
    data: folder of the data sets.
    books_bundle: bundle for the rows that start from it or from its shape.

  Raises:
    ValueError: a row is unknown or lacks its bundle, or a file is not there.
  """
  for name in only:
    if name not in rows:
      raise ValueError(f"--only={name}; give some of {','.join(rows)}")
    if rows[name].start != "bundle" and not books_bundle:
      raise ValueError(
        f"--only={name} needs --books_bundle=DIR, a bundle of benchmarks.books"
      )
  chosen = [
    name
    for name, row in rows.items()
    if (not only or name in only) and (row.start == "bundle" or books_bundle)
  ]
  for name in chosen:
    for file in rows[name].files.values():
      if not (data / file).exists():
        raise ValueError(
          f"--data={data} has no {file}, which {name} reads; give the folder "
          "that has it, or leave the data set out with --only=NAME,…"
        )
  return chosen


def run(
  rows: Mapping[str, Row],
  names: Sequence[str],
  data: pathlib.Path,
  bundles: Mapping[str, str],
  output: pathlib.Path,
  seeds: int = SEEDS,
) -> None:
  """Run what is not done yet; write and print the table.

  Args:
    rows: all rows, which the table has.
    names: rows to run.
    data: folder of the data sets.
    bundles: {where a row starts: its bundle}.
    output: folder of a folder for each row, and of the table.
    seeds: seeds of a row.

  Raises:
    ValueError: a row failed; then the other ones are done.
  """
  failed = {}
  with each_once():
    for name in names:
      row = rows[name]
      print(f"{row.title}:", flush=True)
      try:
        finetune.run(
          make_config(row, data, seeds),
          bundles[row.start],
          str(output / name),
          "scratch" if row.start == "scratch" else "bundle",
          watch=_recorder(rows, output, name),
        )
      except Exception as error:  # one row does not stop the others
        failed[name] = first_line(error)
        print(f"{name} failed: {failed[name]}", flush=True)
      print(write_table(rows, output), flush=True)
  if failed:
    reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
    raise ValueError(
      f"{len(failed)} of {len(names)} data sets failed, and the others are "
      f"done: {reasons}"
    )


def _recorder(
  rows: Mapping[str, Row], output: pathlib.Path, name: str
) -> Callable[[Trial, Result, float], None]:
  """Return what notes the time of a seed, and writes the table."""

  def record(trial: Trial, _: Result, seconds: float) -> None:
    if seconds:
      line = {
        "trial": trial.name,
        "seconds": round(seconds, 1),
        "processor": str(processor.describe()),
      }
      with (output / name / TIMES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    write_table(rows, output)

  return record


def write_table(rows: Mapping[str, Row], output: pathlib.Path) -> str:
  """Write the table of what a folder holds; return it."""
  text = table(rows, output)
  files.write_text(output / TABLE, text + "\n")
  return text


def table(rows: Mapping[str, Row], output: pathlib.Path) -> str:
  """Return the scores of all rows as Markdown, and where they were computed.

  Args:
    rows: what the table has.
    output: folder of the folders of the rows.
  """
  header = ["data", "score", "mean ± std", "seeds", "degenerate / diverged"]
  header += ["steps", "learning rate", "seconds a seed"]
  lines, machines = [], {}
  for name, row in rows.items():
    found = _read(output / name, row)
    times = _read_times(output / name)
    machines |= dict.fromkeys(each["processor"] for each in times)
    seconds = [each["seconds"] for each in times if each["trial"] in found]
    lines.append(_line(row, list(found.values()), seconds))
  text = markdown(header, lines)
  text += (
    "\n\nMean ± std (n − 1) over seeds, × 100. A score of dev is of the split "
    "that also chose the checkpoint. Seconds are the median, with evaluations."
  )
  if machines:
    text += f" In float32 on {'; '.join(machines)}."
  return text


class Trained(NamedTuple):
  """A seed that is done.

  Attributes:
    seed: the seed.
    rate: its learning rate.
    result: its scores.
    labels: the classes of the data.
  """

  seed: int
  rate: float
  result: Result
  labels: Sequence[str]

  def score(self, split: str, name: str) -> float:
    """Return a score of a run that did not diverge.

    Args:
      split: "dev" or "test".
      name: name of a score, or "recall of CLASS" or "accuracy without CLASS".
    """
    assert isinstance(self.result, TrialResult)
    for kind in (RECALL, WITHOUT):
      if name.startswith(kind):
        counts = self.result.classes[split]
        one = self.labels.index(name.removeprefix(kind))
        right, labeled = counts.right[one], counts.labels[one]
        if kind == WITHOUT:
          right, labeled = (
            sum(counts.right) - right,
            sum(counts.labels) - labeled,
          )
        return right / labeled
    return vars(self.result)[split][name]


def _read(folder: pathlib.Path, row: Row) -> dict[str, Trained]:
  """Return the seeds of a row that are done, by the name of their trial."""
  found = {}
  identity = folder / IDENTITY
  labels = (
    json.loads(identity.read_text(encoding="utf-8"))["labels"]
    if identity.is_file()
    else []
  )
  for path in sorted(folder.glob(f"{TRIALS}/*/{RESULT}")):
    saved = json.loads(path.read_text(encoding="utf-8"))
    settings = saved["settings"]
    if settings["learning_rate"] not in row.settings["learning_rates"]:
      continue  # of another rate, which was tried before
    found[path.parent.name] = Trained(
      settings["seed"],
      settings["learning_rate"],
      read_result(saved["result"]),
      labels,
    )
  return found


def _read_times(folder: pathlib.Path) -> list[dict[str, Any]]:
  path = folder / TIMES
  if not path.is_file():
    return []
  text = path.read_text(encoding="utf-8")
  return [json.loads(line) for line in text.splitlines()]


def _line(
  row: Row, found: Sequence[Trained], seconds: Sequence[float]
) -> list[str]:
  score = f"{row.split} {' / '.join(row.scores)}"
  if not found:
    return [row.title, score, NOT_RUN, *["–"] * 5]
  finished = {
    each.seed: each.result
    for each in found
    if isinstance(each.result, TrialResult)
  }
  means = " / ".join(
    _mean([e.score(row.split, name) for e in found if e.seed in finished])
    for name in row.scores.values()
  )
  steps = {int(run.curve[-1]["step"]) for run in finished.values()}
  rates = dict.fromkeys(f"{each.rate:g}" for each in found)
  return [
    row.title,
    score,
    means,
    str(len(found)),
    f"{len(degenerate_seeds(finished))} / {len(found) - len(finished)}",
    ", ".join(map(str, sorted(steps))) or "–",
    ", ".join(rates),
    f"{statistics.median(seconds):.0f}" if seconds else "–",
  ]


def _mean(values: Sequence[float]) -> str:
  if not values:
    return "–"
  summary = summarize(values)
  spread = "" if summary.std is None else f" ± {100 * summary.std:.1f}"
  return f"{100 * summary.mean:.1f}{spread}"


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  flags.DEFINE_string("data", None, "Folder of the data sets.", required=True)
  flags.DEFINE_string("bundle", None, "Encoder to fine-tune.", required=True)
  flags.DEFINE_string("books_bundle", None, "Bundle of benchmarks.books.")
  flags.DEFINE_string("output", "runs/public_tasks", "Folder to write.")
  flags.DEFINE_list("only", [], f"Some of {','.join(ROWS)}; default: all.")
  flags.DEFINE_integer("seeds", SEEDS, "Seeds of a data set.", lower_bound=1)


def main(_: Sequence[str]) -> None:
  """Run, and print the table."""
  values = flags.FLAGS
  data, books = pathlib.Path(values.data), values.books_bundle
  names = choose(ROWS, values.only, data, books)
  bundles = {"bundle": values.bundle, "books": books, "scratch": books}
  for start in dict.fromkeys(ROWS[name].start for name in names):
    read_pretrained(bundles[start])  # refuse a wrong bundle before any run
  run(ROWS, names, data, bundles, pathlib.Path(values.output), values.seeds)


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
