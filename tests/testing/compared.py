# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Workdirs of runs that were never run, with just what a comparison reads."""

import json
import pathlib

from bertjax.config import PretrainConfig, to_mapping
from bertjax.finetune.experiment import Candidate, ExperimentResult
from bertjax.finetune.results import ArmResult
from bertjax.trials.statistics import summarize
from tests.testing.configs import replaced

ENTROPY = 6.5


def write_pretrain(folder, fields=None, *, steps=40, loss=4.0):
  """Write a run whose loss falls to `loss`; return its folder."""
  config = replaced(PretrainConfig(steps=40, batch_size=8), fields or {})
  folder.mkdir(parents=True)
  (folder / "config.json").write_text(
    json.dumps({"config": to_mapping(config), "phases": []})
  )
  lines, times = [], []
  for step in range(10, steps + 1, 10):
    above = 1 + 1 / step
    values = {"mlm_loss": loss * above, "mlm_accuracy": step / 100}
    tokens = step * config.batch_size * 100
    lines += [
      {"step": step, "split": "train", "tokens": tokens, "loss": loss},
      {
        "step": step,
        "split": "validation",
        **values,
        "unigram_entropy": ENTROPY,
      },
    ]
    times.append(
      {
        "step": step,
        "step_seconds": 0.5,
        "wait_share": 0.01,
        "tokens_per_second": 1_000.0 + step,
      }
    )
  write_lines(folder / "metrics.jsonl", lines)
  write_lines(folder / "timing.jsonl", times)
  return folder


def write_finetune(folder, scores, *, identity=None, seeds=None):
  """Write a run with these scores on dev and test; return its folder."""
  folder.mkdir(parents=True)
  given = {
    "steps": 20,
    "seq_length": 32,
    "labels": ["fish", "tree"],
    "examples": {"train": "a" * 64, "dev": "b" * 64, "test": "c" * 64},
    "weights": {"encoder/kernel": "0123"},
    **(identity or {}),
  }
  (folder / "identity.json").write_text(json.dumps(given))
  seeds = tuple(range(len(scores))) if seeds is None else seeds
  summary = {"accuracy": summarize(scores)}
  result = ArmResult(
    init="bundle",
    task="table",
    labels=("fish", "tree"),
    examples={"train": 20, "dev": 10, "test": 10},
    steps=20,
    scores=ExperimentResult(
      learning_rate=1e-3,
      selection=(Candidate(1e-3, summarize(scores)),),
      metric="accuracy",
      seeds=seeds,
      best_steps=(20,) * len(seeds),
      dev=summary,
      test=summary,
    ),
  )
  (folder / "results.json").write_text(json.dumps(result.to_json()))
  for seed, score in zip(seeds, scores, strict=True):
    trial = folder / "trials" / f"rate0.001-seed{seed}"
    trial.mkdir(parents=True)
    curve = [{"step": step, "accuracy": score} for step in (10, 20)]
    (trial / "result.json").write_text(
      json.dumps(
        {
          "version": 1,
          "settings": {"learning_rate": 1e-3, "seed": seed},
          "result": {"curve": curve},
        }
      )
    )
  return folder


def write_lines(path: pathlib.Path, lines):
  """Write a file with one JSON value a line."""
  path.write_text("".join(json.dumps(line) + "\n" for line in lines))
