# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-train on books, and measure the bundle on questions to a bank.

    python -m benchmarks.books --output=DIR [--steps=4000]

BERT-mini (4 layers, 256 wide) is pre-trained on Project Gutenberg's books by
the recipe for short runs, and fine-tuned on banking77 (77 intents) with 20
labels a class; so is the same encoder from random weights, with the same steps,
learning rates and seeds. Prints the validation curve, tokens a second and both
accuracies. Running it again continues where it stopped.
"""

import pathlib
import statistics

from absl import flags

from bertjax.config import FinetuneConfig, PretrainConfig, from_mapping
from bertjax.objectives.pretraining import active
from bertjax.train import writers
from configs import finetune as finetune_config
from configs import pretrain as pretrain_config
from data_pipelines.prepare.options import Options
from launch import cli, finetune, host_memory, prepare, pretrain

DATA = flags.DEFINE_string(
  "data", None, "The folder with books/ and banking77/.", required=True
)
OUTPUT = flags.DEFINE_string("output", "runs/books", "Folder to write.")
SIZE = flags.DEFINE_string("size", "mini", "Shape of the model.")
STEPS = flags.DEFINE_integer("steps", 4000, "Steps of pre-training.")
# The recipe's rate is for BERT-tiny. With it the weights of mini grow until
# they no longer fine-tune well, though the loss is the same.
LEARNING_RATE = flags.DEFINE_float(
  "learning_rate", 1e-3, "Peak rate of pre-training."
)
ARMS = ("bundle", "scratch")


def make_pretrain_config(store: pathlib.Path) -> PretrainConfig:
  """Return the short recipe, evaluated on part of the validation books."""
  config = pretrain_config.get_config(
    f"size={SIZE.value},objective=mlm_nsp,seq=128,recipe=short"
  )
  config.update_from_flattened_dict(
    {
      "steps": STEPS.value,
      "optimizer.learning_rate": LEARNING_RATE.value,
      "data.store": str(store),
      "evaluation.rows": 640,
      "evaluation.every_steps": 200,
    }
  )
  return from_mapping(PretrainConfig, config.to_dict())


def make_finetune_config(banking77: pathlib.Path) -> FinetuneConfig:
  """Return 20 labels for each of 77 intents, two seeds."""
  config = finetune_config.get_config("task=table")
  config.update_from_flattened_dict(
    {
      "task.train": str(banking77 / "train.csv"),
      "task.test": str(banking77 / "test.csv"),
      "task.label": "category",
      "task.labels_per_class": 20,
      "seq_length": 32,
      "pooling": "mean",
      "epochs": 6.0,
      "evaluations": 2,
      "seeds": 2,
      "learning_rates": (1e-3, 3e-3),
    }
  )
  return from_mapping(FinetuneConfig, config.to_dict())


def main(_: object) -> None:
  """Run the stages that are not done yet, and print the figures."""
  data, output = pathlib.Path(DATA.value), pathlib.Path(OUTPUT.value)
  prepare.run(
    Options(
      corpus=str(data / "books" / "train-*.jsonl.xz"),
      validation=str(data / "books" / "valid-*.jsonl.xz"),
      output=str(output / "store"),
      vocab_size=8192,
    )
  )
  workdir = output / "pretrain"
  config = make_pretrain_config(output / "store")
  run = pretrain.run(config, str(workdir))
  arms = {
    arm: finetune.run(
      make_finetune_config(data / "banking77"),
      run.bundle,
      str(output / "banking77" / arm),
      init=arm,
    )
    for arm in ARMS
  }
  accuracies = [f"{each.name}_accuracy" for each in active(config.objective)]
  titles = (f"  {name.replace('_', ' '):>12}" for name in accuracies)
  print("step  mlm loss  below unigram", *titles, sep="")
  for line in writers.read(workdir / writers.METRICS, "validation"):
    below = line["unigram_entropy"] - line["mlm_loss"]
    shares = (f"  {line[name]:12.3f}" for name in accuracies)
    start = f"{line['step']:4d}  {line['mlm_loss']:8.3f}  {below:13.3f}"
    print(start, *shares, sep="")
  rate = statistics.median(writers.read_rates(workdir))
  print(f"{rate:,.0f} tokens/s, median of the logging windows")
  for arm, results in arms.items():
    accuracy = results.scores.test["accuracy"]
    print(
      f"banking77 from {arm}: {accuracy} "
      f"({results.examples['train']} labels, {results.steps} steps)"
    )


if __name__ == "__main__":
  host_memory.retain()
  cli.run(main)
