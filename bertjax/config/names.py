# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The names of fields in messages.

Both phases of pre-training and fine-tuning share checks, and each has its own
name for the field that a user must change.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class FieldNames:
  """Dotted names of fields; the defaults are for the first phase of a run."""

  steps: str = "steps"
  batch_size: str = "batch_size"
  seq_length: str = "data.seq_length"
  max_packs: str = "data.max_packs"
  accumulation: str = "optimizer.accumulation"
  warmup_steps: str = "optimizer.warmup_steps"
  dropout: str = "model.attention_dropout_rate"


PRETRAINING = FieldNames()
PHASE2 = FieldNames(
  steps="phase2.steps",
  batch_size="phase2.batch_size",
  seq_length="phase2.seq_length",
  max_packs="phase2.max_packs",
  accumulation="phase2.accumulation",
  warmup_steps="phase2.warmup_steps",
)
FINETUNING = FieldNames(
  seq_length="seq_length", dropout="attention_dropout_rate"
)
