# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Between which losses a run normally ends, from the table of references.

A run should do no worse than a model that was no larger and saw no more tokens,
and hardly better than one that was no smaller and saw no fewer.
"""

import dataclasses

from bertjax.config import ModelConfig, ObjectiveConfig
from launch.preflight.kinds import Kind, Objective, Reference
from launch.preflight.reference import comparable, prefer

# A model that reads its text more often than BERT did has seen little text, so
# that others with as many tokens may well do better.
_MOST_EPOCHS = 40


@dataclasses.dataclass(frozen=True)
class Band:
  """What the loss of a run normally lies between, each side with its reason.

  Attributes:
    low: the loss of a model that is no smaller, after no fewer tokens.
    high: the loss of one that is no larger, after no more tokens.
  """

  low: tuple[float, Reference] | None
  high: tuple[float, Reference] | None

  def beyond(self, loss: float) -> tuple[float, Reference] | None:
    """Return how far a loss is outside, negative below, and of which edge."""
    if self.high is not None and loss > self.high[0]:
      return loss - self.high[0], self.high[1]
    if self.low is not None and loss < self.low[0]:
      return loss - self.low[0], self.low[1]
    return None


def objective_of(objective: ObjectiveConfig) -> Objective:
  """Return the name of the losses of a run."""
  names: dict[str, Objective] = {"nsp": "mlm_nsp", "sop": "mlm_sop"}
  if not objective.next_sentence_weight:
    return "mlm"
  return names.get(objective.next_sentence, "mlm")


def find_band(
  model: ModelConfig,
  objective: Objective,
  kind: Kind,
  *,
  tokens: float,
  entropy: float | None = None,
) -> Band:
  """Return between which losses a run normally ends.

  Edges are the nearest losses of other runs of its kind; those of another
  objective count only where `prefer` keeps them. A side that nothing is known
  of is None.

  Args:
    model: shape of the encoder; its weights are what counts as its size.
    objective: losses of the run.
    kind: what results share with the run.
    tokens: tokens that the run has seen.
    entropy: the unigram entropy of its validation targets.
  """
  size = _weights(model.num_layers, model.hidden_size)
  low: list[tuple[float, Reference]] = []
  high: list[tuple[float, Reference]] = []
  with_a_loss = [
    each for each in comparable(kind) if each.reached(entropy) is not None
  ]
  for each in prefer(with_a_loss, objective):
    loss = each.reached(entropy)
    if loss is None or not each.tokens:
      continue
    theirs = _weights(each.layers, each.width)
    if theirs <= size and each.tokens <= tokens:
      high.append((loss, each))
    epochs = each.tokens / each.text if each.text else 0
    if theirs >= size and each.tokens >= tokens and epochs <= _MOST_EPOCHS:
      low.append((loss, each))
  by_loss = lambda edge: edge[0]
  return Band(
    max(low, key=by_loss, default=None),
    min(high, key=by_loss, default=None),
  )


def _weights(layers: int, width: int) -> int:
  return 12 * layers * width**2
