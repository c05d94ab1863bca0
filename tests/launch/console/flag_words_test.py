# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A fix can be pasted, and a message names the whole path of a wrong field."""

import pytest
from absl import flags
from ml_collections import ConfigDict, config_flags

from launch.console.flag_words import check_fields, with_flags

FIELDS = {
  "steps": 3,
  "seed": 0,
  "optimizer": {"beta1": 0.9, "learning_rate": 1e-3},
}


@pytest.mark.parametrize(
  ("argument", "line"),
  [
    (
      "optimizer.num_steps=3",
      "optimizer.num_steps: the config has no such field; --config.optimizer "
      "has beta1, learning_rate",
    ),
    (
      "nope",
      "nope: the config has no such field; --config has optimizer, seed",
    ),
    (
      "optim.beta1=1",
      "optim.beta1: .*; did you mean --config.optimizer.",
    ),
    ("learning_rat=1", "learning_rat: .* --config.optimizer.learning_rate"),
    ("seed.x=1", "seed.x: --config.seed is one value .*; give --config.seed="),
    ("optimizer=lamb", "optimizer=lamb: .*; give .* --config.optimizer.beta1="),
    ("optimizer.warmup_steps=9", ".*; give --config.warmup_rate"),
  ],
)
def test_a_wrong_field_is_told_of_with_its_path_and_a_fix(argument, line):
  with pytest.raises(flags.Error, match=f"^--config.{line}"):
    check_fields(FIELDS, "config", ["x", "--steps=1", f"--config.{argument}"])


def test_fields_that_a_config_has_are_left_to_the_library():
  for argument in (
    "--config.steps=1",
    "-config.steps",
    "--noconfig.steps",
    "--config.optimizer={'beta1': 0}",
    "--config.arms[0].x=1",
    "--configs.x=1",
  ):
    check_fields(FIELDS, "config", ["x", argument])


def test_a_fix_has_flags_for_the_fields_of_the_command():
  values = flags.FlagValues()
  for name in ("documents", "validation", "seed"):
    flags.DEFINE_string(name, "", "", values)
  config_flags.DEFINE_config_dict("config", ConfigDict(FIELDS), "", values)
  for message, told in (
    (
      "validation=2 leaves nothing; give documents=blank_line, or validation=0",
      "validation=2 leaves nothing; give --documents=blank_line, or "
      "--validation=0",
    ),
    ("x; leave validation out", "x; leave --validation out"),
    ("x; give optimizer.beta1=0", "x; give --config.optimizer.beta1=0"),
    (
      "x; give steps=1 (steps=2)",
      "x; give --config.steps=1 (--config.steps=2)",
    ),
    ("x; give seed=1", "x; give --seed=1"),
    # None of these is a field of the command.
    *(
      (same, same)
      for same in (
        "x; give --seed=1, --config.steps=1, a:steps=1, 'steps=1' or mesh=1",
        "seed=1 is steps=1",
        "x; optimizer=1",
        "x; leave it out",
        "x; the seed == 1",
      )
    ),
  ):
    assert with_flags(message, values) == told
