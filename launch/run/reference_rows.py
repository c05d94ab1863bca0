# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of a prepared store on which fine-tuning measures what it forgets.

They are the validation rows of pre-training, masked as its evaluation masks
them: the same rows and masks for every run, whatever it trains.
"""

import dataclasses
from collections.abc import Sequence

from bertjax.batch import Batch
from bertjax.checkpoints.bundle import BundleInfo
from bertjax.config import DataConfig, ObjectiveConfig
from bertjax.finetune.reference import Reference
from bertjax.model.parameters import MLM_HEAD
from data_pipelines.rows.evaluation import evaluation_batches
from data_pipelines.rows.planner import ROWS_VERSION
from data_pipelines.store.store import Store, open_store
from data_pipelines.tokenizers import tokenizers
from launch.run.stores import VALIDATION

# Rows of at most so many tokens: about 5,000 masked ones, the same for all
# stores, and a few seconds of a small model on two cores.
ROWS = 256
SEQ_LENGTH = 128
# Full rows of plain text.
_OBJECTIVE = ObjectiveConfig(input_format="full_sentences", next_sentence="off")


def open_reference(path: str, info: BundleInfo, init: str) -> Reference:
  """Open a store to measure on what a bundle forgets.

  Args:
    path: folder of the store.
    info: the bundle that fine-tuning begins with.
    init: "bundle" or "scratch".

  Raises:
    ValueError: there is nothing to forget, or no head or no text to tell it.
  """
  _check_start(path, info, init)
  store = open_store(path)
  ours = tokenizers.load(info.tokenizer_path)
  _check_store(store, info, ours.sha256)
  data = DataConfig(
    store=path, seq_length=min(SEQ_LENGTH, info.model.max_positions)
  )

  return make_reference(store, data, ROWS)


def make_reference(
  store: Store, data: DataConfig, rows: int, mask_rate: float = 0.0
) -> Reference:
  """Return full rows of plain text of the validation split.

  Args:
    store: a prepared store with this split.
    data: has the length of the rows.
    rows: rows at most, evenly drawn.
    mask_rate: share of the tokens that are masked; 0 is BERT's.
  """
  objective = _OBJECTIVE
  if mask_rate:
    objective = dataclasses.replace(objective, mask_rate=mask_rate)

  def batches(batch_size: int) -> Sequence[Batch]:
    return list(
      evaluation_batches(
        store,
        VALIDATION,
        objective=objective,
        data=data,
        batch_size=batch_size,
        rows=rows,
      )
    )

  return Reference(
    identity={
      "store_sha256": store.sha256,
      "rows": rows,
      "seq_length": data.seq_length,
      "rows_version": ROWS_VERSION,
      "objective": dataclasses.asdict(objective),
    },
    objective=objective,
    vocabulary=tokenizers.load(store.tokenizer_path).vocabulary(
      store.token_counts()
    ),
    batches=batches,
  )


def _check_start(path: str, info: BundleInfo, init: str) -> None:
  if init == "scratch":
    raise ValueError(
      f"--reference_store={path} measures what is forgotten of a bundle, and "
      "--init=scratch begins with random parameters; leave one of them out"
    )
  if MLM_HEAD in (info.details.source or {}).get("new", ()):
    raise ValueError(
      f"--reference_store={path} needs the masked-LM head that the encoder was "
      f"trained with, and that of {info.path} is random, because it was "
      f"imported with --new={MLM_HEAD}; leave the store out, or continue "
      "pre-training first"
    )


def _check_store(store: Store, info: BundleInfo, tokenizer_sha256: str) -> None:
  theirs = store.manifest.tokenizer.sha256
  if tokenizer_sha256 != theirs:
    raise ValueError(
      f"--reference_store={store.path} was made with tokenizer "
      f"{theirs[:12]}, and {info.path} has {tokenizer_sha256[:12]}; "
      f"prepare the text again with --tokenizer={info.path}"
    )
  if not (VALIDATION in store.splits and store.splits[VALIDATION].num_tokens):
    raise ValueError(
      f"--reference_store={store.path} has no validation split; prepare it "
      "again with --validation=0.05"
    )
