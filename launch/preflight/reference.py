# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses that others reached, by size, tokens seen and objective, with source.

A size or a number of tokens that no source is known for is not here. Losses
compare only for one kind of encoder, of vocabulary and of masks, and for
similar text; how far a loss is below the unigram entropy of the same targets
compares better, where a source tells it.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Literal

from bertjax.config import SIZES, ModelConfig, PretrainConfig
from configs.families import family_of

Objective = Literal["mlm", "mlm_nsp", "mlm_sop"]
_DEVLIN = "Devlin et al. (2019), table 6"
_ENGLISH = "held-out English Wikipedia and books"
_BOOKS = "python -m benchmarks.books"
# 1 M steps of 256 rows, 90 % of them at 128 tokens and 10 % at 512 (Devlin et
# al., 2019, appendix A.2).
_BERT_TOKENS = 1e6 * 256 * (0.9 * 128 + 0.1 * 512)


# What all of them were evaluated with: BERT's.
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
  """

  family: str = "bert"
  tokenizer: str = "wordpiece"
  mask_unit: str = "token"
  replaced: tuple[float, float] = (0.8, 0.1)
  mask_rate: float = 0.15

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
    )


# BERT, and its models of `recipe=short`, which masks more.
BERT = Kind()
SHORT = Kind(mask_rate=0.4)
# With its vocabulary of bytes.
ROBERTA = Kind(family="roberta", tokenizer="byte_bpe")


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
    text: words of the text, where the model read it more than 40 times.
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


def _perplexity(
  layers: int, width: int, trained: str, perplexity: float, source: str
) -> Reference:
  loss = math.log(perplexity)
  return Reference(layers, width, trained, _BERT_TOKENS, loss, _ENGLISH, source)


def _roberta(
  shape: tuple[int, int],
  steps: int,
  rows: int,
  perplexity: float,
  source: str,
  text: float | None = None,
  kind: Kind = ROBERTA,
) -> Reference:
  """Return a result of RoBERTa's training, all of it in rows of 512 tokens."""
  trained = f"{steps:,} steps of {rows:,} rows"
  return Reference(
    *shape,
    trained + (f", {text / 1e6:,.0f} M words of text" if text else ""),
    steps * rows * 512.0,
    math.log(perplexity),
    _ENGLISH,
    source,
    objective="mlm",
    kind=kind,
    text=text,
  )


def _nyu(
  shape: tuple[int, int],
  name: str,
  steps: int,
  rows: int,
  perplexity: float,
) -> Reference:
  """Return one of the best three of 25 runs (10 with 1,000 M words)."""
  text = {"1M": 1e6, "10M": 1e7, "100M": 1e8, "1B": 1e9}[name.split("-")[-2]]
  source = f"huggingface.co/nyu-mll/roberta-{name}"
  return _roberta(shape, steps, rows, perplexity, source, text)


def _short(
  size: str,
  steps: int,
  below: float,
  loss: float | None = None,
  *,
  of: str = "held-out books",
  source: str = _BOOKS,
) -> Reference:
  """Return a result of `recipe=short` here."""
  shape = SIZES[size].num_layers, SIZES[size].hidden_size
  # Rows of 128 tokens, of which 99.6 % are no padding.
  tokens = steps * 16 * 128 * 0.996
  trained = f"{steps:,} steps of 16 rows"
  return Reference(
    *shape, trained, tokens, loss, of, source, kind=SHORT, below=below
  )


_BASE, _MED_SMALL = (12, 768), (6, 512)
REFERENCES: tuple[Reference, ...] = (
  _short(
    "tiny",
    1_600,
    1.551,
    4.916,
    of="the standard library's prose",
    source="make pretrain",
  ),
  _short("mini", 600, 0.59),
  _short("mini", 1_200, 1.28),
  _short("mini", 2_000, 2.14),
  _short("mini", 4_000, 2.60, 4.030),
  _perplexity(3, 768, "1 M steps", 5.84, _DEVLIN),
  _perplexity(6, 768, "1 M steps", 4.68, _DEVLIN),
  _perplexity(12, 768, "1 M steps", 3.99, _DEVLIN),
  _nyu(_MED_SMALL, "med-small-1M-2", 10_000, 512, 134.18),
  _nyu(_BASE, "base-10M-2", 10_000, 512, 10.78),
  _nyu(_BASE, "base-100M-2", 31_000, 1_024, 4.61),
  _nyu(_BASE, "base-1B-1", 100_000, 512, 3.93),
  _nyu(_BASE, "base-1B-3", 31_000, 4_096, 3.84),
  # Before section 4.4, where RoBERTa's own vocabulary comes.
  _roberta(
    _BASE,
    125_000,
    2_048,
    3.68,
    "Liu et al. (2019), RoBERTa, section 4.3",
    kind=BERT,
  ),
  Reference(
    12,
    768,
    "18 epochs at 128 tokens",
    None,
    1.78,
    "held-out Norwegian text, RoBERTa's vocabulary",
    "huggingface/transformers, examples/flax/language-modeling",
    objective="mlm",
    kind=ROBERTA,
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
    is_masked_lm=False,
  ),
)


def comparable(kind: Kind) -> tuple[Reference, ...]:
  """Return the references that a run of this kind compares with.

  Losses of one evaluation compare over rates of masks in training that were
  tried; a rate that no reference of the kind has is not known to.
  """
  alike = tuple(
    each
    for each in REFERENCES
    if dataclasses.replace(each.kind, mask_rate=kind.mask_rate) == kind
  )
  tried = {each.kind.mask_rate for each in alike}
  return alike if kind.mask_rate in tried else ()


def find(model: ModelConfig, kind: Kind) -> list[Reference]:
  """Return the references for the layers and width of a model."""
  shape = (model.num_layers, model.hidden_size)
  return [
    each for each in comparable(kind) if (each.layers, each.width) == shape
  ]


def describe(
  model: ModelConfig,
  kind: Kind,
  *,
  tokens: float | None,
  loss: float,
  entropy: float | None = None,
) -> Iterator[str]:
  """Yield what others reached with a model of this shape, beside this run.

  Nothing is known of some kinds, and nothing is said of them.

  Args:
    model: shape of the encoder.
    kind: what references share with the run.
    tokens: tokens that the run has seen.
    loss: its validation loss on masked tokens, in nats.
    entropy: the unigram entropy of the same targets.
  """
  found = find(model, kind)
  shape = f"{model.num_layers} layers of width {model.hidden_size}"
  if not found:
    known = {(each.layers, each.width) for each in comparable(kind)}
    names = [
      name
      for name, size in SIZES.items()
      if (size.num_layers, size.hidden_size) in known
    ]
    if known:
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
    + (f" after {count(tokens)}" if tokens else "")
    + f"; others with {shape}, whose vocabulary and text may differ:"
  )
  # The nearest number of tokens first, those without one last.
  distance = lambda each: (
    abs(math.log(each.tokens / tokens)) if each.tokens and tokens else math.inf
  )
  for each in sorted(found, key=distance)[:4]:
    yield f"  {each}"


def count(number: float) -> str:
  """Return a number of tokens with its unit."""
  for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
    if number >= size:
      return f"{number / size:.3g} {unit} tokens"
  return f"{number:.0f} tokens"
