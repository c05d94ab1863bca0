# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What fine-tuning forgets, and what slower or frozen layers keep of it.

    python -m benchmarks.forgetting --bundle=DIR --reference_store=DIR \
      --train=banking77/train.csv --test=banking77/test.csv \
      [--output=runs/forgetting]

Fine-tunes a pre-trained bundle on 20 labels a class with all weights, with
layer-wise decay and with a frozen lower half, each with its own learning rate
chosen on dev, and prints a Markdown table, which is also in `OUTPUT/table.md`.
Running the command again goes on where it stopped.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from bertjax import files
from bertjax.checkpoints.bundle import read_pretrained
from bertjax.config import FinetuneConfig, from_mapping
from bertjax.finetune.results import ArmResult
from bertjax.interop.onnx import processor
from bertjax.trials.markdown import cell, markdown
from configs.finetune import get_config
from launch import cli, finetune, host_memory
from launch.preflight.settle import each_once

SEEDS = 3
TABLE = "table.md"
NOT_RUN = "not run"
_SETTINGS = {
  "task.label": "category",
  "task.labels_per_class": 20,
  "pooling": "mean",
  "seq_length": 64,
  "batch_size": 64,
  "steps": 200,
  "evaluations": 2,
  "learning_rates": (1e-3, 3e-3),
}


def make_arms(num_layers: int) -> dict[str, dict[str, Any]]:
  """Return {what the table calls an arm: its fields of the config}."""
  return {
    "all weights": {},
    "layer-wise decay 0.5": {"layers.learning_rate_decay": 0.5},
    "lower half frozen": {"layers.frozen": num_layers // 2},
  }


def make_config(settings: Mapping[str, Any]) -> FinetuneConfig:
  """Return how an arm is trained."""
  config = get_config("task=table")
  config.update_from_flattened_dict(dict(settings))
  return from_mapping(FinetuneConfig, config.to_dict())


def run(
  arms: Mapping[str, Mapping[str, Any]],
  settings: Mapping[str, Any],
  bundle: str,
  reference_store: str,
  output: pathlib.Path,
) -> str:
  """Run what is not done yet; write, print and return the table.

  Args:
    arms: as `make_arms` returns them.
    settings: fields of the config that all arms share.
    bundle: the encoder to fine-tune.
    reference_store: store on which forgetting is measured.
    output: folder of a folder for each arm, and of the table.
  """
  text = ""
  with each_once():
    for name, own in arms.items():
      print(f"{name}:", flush=True)
      finetune.run(
        make_config({**settings, **own}),
        bundle,
        str(output / folder_of(name)),
        reference_store=reference_store,
      )
      text = table(arms, output)
      files.write_text(output / TABLE, text + "\n")
  print(text, flush=True)
  return text


def folder_of(name: str) -> str:
  """Return the name of the folder of an arm."""
  return name.replace(" ", "_")


def table(arms: Mapping[str, Any], output: pathlib.Path) -> str:
  """Return scores and what was forgotten of all arms, as Markdown."""
  found = {name: _read(output / folder_of(name)) for name in arms}
  measured = [each.forgetting for each in found.values() if each]
  layers = max((len(each.cosines) for each in measured if each), default=0)
  header = ["weights", "learning rate", "accuracy", "MLM loss before", "after"]
  header += [f"cosine, layer {layer}" for layer in range(1, layers + 1)]
  return (
    markdown(
      header, [_line(name, each, layers) for name, each in found.items()]
    )
    + "\n\nMean ± std (n − 1) over seeds, on test; losses in nats. In float32 "
    f"on {processor.describe()}."
  )


def _line(name: str, result: ArmResult | None, layers: int) -> list[str]:
  if result is None or result.forgetting is None:
    return [name, NOT_RUN, *["–"] * (3 + layers)]
  accuracy = result.scores.summary(result.scored, "accuracy")
  forgetting = result.forgetting
  return [
    name,
    f"{result.scores.learning_rate:g}",
    cell(accuracy and vars(accuracy)),
    f"{forgetting.mlm_loss_before:.4f}",
    *(cell(vars(each)) for each in (forgetting.mlm_loss, *forgetting.cosines)),
  ]


def _read(folder: pathlib.Path) -> ArmResult | None:
  path = folder / "results.json"
  if not path.is_file():
    return None
  return ArmResult.from_json(json.loads(path.read_text(encoding="utf-8")))


def define_flags() -> None:
  """Define the flags; not at import, because tests import this."""
  for name, words in {
    "bundle": "Encoder to fine-tune, with its masked-LM head.",
    "reference_store": "Folder of launch.prepare to measure on.",
    "train": "Training texts of banking77.",
    "test": "Its test texts.",
  }.items():
    flags.DEFINE_string(name, None, words, required=True)
  flags.DEFINE_string("output", "runs/forgetting", "Folder to write.")
  flags.DEFINE_integer("seeds", SEEDS, "Seeds of an arm.", lower_bound=1)


def main(_: Sequence[str]) -> None:
  """Run, and print the table."""
  values = flags.FLAGS
  info = read_pretrained(values.bundle)
  run(
    make_arms(info.model.num_layers),
    {
      **_SETTINGS,
      "seeds": values.seeds,
      "task.train": values.train,
      "task.test": values.test,
    },
    values.bundle,
    values.reference_store,
    pathlib.Path(values.output),
  )


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
