# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What makes an encoder another one than BERT, in plain words."""

from collections.abc import Callable, Iterator, Mapping

from bertjax.config import ModelConfig
from bertjax.config.model import has_windows

_Words = Callable[[ModelConfig], str]


def _positions(model: ModelConfig) -> str:
  if model.positions == "sinusoidal":
    return "positions are sines and cosines that are not learned"
  bases = f"{model.rotary_base:,g}"
  if has_windows(model) and model.local_base != model.rotary_base:
    bases += f", and {model.local_base:,g} in layers with a window"
  return f"rotary positions of base {bases}"


def _attention(model: ModelConfig) -> str:
  return (
    f"attention within a window of {model.attention_window} tokens, half on "
    f"either side, but in one of {model.global_every} layers, from the first"
  )


def _types(model: ModelConfig) -> str:
  count = model.type_vocab_size
  if count == 0:
    return "no types of tokens"
  return f"{count} type{'s' * (count > 1)} of tokens instead of 2"


def _groups(model: ModelConfig) -> str:
  if model.layer_groups == 1:
    return "all layers share one set of weights"
  each = model.num_layers // model.layer_groups
  return f"each {each} neighboring layers share one set of weights"


_NORMS = {
  "layer": "layer norms with biases",
  "layer_without_bias": "layer norms without biases",
  "rms": "RMS norms",
}
_HEADS = {
  "relu": "sequences are read from the first token by a layer with a ReLU",
  "norm": "heads have a layer with a norm, which reads a token or the mean",
}
# By field of `ModelConfig`, read where it is not BERT's; "" is said by another.
WORDS: Mapping[str, _Words] = {
  "positions": _positions,
  "rotary_base": lambda _: "",
  "rotary_local_base": lambda _: "",
  "position_offset": lambda model: (
    f"positions begin at row {model.position_offset} of their table"
  ),
  "attention_pattern": _attention,
  "attention_window": lambda _: "",
  "global_every": lambda _: "",
  "feed_forward": lambda model: f"{model.feed_forward} feed-forward layers",
  "activation": lambda model: f"activation {model.activation}",
  "norm_position": lambda _: "norms before each branch instead of behind it",
  "norm": lambda model: _NORMS[model.norm],
  "layer_norm_epsilon": lambda model: (
    f"norms with an epsilon of {model.layer_norm_epsilon:g}"
  ),
  "embedding_norm": lambda _: "no norm of the embeddings",
  "first_attention_norm": lambda _: (
    "no norm before the attention of the first layer"
  ),
  "use_bias": lambda _: "no biases but those of logits",
  "embedding_size": lambda model: (
    f"embeddings of width {model.embedding_size}, which a projection widens to "
    f"{model.hidden_size}"
  ),
  "layer_groups": _groups,
  "type_vocab_size": _types,
  "pooler": lambda _: "no pooler",
  "sequence_head": lambda model: _HEADS[model.sequence_head],
}


def differences(model: ModelConfig) -> Iterator[str]:
  """Yield in words what an encoder has that BERT's has not, or lacks."""
  usual = ModelConfig()
  for field, words in WORDS.items():
    if getattr(model, field) != getattr(usual, field) and words(model):
      yield words(model)
