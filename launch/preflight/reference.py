# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Losses that runs reached, by size, tokens seen and objective, with source.

Runs of others, and runs made here. A size or a number of tokens that no source
is known for is not here.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bertjax.config import SIZES, ModelConfig
from launch.preflight.kinds import (
  SHORT,
  Kind,
  Objective,
  Reference,
  count,
)

# RoBERTa with its own vocabulary of bytes.
ROBERTA = Kind(family="roberta", tokenizer="byte_bpe")
_DEVLIN = "Devlin et al. (2019), table 6"
_ENGLISH = "held-out English Wikipedia and books"
_BOOKS = "python -m benchmarks.books"
# 1 M steps of 256 rows, 90 % of them at 128 tokens and 10 % at 512 (Devlin et
# al., 2019, appendix A.2).
_BERT_TOKENS = 1e6 * 256 * (0.9 * 128 + 0.1 * 512)
# Two numbers of tokens count as about equal up to this ratio.
_ABOUT_AS_MANY = 1.25
# `trained`, `tokens`, `loss` and `of` of a reference, to be filled in.
_UNKNOWN = ("", None, None, "")


def _perplexity(
  layers: int, width: int, trained: str, perplexity: float, source: str
) -> Reference:
  loss = math.log(perplexity)
  return Reference(layers, width, trained, _BERT_TOKENS, loss, _ENGLISH, source)


def _roberta(
  base: Reference, steps: int, rows: int, perplexity: float
) -> Reference:
  """Return a result of RoBERTa's training, all of it in rows of 512 tokens.

  Args:
    base: what does not follow from the other ones.
    steps: of the training.
    rows: of a step.
    perplexity: of masked tokens.
  """
  words = f", {base.text / 1e6:,.0f} M words of text" if base.text else ""
  return dataclasses.replace(
    base,
    trained=f"{steps:,} steps of {rows:,} rows{words}",
    tokens=steps * rows * 512.0,
    loss=math.log(perplexity),
    of=_ENGLISH,
    objective="mlm",
  )


def _nyu(
  shape: tuple[int, int], name: str, steps: int, rows: int, perplexity: float
) -> Reference:
  """Return one of the best three of 25 runs (10 with 1,000 M words)."""
  base = Reference(
    *shape,
    *_UNKNOWN,
    source=f"huggingface.co/nyu-mll/roberta-{name}",
    kind=ROBERTA,
    text={"1M": 1e6, "10M": 1e7, "100M": 1e8, "1B": 1e9}[name.split("-")[-2]],
  )
  return _roberta(base, steps, rows, perplexity)


def _short(
  size: str,
  steps: int,
  *,
  below: float,
  loss: float | None = None,
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


class _Arm(NamedTuple):
  """An arm of a study of `recipe=short` here, with three seeds.

  Attributes:
    study: its name.
    name: of the arm.
    objective: losses of the arm.
    steps: of a trial.
    tokens: that a trial saw.
    loss: mean over the seeds.
    spread: standard deviation of that.
    below: mean of what lies between unigram entropy and loss.
  """

  study: str
  name: str
  objective: Objective
  steps: int
  tokens: float
  loss: float
  spread: float
  below: float


# benchmarks/study_losses.json has these, and a test compares.
_ARMS = (
  _Arm("python", "mlm_nsp", "mlm_nsp", 1_600, 3.262e6, 4.802, 0.039, 1.666),
  _Arm("python", "nsp_rows", "mlm", 1_600, 3.262e6, 4.603, 0.004, 1.864),
  _Arm("python", "mlm", "mlm", 1_593, 3.258e6, 4.712, 0.061, 1.764),
  _Arm("python", "sop", "mlm_sop", 1_593, 3.258e6, 4.716, 0.052, 1.687),
  _Arm(
    "python",
    "sentence_mlm_nsp",
    "mlm_nsp",
    1_595,
    3.258e6,
    3.721,
    0.030,
    2.717,
  ),
  _Arm(
    "python", "sentence_nsp_rows", "mlm", 1_595, 3.258e6, 3.642, 0.027, 2.795
  ),
  _Arm("python", "sentence_mlm", "mlm", 1_593, 3.258e6, 3.872, 0.023, 2.571),
  _Arm(
    "python", "sentence_sop", "mlm_sop", 1_593, 3.258e6, 3.907, 0.008, 2.567
  ),
  _Arm("python", "full_sentences", "mlm", 1_746, 3.261e6, 4.664, 0.052, 1.792),
  _Arm("python", "doc_sentences", "mlm", 1_732, 3.264e6, 4.531, 0.017, 1.817),
  _Arm("books", "mlm_nsp", "mlm_nsp", 3_600, 7.336e6, 4.965, 0.402, 1.661),
  _Arm("books", "nsp_rows", "mlm", 3_600, 7.336e6, 4.227, 0.008, 2.399),
  _Arm("books", "mlm", "mlm", 3_603, 7.337e6, 4.484, 0.138, 2.128),
  _Arm("books", "sop", "mlm_sop", 3_603, 7.337e6, 4.689, 0.208, 1.890),
  _Arm("books", "full_sentences", "mlm", 4_029, 7.333e6, 4.094, 0.081, 2.465),
  _Arm("books", "doc_sentences", "mlm", 4_028, 7.326e6, 4.066, 0.026, 2.476),
)


def _of_study(arm: _Arm) -> Reference:
  books = arm.study == "books"
  pairs = arm.name.startswith("sentence_")
  return Reference(
    SIZES["tiny"].num_layers,
    SIZES["tiny"].hidden_size,
    f"{arm.steps:,} steps of 16 rows",
    arm.tokens,
    arm.loss,
    "held-out books" if books else "the standard library's prose",
    f"docs/studies/nsp/{arm.study}, {arm.name}",
    objective=arm.objective,
    kind=dataclasses.replace(SHORT, sentence_pairs=pairs),
    below=arm.below,
    spread=arm.spread,
  )


_BASE, _MED_SMALL = (12, 768), (6, 512)
REFERENCES: tuple[Reference, ...] = (
  _short(
    "tiny",
    1_600,
    below=1.551,
    loss=4.916,
    of="the standard library's prose",
    source="make pretrain",
  ),
  *map(_of_study, _ARMS),
  _short("mini", 600, below=0.59),
  _short("mini", 1_200, below=1.28),
  _short("mini", 2_000, below=2.14),
  _short("mini", 4_000, below=2.60, loss=4.030),
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
    Reference(
      *_BASE, *_UNKNOWN, source="Liu et al. (2019), RoBERTa, section 4.3"
    ),
    125_000,
    2_048,
    3.68,
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

  All losses here are of one rate of masks in evaluation, so that models compare
  that were trained with other rates. If no reference of the kind was trained
  with the run's rate, nothing is known of that rate, and none compares.
  """
  alike = tuple(
    each
    for each in REFERENCES
    if dataclasses.replace(each.kind, mask_rate=kind.mask_rate) == kind
  )
  tried = {each.kind.mask_rate for each in alike}
  return alike if kind.mask_rate in tried else ()


def prefer(found: Sequence[Reference], objective: Objective) -> list[Reference]:
  """Return the results of an objective, and of others what these lack.

  A result of another objective is left out if there is one of this objective
  for a model of the same shape that saw about as many tokens.
  """
  own = [each for each in found if each.objective == objective]
  return [
    each
    for each in found
    if each.objective == objective
    or not any(_is_near(each, other) for other in own)
  ]


def _is_near(one: Reference, other: Reference) -> bool:
  if (one.layers, one.width) != (other.layers, other.width):
    return False
  if not one.tokens or not other.tokens:  # not known to be
    return False
  return abs(math.log(one.tokens / other.tokens)) < math.log(_ABOUT_AS_MANY)


def find(model: ModelConfig, kind: Kind) -> list[Reference]:
  """Return the references for the layers and width of a model."""
  shape = (model.num_layers, model.hidden_size)
  return [
    each for each in comparable(kind) if (each.layers, each.width) == shape
  ]


def describe(
  model: ModelConfig,
  kind: Kind,
  objective: Objective,
  *,
  tokens: float | None,
  loss: float,
  entropy: float | None = None,
) -> Iterator[str]:
  """Yield what other runs reached with a model of this shape, beside this one.

  Of a shape without a reference, says for which sizes there are some; of a kind
  without any, says nothing.

  Args:
    model: shape of the encoder.
    kind: what references share with the run.
    objective: losses of the run.
    tokens: tokens that the run has seen.
    loss: its validation loss on masked tokens, in nats.
    entropy: the unigram entropy of the same targets.
  """
  found = prefer(find(model, kind), objective)
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
        f"no loss of others is known for {shape}; there are some for "
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
