# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Multiple choice: which of some texts goes with another one, as in SWAG.

Each choice is a window: the context and the choice as a pair of texts. One
vector gives each choice a score, and a softmax is over the choices of an
example (Devlin et al., 2018, section 4.4), which stand in one row. An example
may have fewer choices than another; what it lacks is padding and counts
nothing.

A choice that is longer than a row with its context may have several windows,
whose logits are pooled before the softmax: in training by `choice_windows`, for
scores and answers by `windows.pool`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from bertjax.batch import Batch, Feature
from bertjax.finetune import regression, scores
from bertjax.finetune.error_analysis import (
  ErrorAnalysis,
  Mistake,
  Mistakes,
  count_wrong,
  find_worst,
)
from bertjax.finetune.task import Answer, FinetuneTask, Scores
from bertjax.finetune.windows import Windows, pool
from bertjax.interop.architectures import MULTIPLE_CHOICE
from bertjax.objectives.metrics import Metrics

Array = jax.Array
# Finite, because a row of padding has no choice at all.
_NEVER = -1e30


class Choices(Protocol):
  """What is asked of an example."""

  @property
  def context(self) -> str:
    """The text that all choices go with."""
    ...

  @property
  def choices(self) -> Sequence[str]:
    """The choices."""
    ...


def losses(
  outputs: Mapping[str, Array],
  batch: Mapping[str, Array],
  *,
  label_smoothing: float = 0.0,
) -> Metrics:
  """Return the cross-entropy over the choices as `loss`, and `accuracy`.

  The logit of a choice is that of its first window. With a smoothing ε the
  target is 1 − ε for the right choice, and ε divided by all choices of its
  example.
  """
  logits_BR = outputs["logits_BRC"][..., 0]
  first_BR = batch["first_BR"]
  # Choices of an example follow each other, and the first one is marked.
  example_BR = jnp.cumsum(jnp.maximum(first_BR, 0), axis=1)
  # Q is the choice that a choice is compared with.
  compared_BRQ = example_BR[:, :, None] == example_BR[:, None, :]
  is_choice_BR = (batch["weight_BR"] > 0) & (first_BR >= 0)
  compared_BRQ &= is_choice_BR[:, None, :]
  others_BRQ = jnp.where(compared_BRQ, logits_BR[:, None, :], _NEVER)
  loss_BR = jax.nn.logsumexp(others_BRQ, axis=2) - logits_BR
  if label_smoothing:
    sum_BR = jnp.sum(jnp.where(compared_BRQ, others_BRQ, 0.0), axis=2)
    # A choice of padding is compared with none.
    count_BR = jnp.maximum(jnp.sum(compared_BRQ, axis=2, dtype=jnp.float32), 1)
    loss_BR += label_smoothing * (logits_BR - sum_BR / count_BR)
  right_BR = (logits_BR >= others_BRQ.max(axis=2)).astype(jnp.float32)
  weight_BR = batch["label_BR"] * batch["weight_BR"]
  total = jnp.sum(weight_BR)
  return {
    "loss": (jnp.sum(loss_BR * weight_BR), total),
    "accuracy": (jnp.sum(right_BR * weight_BR), total),
  }


def weights(batch: Mapping[str, Array]) -> dict[str, Array]:
  """Return the number of examples in a batch."""
  return {"loss": jnp.sum(batch["label_BR"] * batch["weight_BR"])}


def score(outputs: Batch, windows: Windows) -> Scores:
  """Return accuracy and mean cross-entropy of all examples."""
  logits_EK, labels_E = class_logits(outputs, windows)
  return {
    "accuracy": scores.accuracy(logits_EK, labels_E),
    "loss": scores.cross_entropy(logits_EK, labels_E),
  }


def class_logits(
  outputs: Batch, windows: Windows
) -> tuple[np.ndarray, np.ndarray]:
  """Return `logits_EK` and the right choice of each example.

  A choice that an example lacks has −infinity.
  """
  outputs, windows = _by_choice(outputs, windows)
  owner_N = windows.owner_N
  return (
    _by_example(outputs["logits_NC"][:, 0], owner_N, -np.inf),
    _by_example(windows["label_N"], owner_N, 0).argmax(axis=1),
  )


def is_degenerate(scored: Scores, outputs: Batch, windows: Windows) -> bool:
  """Return whether one choice is taken always, though others are right."""
  del scored
  logits_EK, labels_E = class_logits(outputs, windows)
  taken_E = logits_EK.argmax(axis=1)
  return len(np.unique(taken_E)) < min(len(np.unique(labels_E)), 2)


def answers(
  outputs: Batch,
  windows: Windows,
  labels: Sequence[str],
  tokens: Sequence[str],
) -> Sequence[Sequence[Answer]]:
  """Return each choice of an example, its probability and its number.

  `windows.examples` has them as `Choices`. An empty text is a choice
  that the example lacks: it has no window, and others keep their numbers.
  The array `first_N` tells the windows of a choice from each other.
  """
  del labels, tokens
  outputs, windows = _by_choice(outputs, windows)
  logits_EK = _by_example(outputs["logits_NC"][:, 0], windows.owner_N, -np.inf)
  found = []
  examples: Sequence[Choices] = windows.examples
  for probabilities_K, example in zip(
    scores.probabilities(logits_EK), examples, strict=True
  ):
    choices = example.choices
    given = [number for number, text in enumerate(choices) if text.strip()]
    found.append(
      [
        (choices[given[place]], float(probabilities_K[place]), given[place])
        for place in np.argsort(-probabilities_K[: len(given)], kind="stable")
      ]
    )
  return found


def analyze(outputs: Batch, windows: Windows) -> ErrorAnalysis:
  """Return the surest wrong choices."""
  logits_EK, right_E = class_logits(outputs, windows)
  chance_EK = scores.probabilities(logits_EK)
  given_E = chance_EK.argmax(axis=1)
  is_wrong_E = given_E != right_E
  worst = find_worst(chance_EK.max(axis=1), is_wrong_E)
  examples: Sequence[Choices] = windows.examples
  return ErrorAnalysis(
    Mistakes(
      "The surest wrong choices",
      count_wrong(is_wrong_E, "choices"),
      ("probability",),
      tuple(
        Mistake(
          (f"{chance_EK[number].max():.1%}",),
          (examples[number].choices[int(right_E[number])],),
          (examples[number].choices[int(given_E[number])],),
          (
            examples[number].context,
            *(f"• {choice}" for choice in examples[number].choices),
          ),
        )
        for number in worst
      ),
    )
  )


def _by_choice(outputs: Batch, windows: Windows) -> tuple[Batch, Windows]:
  """Return outputs and targets by choice; a long one has several windows.

  Without an array `first_N`, each choice has one.
  """
  if "first_N" not in windows.arrays:
    return outputs, windows
  begins_N = windows["first_N"] >= 0
  pooled, choices = pool(
    outputs,
    dataclasses.replace(windows, owner_N=np.cumsum(begins_N) - 1),
  )
  return pooled, dataclasses.replace(choices, owner_N=windows.owner_N[begins_N])


def _by_example(
  values_N: np.ndarray, owner_N: np.ndarray, missing: float
) -> np.ndarray:
  """Return float64 `values_EK`: a row for each example, a column a choice."""
  count_E = np.bincount(owner_N)
  first_E = np.cumsum(count_E) - count_E
  values_EK = np.full((len(count_E), int(count_E.max())), missing)
  values_EK[owner_N, np.arange(len(owner_N)) - first_E[owner_N]] = values_N
  return values_EK


TASK = FinetuneTask(
  name="multiple_choice",
  verb="choose",
  architecture=MULTIPLE_CHOICE,
  pools=True,
  compares=True,
  targets={
    # 1 for the right choice, in its first window; else 0.
    "label_BR": Feature("BR", "float32"),
    # 1 for the first choice of an example, 0 for another one, −1 for a further
    # window of the choice before it.
    "first_BR": Feature("BR", "int32"),
    "weight_BR": Feature("BR", "float32"),  # 1 for a window, 0 for padding
  },
  make_model=regression.make_model,
  coefficients={"loss": 1.0},
  weights=weights,
  losses=losses,
  scores=score,
  count_classes=None,
  metrics=("accuracy",),
  columns={
    "dev accuracy": ("dev", "accuracy"),
    "test accuracy": ("test", "accuracy"),
  },
  answer_columns=("choice", "probability", "number"),
  answers=answers,
  class_logits=class_logits,
  analyze=analyze,
  loss_options=("label_smoothing",),
  is_degenerate=is_degenerate,
)
