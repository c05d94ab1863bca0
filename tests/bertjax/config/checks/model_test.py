# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A model fits itself, the rows and the vocabulary, or is refused."""

import dataclasses

import pytest

from bertjax.config import SIZES, PretrainConfig, checks
from tests.testing.configs import check_run


@pytest.mark.parametrize("size", SIZES)
def test_the_published_sizes_pass(size):
  config = dataclasses.replace(PretrainConfig(), model=SIZES[size])
  checks.check_pretrain(config, num_devices=8, vocab_size=30522)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"data.seq_length": 1024}, r"^data\.seq_length=1024 .*max_positions=512"),
    (
      {"phase2.steps": 5, "phase2.seq_length": 1024},
      r"^phase2\.seq_length=1024 .*max_positions=512",
    ),
    (
      {"model.positions": "rotary", "data.seq_length": 513},
      r"seq_length=513 is beyond .* are rotary; give at most .*=512, or raise",
    ),
    ({"model.vocab_size": 30000}, r"vocab_size=30000 .* vocabulary of 30522"),
    ({"model.num_heads": 7}, "num_heads=7 does not divide"),
    ({"model.hidden_size": 0}, r"model\.hidden_size=0; give 1 or more"),
    ({"model.hidden_dropout_rate": 1.0}, "hidden_dropout_rate=1.0"),
    ({"model.activation": "elu"}, "'elu'; give one of gelu, gelu_tanh, silu"),
    ({"model.position_init": "zero"}, "zero.*normal, sinusoid"),
    (
      {"model.sequence_head": "tanh"},
      "sequence_head='tanh'; give one of pooler, relu, norm",
    ),
    ({"model.init": "xavier"}, "init='xavier'; give one of bert, scaled"),
  ],
)
def test_a_model_that_does_not_fit_is_one_line(changes, message):
  with pytest.raises(ValueError, match=message) as caught:
    check_run(changes)
  assert "\n" not in str(caught.value)


WINDOWS = {"model.attention_pattern": "window"}
ROTARY = {"model.positions": "rotary"}
PRE = {"model.norm_position": "pre"}
SHARED = {"model.layer_groups": 1}
EXCLUDED = [
  (
    ROTARY | {"model.position_offset": 2},
    r"position_offset=2 is read only with model\.positions=learned",
  ),
  (
    {"model.positions": "sinusoidal", "model.position_init": "sinusoid"},
    r"position_init=sinusoid is read only with model\.positions=learned",
  ),
  (
    {"model.rotary_base": 2e4},
    r"rotary_base=20000\.0 is read only with model\.positions=rotary",
  ),
  (
    ROTARY | {"model.rotary_local_base": 1e4},
    r"rotary_local_base=10000\.0 is read only with model\.positions=rotary and "
    r"model\.attention_pattern=window; give that, or leave .* at 0\.0",
  ),
  (
    ROTARY | WINDOWS | {"model.rotary_local_base": 0.5},
    r"rotary_local_base=0\.5; give more than 1, or 0 for that of",
  ),
  (
    ROTARY | {"model.num_heads": 256},
    r"turns pairs of columns, and .* = 3; give another model\.num_heads",
  ),
  (
    {"model.attention_window": 64},
    r"attention_window=64 is read only with model\.attention_pattern=window",
  ),
  (
    WINDOWS | {"model.attention_window": 0},
    "attention_window=0; a window has half .* even number from 2, such as 128",
  ),
  (WINDOWS | {"model.attention_window": 7}, "attention_window=7; a window has"),
  (WINDOWS | {"model.global_every": 1}, "global_every=1 leaves no layer with"),
  (WINDOWS | {"model.global_every": 0}, "global_every=0; give 1 or more"),
  (
    SHARED | WINDOWS,
    "attention_pattern=window makes layers differ, and model.layer_groups=1",
  ),
  (
    SHARED | PRE | {"model.first_attention_norm": False},
    "first_attention_norm=False makes layers differ",
  ),
  ({"model.layer_groups": 5}, "layer_groups=5 does not divide .*num_layers=12"),
  ({"model.layer_groups": 24}, "layer_groups=24 does not divide"),
  (
    {"model.first_attention_norm": False},
    "first_attention_norm=False is read only with model.norm_position=pre and "
    "model.embedding_norm=True",
  ),
  (
    {"model.pooler": False},
    "next_sentence=nsp has its head on the pooler, and model.pooler=False",
  ),
  ({"model.norm": "batch"}, "norm='batch'; give one of layer, layer_without"),
]


@pytest.mark.parametrize(("changes", "message"), EXCLUDED)
def test_choices_that_exclude_each_other_are_one_line(changes, message):
  with pytest.raises(ValueError, match=message) as caught:
    check_run(changes)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  "changes",
  [
    {},
    PRE | {"norm": "rms", "embedding_norm": False, "use_bias": False},
    ROTARY | WINDOWS | PRE | {"model.first_attention_norm": False},
    SHARED | {"model.embedding_size": 128, "model.activation": "gelu_tanh"},
    {"model.position_offset": 2, "model.feed_forward": "gated"},
  ],
)
def test_choices_that_go_together_pass(changes):
  check_run(
    {f"model.{name.removeprefix('model.')}": changes[name] for name in changes}
  )


def test_a_stored_model_is_checked_without_a_run():
  """An import and a bundle have no other field of a run."""
  model = dataclasses.replace(SIZES["base"], rotary_base=2e4)
  with pytest.raises(ValueError, match=r"^model\.rotary_base=20000\.0 is read"):
    checks.check_model(model, seq_length=8, vocab_size=8)


def test_a_table_is_padded_up_to_full_tiles():
  sizes = (1, 128, 129, 30522)
  padded = [checks.padded_vocab_size(size) for size in sizes]
  assert padded == [128, 128, 256, 30592]
