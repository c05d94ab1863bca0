# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from bertjax.config import SweepConfig
from bertjax.sweep import axes, study

ARMS = {
  "mlm_nsp": {"objective": {"next_sentence": "nsp"}},
  "mlm": {"objective": {"next_sentence": "off"}},
}
GRID = "optimizer.learning_rate=1e-3,2e-3;model.hidden_dropout_rate=0,0.1"


def sweep(**fields):
  return SweepConfig(**fields)


def test_an_arm_that_is_apart_is_there_only_where_it_runs():
  more = {**ARMS, "sop": {"objective": {"next_sentence": "sop"}}}
  without = axes.expand(sweep(arms=ARMS, chosen=("mlm", "mlm_nsp")))
  config = sweep(arms=more, apart=("sop",), chosen=("mlm", "mlm_nsp"))
  expanded = axes.expand(config)
  assert expanded == dataclasses.replace(without, apart=("sop",))
  chosen = axes.expand(dataclasses.replace(config, chosen=("mlm", "sop")))
  assert {*chosen.arms} == {*more}
  assert axes.expand(chosen) == chosen
  grid = dataclasses.replace(config, grid="steps=1,2")
  assert not any("sop" in arm for arm in axes.expand(grid).arms)
  ran = axes.expand(dataclasses.replace(grid, chosen=("mlm", "sop,steps=2")))
  assert [arm for arm in ran.arms if "sop" in arm] == ["sop,steps=2"]


def test_a_grid_is_every_combination_of_its_values():
  config = axes.expand(sweep(grid=GRID))
  assert list(config.arms) == [
    "learning_rate=0.001,hidden_dropout_rate=0",
    "learning_rate=0.001,hidden_dropout_rate=0.1",
    "learning_rate=0.002,hidden_dropout_rate=0",
    "learning_rate=0.002,hidden_dropout_rate=0.1",
  ]
  assert config.arms["learning_rate=0.002,hidden_dropout_rate=0.1"] == {
    "optimizer": {"learning_rate": 2e-3},
    "model": {"hidden_dropout_rate": 0.1},
  }
  assert config.baseline == "learning_rate=0.001,hidden_dropout_rate=0"
  assert axes.axes(config) == [
    "optimizer.learning_rate",
    "model.hidden_dropout_rate",
  ]
  assert axes.expand(config) == config


def test_every_arm_has_every_cell():
  config = axes.expand(
    sweep(arms=ARMS, baseline="mlm", grid="optimizer.learning_rate=1e-3,2e-3")
  )
  assert len(config.arms) == 4
  assert config.baseline == "mlm,learning_rate=0.001"
  assert config.arms["mlm,learning_rate=0.002"] == {
    "objective": {"next_sentence": "off"},
    "optimizer": {"learning_rate": 2e-3},
  }


def test_short_names_choose_arms_that_keep_their_own():
  aliases = {"nsp": "mlm_nsp", "off": "mlm", "gone": "none"}
  config = axes.expand(
    sweep(arms=ARMS, aliases=aliases, baseline="nsp", chosen=("off", "nsp"))
  )
  assert config.chosen == ("mlm_nsp", "mlm")
  assert config.baseline == "mlm_nsp"
  assert axes.expand(config) == config
  cells = sweep(
    arms=ARMS,
    aliases=aliases,
    grid="steps=4,8",
    chosen=("nsp,steps=8", "off,steps=8"),
  )
  assert axes.expand(cells).chosen == ("mlm_nsp,steps=8", "mlm,steps=8")
  for name, near in (("ofF", "off"), ("gone", "mlm")):
    with pytest.raises(ValueError, match=f"there is no such arm.*{near}"):
      axes.expand(sweep(arms=ARMS, aliases=aliases, chosen=(name,)))


@pytest.mark.parametrize(
  ("axis", "value"),
  [
    ("steps=1e4", 10_000),
    ("finetune.pack=true", True),
    ("objective.mask_unit=word", "word"),
    ("finetune.learning_rates=1e-3+3e-3", (1e-3, 3e-3)),
    ("pretrain.optimizer.beta2=0.98", 0.98),
  ],
)
def test_a_value_has_the_type_of_its_field(axis, value):
  config = axes.expand(sweep(grid=axis))
  (arm,) = config.arms.values()
  (found,) = axes.flatten_fields(arm).values()
  assert found == value
  assert type(found) is type(value)


def test_fields_of_a_study_of_fine_tuning_are_those_of_fine_tuning():
  config = axes.expand(
    sweep(trains="finetune", grid="learning_rates=1e-5,2e-5;epochs=2,3")
  )
  arm = "learning_rates=2e-05,epochs=3"
  assert config.arms[arm] == {"learning_rates": (2e-5,), "epochs": 3.0}
  made = study.finetune_config(config, arm, 7)
  assert (made.learning_rates, made.seed, made.seeds) == ((2e-5,), 7, 1)


def test_arms_are_chosen_by_name():
  config = axes.expand(
    sweep(arms=ARMS, chosen=("mlm",), grid="optimizer.beta2=0.9,0.98")
  )
  assert config.chosen == ("mlm,beta2=0.9", "mlm,beta2=0.98")
  assert study.compared_with(config) == "mlm,beta2=0.9"
  names = [trial.name for trial in study.make_trials(config)]
  assert names[:2] == ["mlm,beta2=0.9-seed0", "mlm,beta2=0.98-seed0"]


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    (
      {"grid": "optimizer.learning_rat=1"},
      r"grid: optimizer.learning_rat is no field of pretrain; did you mean "
      r"optimizer.learning_rate\?",
    ),
    ({"grid": "learning_rate=1"}, r"did you mean optimizer.learning_rate\?"),
    ({"grid": "steps"}, "gives no values; give FIELD=VALUE"),
    ({"grid": "steps=1.5"}, r"steps=1\.5 is no int"),
    ({"grid": "steps=1,1"}, "a value twice"),
    ({"grid": "steps=1;steps=2"}, "gives steps twice"),
    ({"grid": "seed=1,2"}, "the trials count up themselves; give --seeds"),
    ({"grid": "finetune.pack=no"}, "pack=no is no bool"),
    (
      {"trains": "finetune", "grid": "pretrain.steps=1,2"},
      "no effect: the trials fine-tune a bundle",
    ),
    ({"arms": ARMS, "chosen": ("mln",)}, r"no such arm; did you mean mlm\?"),
  ],
)
def test_an_axis_that_does_not_exist_is_one_line(fields, said):
  with pytest.raises(ValueError, match=said) as error:
    axes.expand(sweep(**fields))
  assert "\n" not in str(error.value)


def test_a_value_that_a_field_does_not_take_is_refused_before_any_trial():
  config = sweep(grid="objective.mask_unit=word,letter")
  with pytest.raises(ValueError, match="mask_unit='letter'; give one of"):
    study.make_trials(config)
  config = dataclasses.replace(config, grid="optimizer.beta2=0.9,2")
  with pytest.raises(ValueError, match=r"beta2=2.0; give 0 or more"):
    study.make_trials(config)


def test_a_task_that_probes_is_read_from_a_flag():
  name, fields = axes.parse_task(
    "rte: task.kind=glue; task.folder=tfds:glue/rte; seeds=3; learning_rates="
    "1e-4+3e-4"
  )
  assert name == "rte"
  assert fields == {
    "task": {"kind": "glue", "folder": "tfds:glue/rte"},
    "seeds": 3,
    "learning_rates": (1e-4, 3e-4),
  }


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("rte", "give NAME:FIELD=VALUE"),
    ("rte:", "give NAME:FIELD=VALUE"),
    ("rte:task.kind", "give NAME:FIELD=VALUE"),
    ("rte:task.kin=glue", "probe rte: finetune.task.kin is no field"),
    ("rte:seeds=x", "^probe rte: finetune.seeds=x is no int"),
  ],
)
def test_a_flag_that_names_no_task_is_told(text, words):
  with pytest.raises(ValueError, match=words):
    axes.parse_task(text)
