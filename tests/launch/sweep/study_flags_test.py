# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re
from types import SimpleNamespace
from typing import Any

import pytest

from bertjax.config import to_mapping
from bertjax.sweep import study
from bertjax.sweep.axes import expand
from launch.sweep import __main__ as sweep
from launch.sweep import study_flags


def from_flags(config, **given):
  values = dict.fromkeys(("grid", "arms", "seeds", "match", "bundle"))
  whole = SimpleNamespace(to_dict=lambda: to_mapping(config))
  flags: Any = SimpleNamespace(config=whole, **{**values, "probe": [], **given})
  return study_flags.from_flags(flags)


def test_flags_alone_name_arms_and_the_tasks_that_probe_them(
  config, launchers, place, tmp_path
):
  table = f"task.kind=table; task.train={place / 'table.jsonl'}"
  config = from_flags(
    config,
    arms=["nsp", "mlm"],
    seeds=1,
    probe=[f"few:{table};task.labels_per_class=5", f"all:{table}"],
  )
  tuned = study.finetune_config(expand(config), "mlm", 0, "few")
  assert tuned.task.labels_per_class == 5
  result = sweep.run(config, str(tmp_path / "work"))
  # Results have the arm's own name.
  assert {*result.arms} == {"mlm_nsp", "mlm"}
  assert {"probe_few_accuracy", "probe_all_accuracy"} < {*result.arms["mlm"]}
  assert len(launchers.probed) == 4


def test_a_probe_of_the_flags_says_which_task_it_replaces(
  config, place, capsys
):
  """And how to keep that; tasks of the config stay beside it, unsaid."""
  table = f"task.kind=table;task.train={place / 'table.jsonl'}"
  own = dataclasses.replace(config.finetune.task, labels_per_class=5)
  finetune = dataclasses.replace(config.finetune, task=own, metric="macro_f1")
  config = dataclasses.replace(config, finetune=finetune)
  from_flags(config, probe=[f"all:{table}"])
  said = capsys.readouterr().out
  assert said.startswith("Trials are fine-tuned for all, and not for table")
  (kept,) = re.findall(r"add --probe='(.*)'$", said, re.MULTILINE)
  both = from_flags(config, probe=[f"all:{table}", kept])
  assert capsys.readouterr().out == ""
  assert {*both.probes.tasks} == {"all", "table"}
  tuned = study.finetune_config(expand(both), "mlm", 0, "table")
  assert tuned == dataclasses.replace(finetune, task=own)
  more = from_flags(both, probe=[f"new:{table}"])
  assert study.probe_tasks(more) == ("all", "table", "new")
  assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
  ("probe", "words"),
  [
    (["rte"], "probe='rte'; give NAME:FIELD=VALUE"),
    (["rte:task.kin=glue"], "probe rte: finetune.task.kin is no field"),
    (["a:steps=x"], "probe a: finetune.steps=x is no int"),
    (["a:steps=1;steps=2"], "probe a gives steps twice"),
    (
      ["a:steps=1", "a:steps=2"],
      "--probe names a, which the study has already",
    ),
  ],
)
def test_a_probe_of_the_flags_that_is_none_is_told(config, probe, words):
  with pytest.raises(ValueError, match=words):
    from_flags(config, probe=probe)
