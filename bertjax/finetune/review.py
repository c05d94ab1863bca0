# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What a report shows of an arm beyond its scores."""

import dataclasses
from collections.abc import Mapping

from bertjax.batch import Batch
from bertjax.finetune.trial import TrialResult
from bertjax.finetune.windows import Windows


@dataclasses.dataclass(frozen=True)
class Review:
  """The runs of the chosen learning rate, and the answers of the best one.

  Attributes:
    runs: {seed: result} of the runs that did not diverge.
    best: the seed whose model is saved.
    outputs: outputs of that model by window, on the split that is scored.
    windows: the windows of that split.
    temperature: what that model's logits are divided by for calibrated
      probabilities; None where answers have none.
  """

  runs: Mapping[int, TrialResult]
  best: int
  outputs: Batch
  windows: Windows
  temperature: float | None = None
