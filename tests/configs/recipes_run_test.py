# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every recipe runs on a store of its family's tokenizer."""

import jax
import pytest

from bertjax.config import MeshConfig, PretrainConfig, from_mapping
from bertjax.parallel.mesh import make_mesh
from configs import pretrain as config_file
from configs.families import FAMILIES
from configs.recipes import RECIPES
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.tokenizers import tokenizers
from launch import pretrain
from launch.preflight.policy import DEFAULT
from launch.preflight.run import judge_recipe
from launch.run.assembly import assemble
from tests.testing import prepared
from tests.testing.configs import replaced

# As many tokens as the made-up text gives in each kind of vocabulary.
VOCABULARIES = {"wordpiece": 100, "roberta": 300, "albert": 60}
VOCABULARIES["modernbert"] = 300
HOURS = ("roberta_hour", "albert_hour", "ettin_17m_hours", "ettin_32m_hours")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
  """The path of a store for each kind of tokenizer."""
  folder = tmp_path_factory.mktemp("recipes")
  corpus = prepared.write_jsonl(
    folder / "text.jsonl", prepared.make_texts(800, seed=1)
  )
  return {
    kind: str(
      prepare(
        Options(
          corpus=corpus,
          output=str(folder / kind),
          tokenizer=kind,
          vocab_size=size,
        )
      ).path
    )
    for kind, size in VOCABULARIES.items()
  }


def config_of(name, stores) -> PretrainConfig:
  recipe = RECIPES[name]
  argument = f"family={recipe.family},size={recipe.size},recipe={name}"
  config = from_mapping(
    PretrainConfig, config_file.get_config(argument).to_dict()
  )
  kind = FAMILIES[recipe.family].tokenizer
  return replaced(config, {"data.store": stores[kind]})


def test_every_family_names_a_tokenizer_that_can_be_learned(stores):
  kinds = {family.tokenizer for family in FAMILIES.values()}
  assert kinds == set(stores)
  assert kinds <= set(tokenizers.KINDS)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_all_checks_on_text_of_its_tokenizer(name, stores):
  config = config_of(name, stores)
  spec = assemble(config)
  found = judge_recipe(spec, DEFAULT)
  assert {each.name for each in found} >= {"epochs", "learning_rate"}
  assert not [str(each) for each in found if each.level == "fail"]
  rate = next(each for each in found if each.name == "learning_rate")
  assert rate.level == "pass"


@pytest.mark.parametrize(
  "name",
  [
    HOURS[0],
    *(pytest.param(each, marks=pytest.mark.full) for each in HOURS[1:]),
  ],
)
def test_an_hour_takes_steps(name, stores, tmp_path, monkeypatch):
  """With fewer and narrower layers, of which one is global where it says so."""
  one = lambda *_: make_mesh(MeshConfig(), jax.devices()[:1])
  monkeypatch.setattr("bertjax.train.program.make_mesh", one)
  config = replaced(
    config_of(name, stores),
    {
      "steps": 2,
      "batch_size": 8,
      "data.seq_length": 64,
      "model.num_layers": 3,
      "model.hidden_size": 32,
      "model.num_heads": 2,
      "model.intermediate_size": 48,
      "optimizer.warmup_steps": 1,
      "log_every_steps": 1,
      "evaluation.every_steps": 0,
      "evaluation.rows": 8,
      "checkpoint.every_steps": 0,
    },
  )
  result = pretrain.run(config, str(tmp_path / "run"))
  assert result.step == 2
  assert 0 < result.validation["mlm_loss"] < 12
  assert result.train["mask_rate"] == pytest.approx(
    config.objective.mask_rate, rel=0.1
  )
