# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle as a function from texts to vectors."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bertjax.checkpoints.bundle import BundleInfo, load_params
from bertjax.finetune.embeddings import embed_in_fixed_shapes
from bertjax.finetune.fixed_shapes import Pending
from data_pipelines.tasks.features import EncodedTexts, encode_texts
from data_pipelines.tokenizers import tokenizers
from launch.inference.checks import check_texts, total
from launch.inference.encoding import Encoded, TextTokenizer
from launch.preflight.policy import DEFAULT, Policy

# Texts that are encoded together where all of them are in memory.
_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Options:
  """How texts become vectors.

  Attributes:
    pooling: one of `embeddings.POOLINGS`.
    normalize: whether vectors get the length 1.
    seq_length: tokens of the longest text; 0 is what the model reads.
    batch_size: rows of 16 tokens that are computed at once; 0 suits the
      devices.
    policy: limits of the checks.
  """

  pooling: str = "mean"
  normalize: bool = False
  seq_length: int = 0
  batch_size: int = 0
  policy: Policy = DEFAULT


class Embedder:
  """Gives a vector to each text, by one or several poolings.

  Attributes:
    forward: what computes the vectors.
    width: their length.
  """

  def __init__(
    self, info: BundleInfo, options: Options, poolings: Sequence[str]
  ) -> None:
    task = info.details.task
    most = task["seq_length"] if task else info.model.max_positions
    if options.seq_length > info.model.max_positions:
      raise ValueError(
        f"seq_length={options.seq_length}, and this model reads "
        f"{info.model.max_positions} tokens; give no more"
      )
    self.width = info.model.hidden_size
    self._positions, self._policy = info.model.max_positions, options.policy
    self.forward = embed_in_fixed_shapes(
      load_params(info),
      info.model,
      poolings,
      seq_length=options.seq_length or most,
      normalize=options.normalize,
      batch_size=options.batch_size,
    )
    self._tokenizer = TextTokenizer(tokenizers.load(info.tokenizer_path))

  def encode(
    self, texts: Sequence[str], pairs: Sequence[str] | None = None
  ) -> Encoded:
    """Return a window for each text."""
    encoded = encode_texts(
      self._tokenizer, texts, pairs, self.forward.seq_length
    )
    return Encoded(encoded, np.arange(len(texts)))

  def start(self, inputs: Encoded) -> Pending:
    """Begin to compute."""
    return self.forward.start(inputs.features)

  def check(self, encoded: EncodedTexts, texts: int) -> None:
    """Warn of texts that are cut, and of unknown tokens.

    Raises:
      ValueError: the policy makes one of them a failure.
    """
    length = self.forward.seq_length
    fix = "give shorter texts"
    if length < self._positions:
      fix += f", or a larger --seq_length, up to {self._positions}"
    check_texts(encoded, texts, length, self._policy, fix)

  def __call__(self, texts: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return {pooling: float32 [texts, width]}.

    Raises:
      ValueError: the policy makes texts that are cut, or unknown tokens, a
        failure.
    """
    started, counted = [], []
    for first in range(0, len(texts), _AT_ONCE):
      inputs = self.encode(texts[first : first + _AT_ONCE])
      started.append(self.start(inputs))
      counted.append(inputs.encoded)
    self.check(total(counted), len(texts))
    parts = [each.read() for each in started]
    return {
      name.removesuffix("_ND"): np.concatenate([part[name] for part in parts])
      for name in parts[0]
    }
