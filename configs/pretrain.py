# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
r"""BERT pre-training on a prepared store, by one of several recipes.

  bertjax pretrain \
    --config=pretrain:size=base,objective=mlm_nsp,recipe=original \
    --config.data.store=DIR --workdir=DIR

Paper: Devlin et al., 2018 (arXiv 1810.04805), section 3.1 and appendix A.2;
schedule and optimizer as google-research/bert, optimization.py: AdamW without
bias correction, 1e-4, 10,000 steps of warm-up, linear decay from step 0 to 0
at 1,000,000, batches of 256.

Overlays:

  family=     bert roberta distilbert albert modernbert: the encoder's choices,
              in configs/families.py
  size=       tiny mini small medium base large; of another family, its own
  objective=  mlm (B is always the true continuation), mlm_nsp or mlm_sop, or
              another family's: albert (mlm_sop with n-gram masks), roberta
              (masked LM alone, on full sentences across documents) or
              modernbert (masked LM alone, 30 % of single documents)
  seq=        128 or 512; one store serves both
  masks=      token word span ngram: what is masked as one; mask_only: all that
              is masked becomes [MASK]
  mask_rate=  15 20 25 30 40 50: percent of the tokens that are masked
  mesh=       data, fsdp or tensor: the axis that takes all devices
  hardware=   chip v5e-8 v5e-256 v5e-2x256 v5p-128 v6e-256: the chips to use
              (for splash attention add --config.model.attention_dropout_rate=0)
  recipe=     published original two_phase lamb mosaicbert short smoke, which
              are BERT's; roberta roberta_fairseq roberta_500k roberta_hour;
              albert_v1 albert_v2 albert_hour; modernbert ettin_17m_hours
              ettin_32m_hours: configs/recipes has the source, the cost and the
              expected result of each, and `bertjax recipes` prints them

Any field is a flag: `--config.optimizer.learning_rate=2e-3`. A misspelled one
is refused, and so is a value for a field that the run does not read, and an
overlay whose fields another overlay sets to something else.

On a laptop, a few hundred steps on the Python standard library's prose:

  bertjax prepare --corpus=stdlib --output=runs/store
  bertjax pretrain --config=pretrain:size=tiny,recipe=short \
    --config.data.store=runs/store --workdir=runs/tiny \
    --config.steps=300 --config.evaluation.every_steps=100

Several stores of one tokenizer can be mixed, each with its share of the rows of
every batch, for instance to continue (`init_from`) in a domain without
forgetting the rest: `--config.data.stores=runs/wiki=0.8,runs/tickets=0.2`
instead of `data.store`.

Expected: the first hundred steps bring the masked-LM loss from log(vocabulary)
to the unigram entropy of the corpus, which every evaluation prints beside it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections

from bertjax.config import ObjectiveConfig, PretrainConfig, choices
from configs import common, families, hardware
from configs.recipes import RECIPES

OVERLAYS: common.Overlays = {
  "family": {
    name: families.overlay(family) for name, family in families.FAMILIES.items()
  },
  # BERT's; those of another family take their place.
  "size": families.size_overlays(families.FAMILIES["bert"]),
  "objective": {
    "mlm": common.fields({"objective.next_sentence": "off"}),
    "mlm_nsp": common.fields({"objective.next_sentence": "nsp"}),
    "mlm_sop": common.fields({"objective.next_sentence": "sop"}),
    **{
      name: common.fields(family.objective)
      for name, family in families.FAMILIES.items()
      if family.objective
    },
  },
  "seq": {
    str(length): common.fields({"data.seq_length": length})
    for length in (128, 512)
  },
  "masks": {
    **{
      unit: common.fields({"objective.mask_unit": unit})
      for unit in choices(ObjectiveConfig, "mask_unit")
    },
    "mask_only": common.fields(
      {
        "objective.mask_token_rate": 1.0,
        "objective.random_token_rate": 0.0,
      }
    ),
  },
  "mask_rate": {
    str(percent): common.fields({"objective.mask_rate": percent / 100})
    for percent in (15, 20, 25, 30, 40, 50)
  },
  "recipe": {
    name: common.fields(recipe.fields) for name, recipe in RECIPES.items()
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
  if "family=" in argument and "size=" not in argument:
    argument += f",size={families.DEFAULT_SIZE}"
  return common.apply_overlays(config, argument, overlays_of(argument))


def overlays_of(argument: str) -> common.Overlays:
  """Return the overlays that an argument chooses from, those of its family."""
  parts = argument.split(",")
  for name, family in families.FAMILIES.items():
    if f"family={name}" in parts:
      size = next(
        (each for each in family.sizes if f"size={each}" in parts), ""
      )
      return {
        **OVERLAYS,
        "family": {**OVERLAYS["family"], name: families.overlay(family, size)},
        "size": families.size_overlays(family),
        "recipe": {
          each: common.fields(_leave_positions(recipe.fields, family))
          for each, recipe in RECIPES.items()
        },
      }
  return OVERLAYS


def _leave_positions(
  fields: Mapping[str, Any], family: families.Family
) -> Mapping[str, Any]:
  """Return the fields of a recipe but the start of a table that is not there.

  Sinusoids are where a learned table starts; other positions have no table.
  """
  if family.choices.get("positions", "learned") == "learned":
    return fields
  return {
    name: value
    for name, value in fields.items()
    if name != "model.position_init"
  }
