# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every recipe is a run on eight devices, and every command in a docstring.

Only shapes are computed.
"""

import dataclasses
import importlib
import math
import pathlib
import pkgutil
import re
import shlex

import jax
import pytest
from absl import flags

from bertjax.config import (
  FinetuneConfig,
  PretrainConfig,
  SweepConfig,
  check_read,
  from_mapping,
  phases,
)
from bertjax.optim import schedules
from bertjax.plan import vocabulary
from bertjax.train.program import make_program
from configs import pretrain, recipes
from configs.families import FAMILIES
from configs.recipes import RECIPES
from launch.commands.table import COMMANDS
from launch.run.resolve import MadeUpStores, resolve

ROOT = pathlib.Path(__file__).parents[2]
TOKENS = 30_522
KINDS = {
  "pretrain": PretrainConfig,
  "finetune": FinetuneConfig,
  "sweep": SweepConfig,
}


def config_of(recipe, size=None, **mesh):
  size = size or RECIPES[recipe].size
  made = pretrain.get_config(
    f"family={RECIPES[recipe].family},size={size},recipe={recipe}"
  )
  config = from_mapping(PretrainConfig, made.to_dict())
  return dataclasses.replace(
    config, mesh=dataclasses.replace(config.mesh, **mesh)
  )


@pytest.mark.parametrize(
  "mesh",
  [
    pytest.param({}, id="data"),
    pytest.param({"zero1": True}, id="zero1", marks=pytest.mark.full),
    pytest.param(
      {"data": 2, "fsdp": 2, "tensor": 2}, id="2x2x2", marks=pytest.mark.full
    ),
  ],
)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_sharded_and_steps_on_eight_devices(recipe, mesh):
  devices = jax.devices()
  assert len(devices) == 8
  config = config_of(recipe, **mesh)
  resolved = resolve(config, MadeUpStores(TOKENS), None, devices)
  program = make_program(
    resolved.config, vocabulary.make_vocabulary(TOKENS), devices
  )
  state = program.abstract_state()
  whole = sum(leaf.size for leaf in jax.tree.leaves(state.params))
  held = sum(
    math.prod(leaf.sharding.shard_shape(leaf.shape))
    for leaf in jax.tree.leaves(state.params)
  )
  assert (held < whole / 2) == bool(mesh)
  for phase in resolved.phases:
    steps = program.for_phase(phase.config)
    after, metrics = jax.eval_shape(
      steps.train_step, state, steps.abstract_batch()
    )
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(
      lambda leaf: leaf.shape, state
    )
    assert metrics["loss"][0].shape == ()


def test_every_file_of_recipes_is_that_of_a_family_and_read():
  files = {file.name for file in pkgutil.iter_modules(recipes.__path__)}
  files.remove("recipe")
  assert files <= FAMILIES.keys()
  names = [
    name
    for file in files
    for name in importlib.import_module(f"configs.recipes.{file}").RECIPES
  ]
  assert sorted(names) == sorted(RECIPES)  # no two files have one name


def test_original_is_bert_as_google_trained_it():
  """Devlin et al., appendix A.2, and create_pretraining_data.py."""
  config = config_of("original")
  first, second = phases.split_phases(config)
  assert [(p.start, p.stop) for p in (first, second)] == [
    (0, 900_000),
    (900_000, 1_000_000),
  ]
  assert [p.config.data.seq_length for p in (first, second)] == [128, 512]
  for phase in (first, second):
    assert phase.config.data.max_packs == 1
    assert phase.config.batch_size == 256
  assert config.objective.random_tokens == "all"
  assert config.objective.mask_rate == config.evaluation.mask_rate == 0.15
  assert config.objective.next_sentence == "nsp"
  assert config.model.hidden_dropout_rate == 0.1


def test_mosaicberts_decay_is_composers():
  """1e-5 a step, scaled by the schedule alone: at the peak, 0.02 × rate."""
  optimizer = config_of("mosaicbert").optimizer
  decay = optimizer.weight_decay * optimizer.learning_rate
  assert decay == pytest.approx(1e-5)
  assert optimizer.warmup_steps == 0.06 * config_of("mosaicbert").steps


@pytest.mark.parametrize("family", ["roberta", "albert"])
def test_an_hour_of_a_family_is_short_with_its_objective(family):
  short, hour = config_of("short", "mini"), config_of(f"{family}_hour")
  made = pretrain.get_config(f"objective={family},recipe=short")
  objective = from_mapping(PretrainConfig, made.to_dict()).objective
  optimizer = dataclasses.replace(short.optimizer, learning_rate=1e-3)
  assert hour == dataclasses.replace(
    short, steps=4_000, objective=objective, optimizer=optimizer
  )


@pytest.mark.parametrize(
  ("family", "recipe"),
  [
    ("roberta", "roberta"),
    ("roberta", "roberta_500k"),
    ("albert", "albert_v1"),
    ("albert", "albert_v2"),
    ("modernbert", "modernbert"),
  ],
)
def test_a_recipe_of_a_family_has_the_objective_of_its_overlay(family, recipe):
  made = pretrain.get_config(f"family={family},objective={family}")
  wanted = from_mapping(PretrainConfig, made.to_dict()).objective
  assert config_of(recipe).objective == wanted


def test_modernbert_counts_tokens_as_its_authors_do():
  """yamls/modernbert/modernbert-base-pretrain.yaml, in tokens."""
  config = config_of("modernbert")
  first, second = phases.split_phases(config)
  size = first.config.batch_size * first.config.data.seq_length
  grown = second.config.batch_size * second.config.data.seq_length
  assert grown == 4_608 * 1_024
  ramp = (first.stop - first.start) * size
  whole = ramp + (second.stop - second.start) * grown
  warmup = config.optimizer.warmup_steps * size
  close = lambda tokens: pytest.approx(tokens, rel=1e-3)
  assert (warmup, ramp, whole) == (close(3e9), close(50e9), close(1.719e12))
  decay = config.optimizer.weight_decay * config.optimizer.learning_rate
  assert decay == pytest.approx(1e-5)


@pytest.mark.parametrize("recipe", ["ettin_17m_hours", "ettin_32m_hours"])
def test_hours_of_ettin_have_its_objective_and_its_schedule(recipe):
  config, source = config_of(recipe), config_of("modernbert")
  assert config.objective == source.objective
  assert config.optimizer.schedule == "warmup_stable_decay"
  rate = schedules.make_schedule(config.optimizer, config.steps)
  peak = config.optimizer.learning_rate
  for step in (config.optimizer.warmup_steps, 0.9 * config.steps):
    assert rate(int(step)) == pytest.approx(peak)
  assert rate(config.steps) == 0


@pytest.mark.parametrize(
  "recipe",
  ["roberta", "roberta_fairseq", "roberta_500k", "mosaicbert", "modernbert"],
)
def test_recipes_of_others_reach_their_rate_and_keep_every_sequence(recipe):
  config = config_of(recipe)
  rate = schedules.make_schedule(config.optimizer, config.steps)
  peak = config.optimizer.learning_rate
  assert rate(config.optimizer.warmup_steps) == pytest.approx(peak)
  assert config.objective.short_rate == 0
  assert config.objective.next_sentence == "off"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_says_what_it_costs_and_what_comes_of_it(recipe):
  assert re.search(r"hours?|minutes?|days?", recipe.cost)
  assert any(
    chips in recipe.cost for chips in ("v5e", "A100", "TPU v2", "two cores")
  )
  assert re.search(r"\d", recipe.expected)
  assert recipe.source


def commands():
  """Yield (command, its words) of every docstring under configs."""
  for path in sorted((ROOT / "configs").rglob("*.py")):
    text = re.sub(r" \\\n\s+", " ", path.read_text())
    for line in re.findall(r"^ +(bertjax \w+ .*|python -m .*)$", text, re.M):
      words = shlex.split(line)
      assert words[0] == "bertjax", f"{path}: {line}"
      yield pytest.param(*words[1:2], words[2:], id=f"{path.stem}-{words[1]}")


# ml_collections loads files as Python did before 3.12.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize(("command", "words"), [*commands()])
def test_a_command_in_a_docstring_parses(command, words, monkeypatch):
  argv = [command, *words]
  monkeypatch.setattr("sys.argv", argv)
  before = set(flags.FLAGS)
  try:
    module = importlib.import_module(COMMANDS[command])
    if hasattr(module, "__path__"):  # a command of several files
      module = importlib.import_module(f"{COMMANDS[command]}.__main__")
    module.define_flags()
    assert flags.FLAGS(argv) == [command], "everything is a flag"
    if command in KINDS:
      made = from_mapping(KINDS[command], flags.FLAGS.config.to_dict())
      check_read(made)
  finally:
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)
