# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Run the whole path on the docstrings of the running Python: `make pretrain`.

Text → store → masked pre-training → bundle → fine-tuning → export. Each stage
runs as the command that a user would call, and resumes where it was stopped.
"""

import contextlib
import dataclasses
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import ml_collections
import rich.box
import rich.console
import rich.table
from absl import flags

from bertjax import files
from bertjax.config import FinetuneConfig, PretrainConfig, from_mapping
from bertjax.finetune.results import ArmResult
from bertjax.objectives.pretraining import (
  ALL,
  SUMMARY_METRICS,
  TokenObjective,
  token_objective,
)
from bertjax.train.writers import read_rates
from configs import demo
from data_pipelines.prepare.options import Options
from launch import (
  cli,
  export,
  finetune,
  host_memory,
  predict,
  prepare,
  pretrain,
)
from launch.commands import output_paths
from launch.hosts import compile_cache
from launch.preflight.settle import each_once

ARMS = ("bundle", "scratch")


class Probe(NamedTuple):
  """A fine-tuning comparison of both arms.

  Attributes:
    folder: folder of its results, below the output folder.
    labels: number of labels that it trains on, in words.
    config: makes its config.
  """

  folder: str
  labels: str
  config: Callable[[], ml_collections.ConfigDict]


# By the name in the summary.
PROBES: Mapping[str, Probe] = {
  "finetune": Probe("finetune", "20 labels a class", demo.finetune),
  "finetune_all_labels": Probe(
    "finetune/all_labels", "all labels", demo.finetune_all_labels
  ),
}
FILL_MASK = "Return a new [MASK] object."
_CLOCK = ".seconds.json"
_SUMMARY = "summary.json"
_MODULE = "-m launch.predict"


class _Clock:
  """Seconds of each stage, summed over interrupted calls."""

  def __init__(self, folder: pathlib.Path) -> None:
    self._path = folder / _CLOCK
    self.seconds: dict[str, float] = {}
    if self._path.is_file():
      self.seconds = json.loads(self._path.read_bytes())

  @contextlib.contextmanager
  def stage(self, name: str) -> Iterator[None]:
    """Announce a stage and measure its time, even if it is interrupted."""
    rich.console.Console(highlight=False).rule(f"[bold]{name}", align="left")
    began = time.monotonic()
    try:
      yield
    finally:
      spent = self.seconds.get(name, 0.0) + time.monotonic() - began
      self.seconds[name] = spent
      if self._path.parent.is_dir():
        files.write_json(self._path, self.seconds, allow_nan=False)


def run(output: str, *, smoke: bool = False) -> dict[str, Any]:
  """Run the stages that are not done in `output`; return the summary.

  Args:
    output: folder of everything that the stages write.
    smoke: whether each stage takes a few steps only.

  Raises:
    ValueError: `output` has the demo of another version or interpreter.
  """
  output_paths.check_folder("output", output)
  output_paths.check_begun("output", output, (_SUMMARY,), (_CLOCK,))
  try:
    with each_once():
      return _run(pathlib.Path(output), smoke)
  except ValueError as error:
    if not (pathlib.Path(output) / _CLOCK).is_file():
      raise
    raise ValueError(f"{error}; or delete {output} and rerun") from error


def _run(folder: pathlib.Path, smoke: bool) -> dict[str, Any]:
  summary_path = folder / _SUMMARY
  clock = _Clock(folder)
  with clock.stage("prepare"):
    prepare.run(
      Options(
        corpus="stdlib",
        output=str(folder / "store"),
        vocab_size=demo.VOCAB_SIZE,
      )
    )
  bundle = str(folder / "bundle")
  config = _pretrain_config(folder, smoke)
  with clock.stage("pretrain"):
    trained = pretrain.run(config, str(folder / "pretrain"), bundle=bundle)
  changes = demo.SMOKE_PROBE if smoke else {}
  probes = {
    name: {
      arm: _probe(clock, folder, bundle, (name, arm), changes) for arm in ARMS
    }
    for name in PROBES
  }
  with clock.stage("export"):
    export.run(bundle=bundle, output=folder / "huggingface")
  if summary_path.is_file():  # the stages were done before
    clock.seconds = json.loads(summary_path.read_bytes())["stages"]
  summary = _summary(folder, trained, probes, clock.seconds)
  files.write_json(summary_path, summary, allow_nan=False)
  _show(folder, summary, token_objective(config.objective))
  _fill_mask(bundle)
  return summary


def _pretrain_config(folder: pathlib.Path, smoke: bool) -> PretrainConfig:
  made = demo.pretrain("smoke") if smoke else demo.pretrain()
  config = from_mapping(PretrainConfig, made.to_dict())
  data = dataclasses.replace(config.data, store=str(folder / "store"))
  return dataclasses.replace(config, data=data)


def _probe(
  clock: _Clock,
  folder: pathlib.Path,
  bundle: str,
  which: tuple[str, str],
  changes: Mapping[str, Any],
) -> ArmResult:
  """Run an arm of a probe, which are the names in `which`."""
  name, arm = which
  probe = PROBES[name]
  config = probe.config()
  config.update_from_flattened_dict(dict(changes))
  with clock.stage(f"fine-tune from {arm}, {probe.labels}"):
    return finetune.run(
      from_mapping(FinetuneConfig, config.to_dict()),
      bundle,
      str(folder / probe.folder / arm),
      init=arm,
    )


def _summary(
  folder: pathlib.Path,
  trained: pretrain.PretrainResult,
  probes: Mapping[str, Mapping[str, ArmResult]],
  seconds: Mapping[str, float],
) -> dict[str, Any]:
  validation = trained.validation
  return {
    "unigram_entropy": validation["unigram_entropy"],
    "validation": {
      name: validation[name] for name in SUMMARY_METRICS if name in validation
    },
    **{
      name: {arm: _scores(result) for arm, result in arms.items()}
      for name, arms in probes.items()
    },
    "test_examples": probes["finetune"]["bundle"].examples["test"],
    "tokens_per_second": statistics.median(read_rates(folder / "pretrain")),
    "seconds": sum(seconds.values()),
    "stages": dict(seconds),
  }


def _scores(result: ArmResult) -> dict[str, Any]:
  summary = result.scores.test[result.scores.metric]
  return {
    "mean": summary.mean,
    "std": summary.std,
    "seeds": len(result.scores.seeds),
    "learning_rate": result.scores.learning_rate,
    "labels": result.examples["train"],
  }


def _show(
  folder: pathlib.Path, summary: Mapping[str, Any], token: TokenObjective
) -> None:
  validation = summary["validation"]
  gain = summary["unigram_entropy"] - validation[token.loss]
  table = rich.table.Table(box=rich.box.SIMPLE_HEAD, title_justify="left")
  table.add_column("measure")
  table.add_column("value", justify="right")
  rows = [
    (
      f"validation {token.title} loss",
      f"{validation[token.loss]:.3f} nats",
    ),
    (
      "  unigram entropy of the same targets",
      f"{summary['unigram_entropy']:.3f} nats",
    ),
    ("  gain over unigram entropy", f"{gain:.3f} nats"),
    *(
      (
        f"validation {each.title} accuracy",
        f"{validation[f'{each.name}_accuracy']:.1%}",
      )
      for each in ALL
      if f"{each.name}_accuracy" in validation
    ),
    *(
      _accuracy(summary[name][arm], f"from {arm}, {probe.labels}")
      for name, probe in PROBES.items()
      for arm in ARMS
    ),
    ("pre-training speed", f"{summary['tokens_per_second']:,.0f} tokens/s"),
    ("time", _times(summary)),
  ]
  for row in rows:
    table.add_row(*row)
  console = rich.console.Console(highlight=False, soft_wrap=True)
  console.rule("[bold]results", align="left")
  console.print(table)
  console.print(
    "Fine-tuning learns which standard-library package a docstring is from, "
    f"with {summary['test_examples']:,} test examples, split by module. "
    "Pre-training may have seen the texts, without their labels."
  )
  for name, what in _ARTIFACTS:
    console.print(f"  {folder / name!s:<24} {what}")


def _accuracy(scores: Mapping[str, Any], what: str) -> tuple[str, str]:
  return (
    f"fine-tuned {what} ({scores['labels']:,}), {scores['seeds']} seeds",
    f"{scores['mean']:.1%} ± {scores['std']:.1%}",
  )


_ARTIFACTS: Sequence[tuple[str, str]] = (
  ("store", "the prepared corpus, for any objective and sequence length"),
  ("pretrain", "checkpoints, metrics.jsonl, tensorboard"),
  ("bundle", "model, tokenizer and record: bertjax.load_bundle(…)"),
  ("finetune", "results and fine-tuned models of both arms"),
  ("huggingface", "the same model for transformers, with its heads"),
  ("summary.json", "the values above"),
)


def _times(summary: Mapping[str, Any]) -> str:
  minutes, seconds = divmod(round(summary["seconds"]), 60)
  return f"{minutes}:{seconds:02d} min"


def _fill_mask(bundle: str) -> None:
  """Print the tokens that the model fills in, and a command to try more."""
  (guesses,) = predict.fill_mask(bundle, FILL_MASK)
  console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)
  console.print(f"\n{FILL_MASK}")
  console.print(
    "  " + ", ".join(f"{g.text} {g.probability:.0%}" for g in guesses)
  )
  console.print(
    "\nTry it yourself:\n"
    f"  {_predict()} --task=fill_mask --bundle={bundle} \\\n"
    f'    --text="Raise an [MASK] if the file does not exist."'
  )


def _predict() -> str:
  """Return how to run `launch.predict` here, by a relative path if possible."""
  python = pathlib.Path(sys.executable)
  script = python.with_name("bertjax")
  path, words = (script, "predict") if script.is_file() else (python, _MODULE)
  here = pathlib.Path.cwd()
  known = path.relative_to(here) if path.is_relative_to(here) else path
  return f"{known} {words}"


def define_flags() -> None:
  """Define the flags; not at import, because others call `run`."""
  flags.DEFINE_string(
    "output", "runs/demo", "Folder for the store, the models and the results."
  )

  flags.DEFINE_bool(
    "smoke", False, "Take a few steps of each stage, to see that it works."
  )


def main(_: Sequence[str]) -> None:
  """Run the demo."""
  compile_cache.keep()
  run(flags.FLAGS.output, smoke=flags.FLAGS.smoke)


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
