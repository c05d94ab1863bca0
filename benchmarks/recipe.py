# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the effect of each line of the recipe for short runs.

    python -m benchmarks.recipe --store=runs/demo/store [--steps=800]

Trains BERT-tiny with `recipe=short`, then with one line of the recipe undone at
a time. Prints how far the validation masked-LM loss is below the unigram
entropy after the same number of steps.
"""

import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

from absl import flags

from bertjax.config import PretrainConfig, from_mapping
from bertjax.objectives.pretraining import active
from configs import pretrain as pretrain_config
from launch import cli, host_memory, pretrain

STORE = flags.DEFINE_string("store", "runs/demo/store", "A prepared store.")
STEPS = flags.DEFINE_integer("steps", 800, "Steps of each run.")

VARIANTS: Mapping[str, Mapping[str, Any]] = {
  "recipe=short": {},
  "AdamW, rate 1e-3": {
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
  },
  "AdamW, rate 2e-3": {
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 2e-3,
  },
  "positions start at random": {"model.position_init": "normal"},
  "15 % masked": {"objective.mask_rate": 0.15},
  "dropout 0.1": {
    "model.hidden_dropout_rate": 0.1,
    "model.attention_dropout_rate": 0.1,
  },
  "weights start four times wider": {"model.initializer_std": 0.08},
}


def make_config(changes: Mapping[str, Any]) -> PretrainConfig:
  """Return the recipe with `changes`, evaluated at its end only."""
  config = pretrain_config.get_config("size=tiny,recipe=short")
  config.update_from_flattened_dict(
    {
      "steps": STEPS.value,
      "data.store": STORE.value,
      "evaluation.every_steps": 0,
      "checkpoint.every_steps": 0,
      **changes,
    }
  )
  return from_mapping(PretrainConfig, config.to_dict())


def main(_: object) -> None:
  """Run each variant, and print a line for it."""
  results = {}
  for name, changes in VARIANTS.items():
    with tempfile.TemporaryDirectory() as folder:
      workdir = str(pathlib.Path(folder) / "run")
      results[name] = pretrain.run(make_config(changes), workdir)
  _, pair = active(make_config({}).objective)
  print(f"{'':32s} below unigram  {pair.name} accuracy  tokens/s")
  for name, result in results.items():
    values = result.validation
    below = values["unigram_entropy"] - values["mlm_loss"]
    accuracy = values[f"{pair.name}_accuracy"]
    print(
      f"{name:32s} {below:8.3f} nats  {accuracy:12.3f}  "
      f"{result.tokens_per_second:8,.0f}"
    )


if __name__ == "__main__":
  host_memory.retain()
  cli.run(main)
