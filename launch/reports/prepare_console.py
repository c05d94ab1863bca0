# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Console output of `launch.prepare`: progress, and what the store holds."""

import time
from collections.abc import Iterable, Iterator

import rich.box
import rich.console
import rich.progress
import rich.table

from data_pipelines.corpora.folders import describe_passed_over
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.rows.format_report import FormatReport
from data_pipelines.store.store import Store
from data_pipelines.store.summary import Summary, name_count
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.vocabulary_extension import load_extension

_LINE_SECONDS = 10.0  # between two lines of progress in a log


def prepare_with_progress(
  options: Options, console: rich.console.Console
) -> Summary:
  """Make the store and show progress: bars on a terminal, lines in a log."""
  if console.is_terminal:
    with _Bar(console) as bar:
      return prepare(options, bar)
  return prepare(options, _Lines())


def show_store(
  console: rich.console.Console,
  summary: Summary,
  store: Store,
  formats: Iterable[FormatReport],
) -> None:
  """Print what the store holds, and statistics of its rows."""
  console.print(_table(summary))
  for note in _notes(summary, store):
    console.print(note, soft_wrap=True)
  console.print("training rows of one epoch, by input format/pair objective:")
  console.print(_formats_table(formats))
  console.print(
    "tokens: per example; packs: examples per row; full: share of positions "
    "that are not padding; random: share of examples with a random segment B; "
    "B tokens: tokens of random B, relative to the text; cut off: share of the "
    "text that is truncated. Measured on at most four blocks.",
    soft_wrap=True,
  )


class _Bar:
  """A progress bar for each stage, for a terminal."""

  def __init__(self, console: rich.console.Console) -> None:
    self._bars = rich.progress.Progress(
      rich.progress.TextColumn("{task.description}"),
      rich.progress.BarColumn(),
      rich.progress.TaskProgressColumn(),
      rich.progress.TextColumn("{task.fields[note]}"),
      rich.progress.TimeElapsedColumn(),
      console=console,
    )
    self._stages: dict[str, rich.progress.TaskID] = {}
    self._stage = ""
    self._shown = 0.0

  def __enter__(self) -> "_Bar":
    self._bars.start()
    return self

  def __exit__(self, *_: object) -> None:
    self._finish()
    self._bars.stop()

  def __call__(self, stage: str, share: float | None, tokens: int) -> None:
    """Show progress, at most ten times a second."""
    if stage != self._stage:
      self._finish()
      self._stage = stage
      self._stages[stage] = self._bars.add_task(stage, total=None, note="")
    elif time.monotonic() - self._shown < 0.1:
      return
    self._shown = time.monotonic()
    note = f"{tokens:,} tokens" if tokens else ""
    task = self._stages[stage]
    if share is None:
      self._bars.update(task, note=note)
    else:
      self._bars.update(task, total=1.0, completed=share, note=note)

  def _finish(self) -> None:
    if self._stage:
      self._bars.update(self._stages[self._stage], total=1.0, completed=1.0)


class _Lines:
  """A line for each stage and one every few seconds, for a log."""

  def __init__(self) -> None:
    self._stage = ""
    self._shown = 0.0

  def __call__(self, stage: str, share: float | None, tokens: int) -> None:
    """Print progress at each new stage, and every ten seconds."""
    now = time.monotonic()
    if stage == self._stage and now - self._shown < _LINE_SECONDS:
      return
    new, self._stage, self._shown = stage != self._stage, stage, now
    done = "" if share is None or new else f" {share:.0%}"
    count = "" if new else f", {tokens:,} tokens"
    print(f"{stage}{done}{count}", flush=True)


def _table(summary: Summary) -> rich.table.Table:
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
  table.add_column("split")
  for name in ("documents", "sentences", "tokens"):
    table.add_column(name, justify="right")
  for name, split in summary.splits.items():
    table.add_row(name, *(f"{count:,}" for count in split.values()))
  return table


def _formats_table(formats: Iterable[FormatReport]) -> rich.table.Table:
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=0)
  table.add_column("rows", no_wrap=True)
  for name in ("length", "examples", "tokens", "packs", "full"):
    table.add_column(name, justify="right", no_wrap=True)
  for name in ("random", "B tokens", "cut off"):
    table.add_column(name, justify="right", no_wrap=True)
  for form, task, seq_length, values in formats:
    share = lambda name, values=values: f"{values[name]:.1%}"
    drawn = [share("random_share"), share("random_token_share")]
    table.add_row(
      f"{form}/{task}",
      f"{seq_length}",
      f"{values['examples_per_epoch']:,.0f}",
      f"{values['mean_example_length']:.0f}",
      f"{values['examples_per_row']:.1f}",
      share("efficiency"),
      *(drawn if values["random_share"] else ["–", "–"]),
      share("truncated_share"),
    )
  return table


def _notes(summary: Summary, store: Store) -> Iterator[str]:
  obstacle = tokenizers.load(store.tokenizer_path).export_obstacle
  if obstacle:
    yield (
      f"{summary.tokenizer} has no tokenizer.json, which could not give the "
      f"same ids: {obstacle}; only programs that read spiece.model can use "
      "exported models"
    )
  asked = (store.manifest.recipe.get("tokenizer") or {}).get("size", 0)
  few = f" ({asked:,} asked for)" if asked > summary.vocab_size else ""
  yield (
    f"{summary.tokenizer}, vocabulary of {summary.vocab_size:,}{few}; "
    f"{summary.unknown_rate:.4%} of the tokens unknown; "
    f"{summary.bytes_per_token:.2f} bytes per token on disk"
  )
  if extension := load_extension(store.tokenizer_path):
    yield (
      f"{len(extension.parts):,} tokens added to the vocabulary: "
      f"{extension.before.fertility:.3f} tokens a word before, "
      f"{extension.after.fertility:.3f} after"
    )
  if summary.tokens_encoded:
    yield (
      f"{summary.tokens_per_second:,.0f} tokens/s over {summary.seconds:.1f} s,"
      f" after {summary.tokenizer_seconds:.1f} s for the tokenizer"
    )
  for name, count in summary.counts.items():
    if count:
      yield f"{count:,} {name_count(name)}"
  if summary.passed_over:
    yield (
      f"passed over in the folders: {describe_passed_over(summary.passed_over)}"
      "; name text among these by a file or a glob, or convert it"
    )
