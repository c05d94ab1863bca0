# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a classifier from a bundle, or from random weights of its shape.

    python -m launch.finetune --config=configs/finetune.py:task=stdlib \
      --bundle=DIR --workdir=DIR [--init=scratch]

The learning rate is chosen on dev, then several seeds are scored on test.
`WORKDIR/results.json` and `results.md` hold the scores, `WORKDIR/model` the
best run on dev, for `launch.predict --task=classify`. A rerun goes on with
the first trial that is not done.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from bertjax import config as config_lib
from bertjax.batch import Batch
from bertjax.checkpoints import bundle as bundle_lib
from bertjax.config import FinetuneConfig, ModelConfig
from bertjax.finetune import checks, report
from bertjax.finetune.artifact import Head, make_start, save_classifier
from bertjax.finetune.experiment import Experiment
from bertjax.finetune.programs import make_programs
from bertjax.finetune.splits import make_split
from bertjax.finetune.trial import Material
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh
from bertjax.trials.store import Trial, TrialStore, write_json
from data_pipelines.tasks import catalog
from data_pipelines.tasks.classification import Task
from data_pipelines.tasks.features import TaskBatches, encode_texts
from data_pipelines.tokenizers import tokenizers
from launch import cli, host_memory
from launch.hosts import start_up

# Where and how a step is computed, which changes freely (law 10).
HOW = ("mesh", "compute", "evaluation_batch_size")
# And which trials there are, which say themselves what they are.
_FREE = (
  *HOW,
  "learning_rates",
  "selection_seeds",
  "seed",
  "seeds",
  "task",
)


@dataclasses.dataclass(frozen=True)
class _Data:
  """A task as the model reads it."""

  task: Task
  batches: Mapping[str, TaskBatches]
  tokenizer_sha256: str

  @property
  def num_classes(self) -> int:
    return len(self.task.labels)

  def counts(self) -> dict[str, int]:
    return {name: len(split) for name, split in self.batches.items()}


def run(
  config: FinetuneConfig, bundle: str, workdir: str, init: str = "bundle"
) -> dict[str, Any]:
  """Run what is not done yet of one arm; return its results.

  Args:
    config: of the runs.
    bundle: folder of a pre-trained bundle; with `scratch` its shape and its
      tokenizer are used, and its weights are not.
    workdir: gets results and model.
    init: "bundle" or "scratch".

  Raises:
    ValueError: a mistake in any of these, or in the task's files.
  """
  cli.check_local_folder("workdir", workdir)
  checks.check_init(init)
  info = bundle_lib.read_pretrained(bundle)
  data = load_data(config, info.model, info.tokenizer_path)
  steps = checks.num_steps(config, len(data.batches["train"]))
  store = TrialStore(workdir, _identity(config, info, data, init))
  experiment = Experiment(
    functools.partial(_material, config, info, data, steps, init),
    config,
    store,
    report=functools.partial(_tell, init),
  )
  results = {
    "init": init,
    "task": data.task.name,
    "labels": list(data.task.labels),
    "examples": data.counts(),
    "steps": steps,
    **experiment.run(),
  }
  write_json(store.folder / "results.json", results)
  text = report.table({init: results})
  (store.folder / "results.md").write_text(text + "\n")
  _save(experiment, results, info, data, config, store.folder / "model")
  print(text, flush=True)
  return results


def load_data(
  config: FinetuneConfig, encoder: ModelConfig, tokenizer_path: pathlib.Path
) -> _Data:
  """Check a config against an encoder, and read its task.

  Raises:
    ValueError: a mistake in the config or in the task's files.
  """
  tokenizer = tokenizers.load(tokenizer_path)
  checks.check_config(config, encoder, tokenizer.vocab_size)
  checks.check_shards(config, feeding.batch_shards(make_mesh(config.mesh)))
  task = catalog.load_task(config.task)
  batches = {
    name: TaskBatches(
      encode_texts(tokenizer, split.texts, split.pairs, config.seq_length),
      split.labels_N,
    )
    for name, split in (
      ("train", task.train),
      ("dev", task.dev),
      ("test", task.test),
    )
  }
  return _Data(task, batches, tokenizer.sha256)


def _identity(
  config: FinetuneConfig, info: bundle_lib.BundleInfo, data: _Data, init: str
) -> dict[str, Any]:
  fields = config_lib.to_mapping(config)
  weights = {name: leaf["digest"] for name, leaf in info.leaves.items()}
  return {
    **{name: value for name, value in fields.items() if name not in _FREE},
    "init": init,
    "encoder": config_lib.to_mapping(info.model),
    "weights": weights if init == "bundle" else {},
    "tokenizer": data.tokenizer_sha256,
    "labels": list(data.task.labels),
    "examples": {name: each.sha256() for name, each in data.batches.items()},
  }


def _material(
  config: FinetuneConfig,
  info: bundle_lib.BundleInfo,
  data: _Data,
  steps: int,
  init: str,
) -> Material:
  programs = make_programs(
    info.model, data.num_classes, config, steps, make_mesh(config.mesh)
  )
  dev, test = (
    make_split(
      data.batches[name].evaluation(config.evaluation_batch_size), programs
    )
    for name in ("dev", "test")
  )

  def train(seed: int, step: int) -> Batch:
    return data.batches["train"].training(
      seed=seed, step=step, batch_size=config.batch_size
    )

  return Material(
    programs=programs,
    start=make_start(programs, info, config.pooling)
    if init == "bundle"
    else programs.initialize,
    train=train,
    dev=dev,
    test=test,
    steps=steps,
  )


def _save(
  experiment: Experiment,
  results: Mapping[str, Any],
  info: bundle_lib.BundleInfo,
  data: _Data,
  config: FinetuneConfig,
  folder: pathlib.Path,
) -> None:
  """Write the best run's classifier, unless it is there already."""
  trial = experiment.winner(results["learning_rate"])
  if (folder / bundle_lib.RECORD).is_file():
    saved = bundle_lib.read_bundle_info(folder).details
    if saved.trial == dict(trial.settings):
      return
  save_classifier(
    folder,
    experiment.params(trial),
    info.model,
    Head(
      name=data.task.name,
      labels=data.task.labels,
      pooling=config.pooling,
      seq_length=config.seq_length,
      pair=data.task.train.pairs is not None,
    ),
    {
      "tokenizer_path": info.tokenizer_path,
      "tokenizer_sha256": data.tokenizer_sha256,
      "config": config_lib.to_mapping(config),
      "init": results["init"],
      "trial": dict(trial.settings),
      "step": results["best_steps"][
        results["seeds"].index(trial.settings["seed"])
      ],
      "evaluation": {"dev": results["dev"], "test": results["test"]},
    },
  )


def _tell(
  init: str, trial: Trial, result: Mapping[str, Any], seconds: float
) -> None:
  rate, seed = trial.settings["learning_rate"], trial.settings["seed"]
  scores = result.get("diverged") or (
    f"dev {result['dev']['accuracy']:.4f}, test "
    f"{result['test']['accuracy']:.4f} (best at step {result['best_step']})"
  )
  spent = f"{seconds:.1f} s" if seconds else "done before"
  print(f"{init}: rate {rate:g}, seed {seed}: {scores}, {spent}", flush=True)


def define_flags() -> None:
  """Define this launcher's flags; not at import, because others call `run`."""
  config_flags.DEFINE_config_file("config", None, "configs/finetune.py:task=…")
  flags.DEFINE_string("bundle", None, "Folder of a bundle.", required=True)
  flags.DEFINE_string("workdir", None, "Folder for results.", required=True)
  flags.DEFINE_enum(
    "init", "bundle", checks.INITS, "Start from the bundle's weights, or not."
  )
  flags.mark_flag_as_required("config")
  start_up.define_flags()


def main(_: Sequence[str]) -> None:
  """Fine-tune as the flags say."""
  values = flags.FLAGS
  start_up.start({}, several=False)
  run(
    config_lib.from_mapping(FinetuneConfig, values.config.to_dict()),
    values.bundle,
    values.workdir,
    values.init,
  )


if __name__ == "__main__":
  host_memory.retain()
  define_flags()
  cli.run(main)
