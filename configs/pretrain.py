# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""BERT pre-training as published, on a prepared store.

  python -m launch.pretrain \
    --config=configs/pretrain.py:size=base,objective=mlm_nsp,seq=128 \
    --config.data.store=DIR --workdir=DIR

Paper: Devlin et al., 2018 (arXiv 1810.04805), section 3.1 and appendix A.2;
schedule and optimizer as google-research/bert, optimization.py: AdamW without
bias correction, 1e-4, 10,000 steps of warm-up, linear decay from step 0 to 0
at 1,000,000, batches of 256.

Overlays:

  size=       tiny mini small medium base large
  objective=  mlm (B is always the true continuation) or mlm_nsp
  seq=        128 or 512; one store serves both
  mesh=       data, fsdp or tensor: the axis that takes all devices
  hardware=   chip v5e-8 v5e-256 v5e-2x256 v5p-128 v6e-256: the chips to use
              (for splash attention add --config.model.attention_dropout_rate=0)
  recipe=     published: all steps at one length
              two_phase: the last tenth of the steps at 512, the others at 128,
              as in the paper
              lamb: NVIDIA's, 8,601 steps of large batches
              short: for minutes or hours instead of days, with Muon, positions
              that start as sinusoids, 40 % of the tokens masked and no dropout

Any field is a flag: `--config.optimizer.learning_rate=2e-3`. A misspelled one
is refused, and so is a value for a field that the run does not read.

On a laptop, a few hundred steps on the Python standard library's prose:

  python -m launch.prepare --corpus=stdlib --output=runs/store
  python -m launch.pretrain --config.data.store=runs/store \
    --config=configs/pretrain.py:size=tiny,recipe=short \
    --workdir=runs/tiny --config.steps=300 --config.evaluation.every_steps=100

Several stores of one tokenizer can be mixed, each with its share of the rows of
every batch, for instance to continue (`init_from`) in a domain without
forgetting the rest: `--config.data.stores=runs/wiki=0.8,runs/tickets=0.2`
instead of `data.store`.

Expected: the first hundred steps bring the masked-LM loss from log(vocabulary)
to the unigram entropy of the corpus, which every evaluation prints beside it.

  published   BERT-base about 1.4 nats on held-out text (perplexity 3.99 in the
              paper's table 6); not run here
  two_phase   not run here
  lamb        not run here
  short       BERT-tiny, 1,600 steps on the standard library's prose, 4.954 nats
              (1.513 below the unigram entropy) and 79.0 % next-sentence
              accuracy, within the 5:46 minutes of `make pretrain`; BERT-mini,
              4,000 steps on books, 4.030 nats (2.60 below) and 69.3 % in an
              hour (`python -m benchmarks.books`). Two cores of an AMD EPYC.
"""

import dataclasses

import ml_collections

from bertjax.config import SIZES, PretrainConfig, to_mapping
from configs import common, hardware

# For minutes to hours on few devices. benchmarks/recipe.py prints what each
# line changes.
SHORT = {
  "steps": 1_600,
  "batch_size": 16,
  "log_every_steps": 20,
  # A model must attend to neighbors before it can learn anything else.
  "model.position_init": "sinusoid",
  # Few epochs leave nothing to overfit.
  "model.hidden_dropout_rate": 0.0,
  "model.attention_dropout_rate": 0.0,
  "optimizer.name": "muon",
  # 4e-3 is for tiny; give 1e-3 for mini.
  "optimizer.learning_rate": 4e-3,
  "optimizer.warmup_steps": 100,
  "optimizer.beta2": 0.98,
  # More predictions a step; evaluation masks 15 % in any case.
  "objective.mask_rate": 0.4,
  "evaluation.every_steps": 500,
  "evaluation.rows": 1_600,
  "checkpoint.every_steps": 500,
}

# Devlin et al., appendix A.2: one schedule over both phases.
TWO_PHASE = {
  "data.seq_length": 128,
  "phase2.steps": 100_000,
  "phase2.seq_length": 512,
}
# NVIDIA/DeepLearningExamples, PyTorch/LanguageModeling/BERT, for BERT-large on
# 8 devices or more; `optimizer.accumulation` splits the batch until it fits.
LAMB = {
  "steps": 7_038 + 1_563,
  "batch_size": 65_536,
  "data.seq_length": 128,
  "optimizer.name": "lamb",
  "optimizer.learning_rate": 6e-3,
  "optimizer.schedule": "polynomial",
  "optimizer.warmup_steps": 2_000,
  "phase2.steps": 1_563,
  "phase2.seq_length": 512,
  "phase2.batch_size": 32_768,
  "phase2.learning_rate": 4e-3,
  "phase2.warmup_steps": 200,
}

OVERLAYS: common.Overlays = {
  # The vocabulary follows the store; everything else is as published.
  "size": {
    name: common.fields(
      {
        f"model.{field}": value
        for field, value in to_mapping(size).items()
        if field != "vocab_size"
      }
    )
    for name, size in SIZES.items()
  },
  "objective": {
    "mlm": common.fields({"objective.next_sentence": "off"}),
    "mlm_nsp": common.fields({"objective.next_sentence": "nsp"}),
  },
  "seq": {
    str(length): common.fields({"data.seq_length": length})
    for length in (128, 512)
  },
  "recipe": {
    "published": common.fields({}),
    "two_phase": common.fields(TWO_PHASE),
    "lamb": common.fields(LAMB),
    "short": common.fields(SHORT),
  },
  "mesh": {
    axis: common.fields(
      {
        f"mesh.{name}": -1 if name == axis else 1
        for name in ("data", "fsdp", "tensor")
      }
    )
    for axis in ("data", "fsdp", "tensor")
  },
  "hardware": {
    name: hardware.overlay(kind) for name, kind in hardware.KINDS.items()
  },
}


def get_config(argument: str = "") -> ml_collections.ConfigDict:
  """Return the config of a run; see the module's docstring."""
  defaults = PretrainConfig()
  config = common.from_dataclass(
    dataclasses.replace(
      defaults, model=dataclasses.replace(defaults.model, vocab_size=0)
    )
  )
  return common.apply_overlays(config, argument, OVERLAYS)
