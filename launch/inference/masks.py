# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Fill in the [MASK] tokens of a text with a pre-trained bundle."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from bertjax.batch import ENCODER_FEATURES, Batch, empty_batch
from bertjax.checkpoints import bundle as bundles
from bertjax.finetune.scores import Guess, Guesses, probabilities
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.tokenizer import Tokenizer
from launch.inference.labeling import check_top_k
from launch.preflight.policy import DEFAULT, Policy
from launch.preflight.settle import settle
from launch.preflight.task import judge_unknown

MASK = "[MASK]"


def fill_mask(
  bundle: str, text: str, *, top_k: int | None = None, policy: Policy = DEFAULT
) -> list[list[Guess]]:
  """Return the likeliest tokens for every mask of `text`, in order.

  A mask is written [MASK], or as the tokenizer writes it.

  Probabilities are over the whole vocabulary; special and unused tokens are
  not returned.

  Raises:
    ValueError: `bundle` is not a pre-trained bundle, or `text` has no mask
      or too many tokens.
  """
  top_k = check_top_k(top_k)
  info = bundles.read_pretrained(bundle)
  tokenizer = tokenizers.load(info.tokenizer_path)
  ids, places = with_masks(tokenizer, text)
  if len(ids) > info.model.max_positions:
    raise ValueError(
      f"the text has {len(ids)} tokens, and this model reads "
      f"{info.model.max_positions}; give a shorter one"
    )
  words = len(ids) - len(places) - tokenizer.template.count(pair=False)
  settle([judge_unknown(ids.count(tokenizer.unk_id), words, policy)], policy)
  model, params = bundles.load_bundle(bundle)
  outputs: Any = jax.jit(
    lambda params, row: model.apply(
      {"params": params},
      row,
      np.asarray([places], np.int32),
      deterministic=True,
    )
  )(params, _row(ids))
  # An embedding table may have more rows than there are tokens.
  logits_PV = np.asarray(
    outputs["mlm_logits_BPV"][0, :, : len(tokenizer.tokens)]
  )
  ordinary_W = tokenizer.vocabulary().ordinary_W
  names = [tokenizer.tokens[i] for i in ordinary_W]
  return [
    Guesses(probabilities_V[ordinary_W], names)[:top_k]
    for probabilities_V in probabilities(logits_PV)
  ]


def with_masks(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[int]]:
  """Return the ids of a text as a row, and the positions of its masks.

  Raises:
    ValueError: the text has no mask.
  """
  mask = tokenizer.tokens[tokenizer.mask_id]
  parts = text.split(mask if mask in text else MASK)
  if len(parts) == 1:
    raise ValueError(
      f"the text has no {mask}; write one for each token to fill in: {text!r}"
    )
  if tokenizer.mask_takes_space:
    parts = [*(part.rstrip() for part in parts[:-1]), parts[-1]]
  ids, places = list[int](), list[int]()
  for number, part_ids in enumerate(tokenizer.encode(parts)):
    if number:
      places.append(tokenizer.template.start + len(ids))
      ids.append(tokenizer.mask_id)
    ids += part_ids.tolist()
  return tokenizer.template.join(ids).tolist(), places


def _row(ids: Sequence[int]) -> Batch:
  row = empty_batch(ENCODER_FEATURES, {"B": 1, "S": len(ids), "R": 1})
  row["tokens_BS"][0] = ids
  row["positions_BS"][0] = np.arange(len(ids))
  row["packs_BS"][...] = 1
  return row
