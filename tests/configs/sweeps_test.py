# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import importlib
import itertools
import pathlib

import pytest

import configs.sweeps
from bertjax.config import SweepConfig, check_read, checks, from_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from configs import families
from configs.sweeps import nsp_books
from launch.commands.shipped_configs import SHIPPED

FOLDER = pathlib.Path(configs.sweeps.__file__).parent
NAMES = sorted(
  path.stem
  for path in FOLDER.glob("*.py")
  if path.stem not in ("__init__", "study")
)
TRIALS = {
  "batch_and_lr": 27,
  "finetune": 27,
  "mask_rate": 15,
  "masking": 30,
  "nsp": 30,
  "nsp_books": 30,
  "packing": 12,
  "size": 12,
}


def config_of(name):
  made = importlib.import_module(f"configs.sweeps.{name}").get_config()
  return from_mapping(SweepConfig, made.to_dict())


def test_every_study_is_shipped():
  assert sorted(TRIALS) == NAMES
  assert {FOLDER / f"{name}.py" for name in NAMES} < set(SHIPPED.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_study_has_trials_that_read_all_of_their_fields(name):
  config = config_of(name)
  assert len(study.make_trials(config)) == TRIALS[name]
  config = expand(config)
  for arm in config.arms:
    if config.trains == "pretrain":
      check_read(study.pretrain_config(config, arm, 0))
    check_read(study.finetune_config(config, arm, 0))


def test_an_arm_has_the_same_short_names_in_every_study():
  """What one study takes, another with this arm takes, too."""
  made = {name: config_of(name) for name in NAMES}
  for one, other in itertools.permutations(made.values(), 2):
    short = {
      name: arm for name, arm in one.aliases.items() if arm in other.arms
    }
    assert short.items() <= dict(other.aliases).items()


@pytest.mark.parametrize("name", NAMES)
def test_a_study_says_what_it_asks_and_costs(name):
  text = importlib.import_module(f"configs.sweeps.{name}").__doc__
  assert text
  assert text.partition("\n")[0].endswith("?")
  for part in ("Equal are ", f"Cost: {TRIALS[name]} trials", "Anchors"):
    assert part in text


PRETRAINS = [name for name in NAMES if config_of(name).trains == "pretrain"]


@pytest.mark.parametrize("name", PRETRAINS)
def test_a_family_gives_a_study_its_choices_in_any_size(name):
  """As it gives them to a run; arms of the study of sizes are BERT's."""
  made = importlib.import_module(f"configs.sweeps.{name}").get_config
  for family, record in families.FAMILIES.items():
    for size in ("", *([] if name == "size" else record.sizes)):
      given = f"family={family}" + (f",size={size}" if size else "")
      model = made(given).pretrain.model
      wanted = {**record.choices, **record.sizes.get(size, {})}
      found = {field: model[field] for field in wanted}
      assert found == wanted, given


# The trials of `masking` before it had more arms, by their settings.
MASKING = {
  "token": {"mask_unit": "token"},
  "word": {"mask_unit": "word"},
  "span": {"mask_unit": "span"},
  "static": {"static_copies": 1},
  "static_10": {"static_copies": 10},
  **{
    name: {"mask_token_rate": mask, "random_token_rate": random}
    for name, mask, random in (
      ("mask100_same0_random0", 1.0, 0.0),
      ("mask80_same0_random20", 0.8, 0.2),
      ("mask80_same20_random0", 0.8, 0.0),
      ("mask0_same20_random80", 0.0, 0.8),
      ("mask0_same0_random100", 0.0, 1.0),
    )
  },
}


def test_a_study_of_masks_that_is_done_stays_done():
  config = config_of("masking")
  trials = {trial.name: trial.settings for trial in study.make_trials(config)}
  assert trials == {
    f"{arm}-seed{seed}": {"arm": arm, "seed": seed, "objective": changes}
    for arm, changes in MASKING.items()
    for seed in range(3)
  }
  assert expand(config).baseline == "token"
  assert config.pretrain.objective.mask_rate == 0.4


def test_more_arms_of_the_study_of_masks_run_where_they_are_named():
  names = ("token", "ngram", "rate15", "rate50")
  config = dataclasses.replace(config_of("masking"), chosen=names)
  assert len(study.make_trials(config)) == 3 * len(names)
  made = {
    arm: study.pretrain_config(expand(config), arm, 0).objective
    for arm in names
  }
  assert made["ngram"].mask_unit == "ngram"
  assert [made[arm].mask_rate for arm in names] == [0.4, 0.4, 0.15, 0.5]
  grid = dataclasses.replace(
    config_of("masking"),
    chosen=("token", "ngram"),
    grid="objective.next_sentence=off,sop",
  )
  arms = [trial.settings["objective"] for trial in study.make_trials(grid)]
  assert {"mask_unit": "ngram", "next_sentence": "sop"} in arms
  assert len(arms) == 12
  assert len(study.equal_rows(grid)) == 2


# What each objective masks, by its authors; see docs/objectives.md.
FAMILIES = {
  "albert": ("ngram", 0.15, 0.8, "sop", "segment_pair"),
  "roberta": ("token", 0.15, 0.8, "off", "full_sentences"),
  "modernbert": ("token", 0.3, 0.8, "off", "doc_sentences"),
  "neobert": ("token", 0.2, 1.0, "off", "segment_pair"),
  "eurobert": ("token", 0.5, 1.0, "off", "segment_pair"),
}


def test_each_family_has_its_objective_as_an_arm_of_the_study_of_masks():
  names = ("token", *FAMILIES)
  config = dataclasses.replace(config_of("masking"), chosen=names)
  assert len(study.make_trials(config)) == 3 * len(names)
  for arm, wanted in FAMILIES.items():
    run = study.pretrain_config(expand(config), arm, 0)
    check_read(run)
    objective = run.objective
    checks.check_objective(objective)
    assert wanted == (
      objective.mask_unit,
      objective.mask_rate,
      objective.mask_token_rate,
      objective.next_sentence,
      objective.input_format,
    )
  assert not {*FAMILIES} & {*expand(config_of("masking")).arms}


@pytest.mark.parametrize("name", ["nsp", "nsp_books"])
def test_arms_of_other_formats_are_measured_on_the_same_text(name):
  """Their own validation rows differ, so that their losses say nothing."""
  probes = config_of(name).probes
  assert (probes.shared_rows, probes.pairs) == (1_024, 2_000)


def test_the_study_of_books_finds_its_tasks_in_the_folders_of_its_argument():
  made = nsp_books.get_config("data=D,size=mini,pairs=P/Q")
  config = expand(from_mapping(SweepConfig, made.to_dict()))
  assert config.pretrain.model.num_layers == 4
  names = study.probe_tasks(config)
  assert names[0] == "which_follows"  # the answer is of the first
  for name in names:
    tuned = study.finetune_config(config, "mlm", 0, name)
    check_read(tuned)
    folder = "P/Q/" if name == "which_follows" else "D/"
    paths = (tuned.task.train, tuned.task.test)
    assert all(path.startswith(folder) for path in paths)
  with pytest.raises(ValueError, match="overlay 'data=' is not known"):
    nsp_books.get_config("data=")
