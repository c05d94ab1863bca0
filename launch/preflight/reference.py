# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses that others reached, by size and tokens seen, each with its source.

A size or a number of tokens that no source is known for is not here. Losses
compare only for one vocabulary and similar text; how far a loss is below the
unigram entropy of the same targets compares better, where a source tells it.
"""

import dataclasses
import math
from collections.abc import Iterator

from bertjax.config import SIZES, ModelConfig

_DEVLIN = "Devlin et al. (2019), table 6"
_ENGLISH = "held-out English Wikipedia and books"
_BOOKS = "python -m benchmarks.books"


@dataclasses.dataclass(frozen=True)
class Reference:
  """A result of pre-training that a run can be compared with.

  Attributes:
    layers: layers of the model.
    width: its hidden size.
    trained: how long it was trained.
    tokens: tokens that it had seen; None if the source does not say.
    loss: nats, see `of`; None if the source tells `below` only.
    of: what the loss is of.
    source: where this is said, or the command that measures it.
    below: nats below the unigram entropy of the same targets.
    spread: standard deviation over seeds.
  """

  layers: int
  width: int
  trained: str
  tokens: float | None
  loss: float | None
  of: str
  source: str
  below: float | None = None
  spread: float | None = None

  def __str__(self) -> str:
    """Return one line: result, what of, how long, source."""
    parts = []
    if self.loss is not None:
      spread = f" ± {self.spread:.3f}" if self.spread else ""
      parts.append(f"{self.loss:.3f}{spread} nats")
    if self.below is not None:
      parts.append(f"{self.below:.2f} nats below the unigram entropy")
    seen = f", {_tokens(self.tokens)}" if self.tokens else ""
    return (
      f"{', '.join(parts)} ({self.of}) after {self.trained}{seen}: "
      f"{self.source}"
    )


def _perplexity(
  layers: int, width: int, trained: str, perplexity: float, source: str
) -> Reference:
  return Reference(
    layers, width, trained, None, math.log(perplexity), _ENGLISH, source
  )


def _mini(steps: int, below: float, loss: float | None = None) -> Reference:
  # Rows of 128 tokens, of which 99.6 % are no padding.
  tokens = steps * 16 * 128 * 0.996
  trained = f"{steps:,} steps of 16 rows"
  return Reference(
    4, 256, trained, tokens, loss, "held-out books", _BOOKS, below
  )


REFERENCES: tuple[Reference, ...] = (
  _mini(600, 0.59),
  _mini(1_200, 1.28),
  _mini(2_000, 2.14),
  _mini(4_000, 2.60, 4.030),
  _perplexity(3, 768, "1 M steps", 5.84, _DEVLIN),
  _perplexity(6, 768, "1 M steps", 4.68, _DEVLIN),
  _perplexity(12, 768, "1 M steps", 3.99, _DEVLIN),
  _perplexity(
    12,
    768,
    "steps of 2 k rows, as much text",
    3.68,
    "Liu et al. (2019), RoBERTa, section 4.3",
  ),
  Reference(
    12,
    768,
    "18 epochs at 128 tokens",
    None,
    1.78,
    "held-out Norwegian text, RoBERTa's vocabulary",
    "huggingface/transformers, examples/flax/language-modeling",
  ),
  _perplexity(24, 1024, "1 M steps", 3.23, _DEVLIN),
  Reference(
    24,
    1024,
    "8,601 steps with LAMB",
    85.3e9,
    1.265,
    "training loss with NSP, 5 seeds",
    "NVIDIA/DeepLearningExamples, PyTorch BERT",
    spread=0.023,
  ),
)


def find(model: ModelConfig) -> list[Reference]:
  """Return the references for the layers and width of a model."""
  shape = (model.num_layers, model.hidden_size)
  return [each for each in REFERENCES if (each.layers, each.width) == shape]


def describe(
  model: ModelConfig,
  *,
  tokens: float | None,
  loss: float,
  entropy: float | None = None,
) -> Iterator[str]:
  """Yield what others reached with a model of this shape, beside this run.

  Args:
    model: shape of the encoder.
    tokens: tokens that the run has seen.
    loss: its validation loss on masked tokens, in nats.
    entropy: the unigram entropy of the same targets.
  """
  found = find(model)
  shape = f"{model.num_layers} layers of width {model.hidden_size}"
  if not found:
    known = {(each.layers, each.width) for each in REFERENCES}
    names = [
      name
      for name, size in SIZES.items()
      if (size.num_layers, size.hidden_size) in known
    ]
    yield (
      f"no published loss is known for {shape}; there are some for "
      f"{', '.join(names)}"
    )
    return
  beside = ""
  if entropy is not None:
    side = "below" if loss <= entropy else "above"
    beside = f", {abs(entropy - loss):.2f} nats {side} the unigram entropy"
  yield (
    f"this run: {loss:.3f} nats{beside}"
    + (f" after {_tokens(tokens)}" if tokens else "")
    + f"; others with {shape}, whose vocabulary and text may differ:"
  )
  # The nearest number of tokens first, those without one last.
  distance = lambda each: (
    abs(math.log(each.tokens / tokens)) if each.tokens and tokens else math.inf
  )
  for each in sorted(found, key=distance)[:4]:
    yield f"  {each}"


def _tokens(number: float) -> str:
  for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
    if number >= size:
      return f"{number / size:.3g} {unit} tokens"
  return f"{number:.0f} tokens"
