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
    ({"model.vocab_size": 30000}, r"vocab_size=30000 .* vocabulary of 30522"),
    ({"model.num_heads": 7}, "num_heads=7 does not divide"),
    ({"model.hidden_size": 0}, r"model\.hidden_size=0; give 1 or more"),
    ({"model.hidden_dropout_rate": 1.0}, "hidden_dropout_rate=1.0"),
    ({"model.activation": "relu"}, "relu.*gelu, gelu_tanh"),
    ({"model.position_init": "zero"}, "zero.*normal, sinusoid"),
  ],
)
def test_a_model_that_does_not_fit_is_one_line(changes, message):
  with pytest.raises(ValueError, match=message) as caught:
    check_run(changes)
  assert "\n" not in str(caught.value)


def test_a_table_is_padded_up_to_full_tiles():
  sizes = (1, 128, 129, 30522)
  padded = [checks.padded_vocab_size(size) for size in sizes]
  assert padded == [128, 128, 256, 30592]
