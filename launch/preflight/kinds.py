# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What two runs share whose losses compare, and what one of them reached.

Losses compare only for one kind of encoder, of vocabulary, of rows and of
masks, and for similar text; how far a loss is below the unigram entropy of the
same targets compares better, where a source tells it.
"""

import dataclasses
from typing import Literal

from bertjax.config import PretrainConfig
from configs.families import family_of

Objective = Literal["mlm", "mlm_nsp", "mlm_sop"]
# What all results of the table were evaluated with: BERT's.
EVALUATED_RATE = 0.15


@dataclasses.dataclass(frozen=True)
class Kind:
  """What two runs share whose losses compare.

  Attributes:
    family: name of the family of the encoder in `configs.families`; "" is an
      encoder of no family.
    tokenizer: name of the kind of tokenizer, as in a store's manifest.
    mask_unit: what is masked as one in training.
    replaced: shares of [MASK] and of random tokens at masked positions.
    mask_rate: share of the tokens that are masked in training.
    sentence_pairs: whether an example is two sentences and no longer text.
      Losses on such rows were 0.8 to 1.1 nats below those on segments of the
      same text (docs/studies/nsp/python).
  """

  family: str = "bert"
  tokenizer: str = "wordpiece"
  mask_unit: str = "token"
  replaced: tuple[float, float] = (0.8, 0.1)
  mask_rate: float = 0.15
  sentence_pairs: bool = False

  @classmethod
  def of(cls, config: PretrainConfig, tokenizer: str) -> "Kind":
    """Return the kind of a run.

    Args:
      config: its config, resolved.
      tokenizer: name of the kind of its tokenizer.
    """
    objective = config.objective
    return cls(
      family=family_of(config.model),
      tokenizer=tokenizer,
      mask_unit=objective.mask_unit,
      replaced=(objective.mask_token_rate, objective.random_token_rate),
      mask_rate=objective.mask_rate,
      sentence_pairs=objective.input_format == "sentence_pair",
    )


# BERT, and its models of `recipe=short`, which masks more.
BERT = Kind()
SHORT = Kind(mask_rate=0.4)


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
    objective: losses of the training.
    kind: what a run shares that is compared with it.
    below: nats below the unigram entropy of the same targets.
    spread: standard deviation over seeds.
    text: words of the training text, where they may be few for the tokens;
      None counts as enough.
    is_masked_lm: whether `loss` is that of masked tokens alone.
  """

  layers: int
  width: int
  trained: str
  tokens: float | None
  loss: float | None
  of: str
  source: str
  objective: Objective = "mlm_nsp"
  kind: Kind = BERT
  below: float | None = None
  spread: float | None = None
  text: float | None = None
  is_masked_lm: bool = True

  def __str__(self) -> str:
    """Return one line: result, what of, how long, source."""
    parts = []
    if self.loss is not None:
      spread = f" ± {self.spread:.3f}" if self.spread else ""
      parts.append(f"{self.loss:.3f}{spread} nats")
    if self.below is not None:
      parts.append(f"{self.below:.2f} nats below the unigram entropy")
    seen = f", {count(self.tokens)}" if self.tokens else ""
    return (
      f"{', '.join(parts)} ({self.of}) after {self.trained}{seen} of "
      f"{self.objective}: {self.source}"
    )

  def reached(self, entropy: float | None) -> float | None:
    """Return the loss that it would have had where others' entropy is known.

    Args:
      entropy: unigram entropy of the targets of a run.
    """
    if self.below is not None:
      return None if entropy is None else entropy - self.below
    return self.loss if self.is_masked_lm else None


def count(number: float) -> str:
  """Return a number of tokens with its unit."""
  for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
    if number >= size:
      return f"{number / size:.3g} {unit} tokens"
  return f"{number:.0f} tokens"
