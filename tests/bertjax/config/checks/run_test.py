# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A mistake in a whole run is one line with its value and the fix."""

import dataclasses
import subprocess
import sys

import pytest

from bertjax.config import SIZES, PretrainConfig, checks
from bertjax.config.data import Frame
from tests.testing.configs import check_run, replaced


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"steps": 0}, "steps=0"),
    ({"seed": -1}, "seed=-1"),
    ({"data.seq_length": 7}, r"data\.seq_length=7; give 8 or more"),
    ({"data.max_packs": 43}, r"^data\.max_packs=43; give 1 to 42, a third"),
    (
      {"phase2.steps": 5, "phase2.seq_length": 64, "phase2.max_packs": 22},
      r"^phase2\.max_packs=22; give 1 to 21, a third of phase2\.seq_length",
    ),
    (
      {"phase2.steps": 50, "steps": 50, "optimizer.warmup_steps": 1},
      r"phase2\.steps=50 of steps=50; give 0",
    ),
    (
      {"phase2.batch_size": 8},
      r"phase2\.batch_size=8 is read only with phase2",
    ),
    ({"phase2.learning_rate": -1.0}, r"phase2\.learning_rate=-1\.0; give 0 or"),
    ({"evaluation.mask_rate": 1.0}, r"evaluation\.mask_rate=1.0"),
    ({"profile.start_step": -1}, r"profile\.start_step=-1"),
    ({"profile.steps": 0}, r"profile\.steps=0"),
    (
      {"profile.start_step": 60, "steps": 50, "optimizer.warmup_steps": 1},
      r"start_step=60 is after the last of steps=50; give 1 to 50",
    ),
    ({"compute.dtype": "fp16"}, "'fp16'; give one of float32, bfloat16"),
    ({"compute.remat": "all"}, "none, attention, dots, full"),
    ({"compute.dropout_rng": "philox"}, "threefry, rbg"),
    ({"checkpoint.keep_last": 0}, "keep_last=0; give 1 or more"),
  ],
)
def test_a_mistake_is_one_line_with_its_value(changes, message):
  with pytest.raises(ValueError, match=message) as caught:
    check_run(changes)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
  ("types", "between", "second_type"),
  [
    (2, 1, 1),  # BERT's
    (1, 2, 0),  # RoBERTa's
    (0, 1, 1),  # those of DistilBERT and ModernBERT
    (2, 0, 1),
  ],
)
def test_tokens_between_segments_or_types_tell_them_apart(
  types, between, second_type
):
  check_run({"model.type_vocab_size": types})
  config = replaced(PretrainConfig(), {"model.type_vocab_size": types})
  checks.check_segments(config, between=between, second_type=second_type)


@pytest.mark.parametrize(
  ("types", "second_type", "words"),
  [
    (0, 1, "type_vocab_size=0, and no special token between them; give"),
    (1, 1, "type_vocab_size=1, and no special token between them; give"),
    (2, 0, "type_vocab_size=2 and a tokenizer that gives both the type 0, and"),
  ],
)
def test_pairs_that_nothing_tells_apart_are_refused(types, second_type, words):
  config = replaced(PretrainConfig(), {"model.type_vocab_size": types})
  with pytest.raises(
    ValueError, match=rf"input_format=segment_pair makes .*{words}"
  ) as caught:
    checks.check_segments(config, between=0, second_type=second_type)
  assert "\n" not in str(caught.value)
  single = replaced(config, {"objective.input_format": "full_sentences"})
  checks.check_segments(single, between=0, second_type=second_type)


@pytest.mark.parametrize(
  ("frame", "most", "share"),
  [
    (Frame(1, 2), 64, "half of data"),
    (Frame(2, 3), 42, "a third of data"),
    (Frame(2, 4), 42, "a third of data"),
    (Frame(3, 5), 32, "a quarter of data"),
    (Frame(4, 6), 25, "1/5 of data"),
  ],
)
def test_packs_are_as_many_as_texts_with_their_special_tokens(
  frame, most, share
):
  base = dataclasses.replace(PretrainConfig(), model=SIZES["base"])
  check = lambda changes: checks.check_pretrain(
    replaced(base, changes), num_devices=8, vocab_size=30522, frame=frame
  )
  check({"data.max_packs": most})
  with pytest.raises(ValueError, match=f"give 1 to {most}, {share}"):
    check({"data.max_packs": most + 1})
  least = frame.two + 5
  check({"data.seq_length": max(8, least)})
  if least > 8:
    with pytest.raises(ValueError, match=f"give {least} or more, because this"):
      check({"data.seq_length": least - 1})


def test_checking_needs_no_jax():
  code = (
    "import sys, bertjax.config.checks, bertjax.config.identity;"
    " print('jax' in sys.modules)"
  )
  got = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert got.stdout == "False\n"
