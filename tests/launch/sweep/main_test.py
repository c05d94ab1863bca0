# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from bertjax.config import (
  PhaseConfig,
  PretrainConfig,
  SweepConfig,
  flatten_fields,
  from_mapping,
  to_mapping,
)
from configs.sweeps import nsp
from launch.preflight.policy import Policy
from launch.run import ownership
from launch.sweep import __main__ as sweep
from tests.testing import small
from tests.testing.commands import run_command

ARMS = ("mlm_nsp", "mlm", "nsp_rows")
# Runs the study of its first argument in the folder of its second, and prints
# what was compiled and imported.
RERUN = """
import json, sys
import jax
from bertjax.config import SweepConfig, from_mapping
from launch.sweep import __main__ as sweep

compiled = []
jax.monitoring.register_event_duration_secs_listener(
  lambda name, *_, **__: compiled.append(name)
)
sweep.run(from_mapping(SweepConfig, json.loads(sys.argv[1])), sys.argv[2])
names = [name for name in compiled if "backend_compile" in name]
print(json.dumps([names, sorted(sys.modules)]))
"""
# What takes long to import, and only a trial or a page that is drawn needs.
HEAVY = {
  *("torch", "tensorflow", "tensorflow_datasets", "transformers", "datasets"),
  *("matplotlib", "onnx", "pandas", "sklearn", "scipy.optimize", "scipy.stats"),
}


def test_arms_are_matched_in_everything_but_the_objective(
  config, launchers, tmp_path
):
  sweep.run(config, str(tmp_path / "work"))
  runs = [flatten_fields(to_mapping(each)) for each, _ in launchers.pretrained]
  assert len(runs) == 6
  for start in (0, 3):
    base, mlm, rows = runs[start : start + 3]
    assert {k for k in base if base[k] != rows[k]} == {
      "objective.next_sentence_weight"
    }
    assert {k for k in base if base[k] != mlm[k]} == {"objective.next_sentence"}
  assert {k for k in runs[0] if runs[0][k] != runs[3][k]} == {"seed"}
  # Chosen once: each arm would choose by the lengths of its own examples.
  assert runs[0]["data.max_packs"] > 0


def test_arms_share_the_packs_of_a_second_phase_too(
  config, launchers, tmp_path
):
  pretrain = dataclasses.replace(
    config.pretrain, phase2=PhaseConfig(steps=2, seq_length=12)
  )
  sweep.run(
    dataclasses.replace(config, pretrain=pretrain),
    str(tmp_path / "work"),
    # Rows of 12 tokens hold no two sentences.
    Policy(allow=frozenset(["random_pairs"])),
  )
  packs = {each.phase2.max_packs for each, _ in launchers.pretrained}
  assert len(packs) == 1
  assert min(packs) > 0


def test_a_probe_changes_where_it_runs_and_nothing_else(
  config, launchers, tmp_path
):
  sweep.run(config, str(tmp_path / "work"))
  done = len(launchers.pretrained)
  probe = dataclasses.replace(config.finetune, evaluation_batch_size=32)
  other = dataclasses.replace(config, finetune=probe)
  sweep.run(other, str(tmp_path / "work"))
  assert len(launchers.pretrained) == done
  for changes in ({"seeds": 2}, {"seed": 7}, {"learning_rates": (1e-2,)}):
    probe = dataclasses.replace(config.finetune, **changes)
    other = dataclasses.replace(config, finetune=probe)
    with pytest.raises(ValueError, match=next(iter(changes))):
      sweep.run(other, str(tmp_path / "work"))


def test_every_trial_is_probed_on_its_own_bundle(config, launchers, tmp_path):
  sweep.run(config, str(tmp_path / "work"))
  folders = [folder for _, folder in launchers.pretrained]
  assert len(set(folders)) == 6
  assert [bundle for bundle, _ in launchers.probed] == [
    f"{folder}/bundle" for folder in folders
  ]


def test_differences_are_by_seed(config, launchers, tmp_path):
  del launchers
  comparison = sweep.run(config, str(tmp_path / "work"))
  saved = json.loads((tmp_path / "work/results.json").read_text())
  assert saved == comparison.to_json()
  # Probes come out as 0.1 0.2 0.3 for the first seed, 0.4 0.5 0.6 for the next.
  for arm, gain in (("mlm", 0.1), ("nsp_rows", 0.2)):
    difference = comparison.differences[arm]["probe_accuracy"]
    np.testing.assert_allclose(difference.values, [gain, gain])
    assert difference.std < 1e-9
    assert (
      comparison.differences[arm]["mlm_loss"].values
      == (float(arm == "mlm"),) * 2
    )
  assert set(comparison.arms) == set(ARMS)
  assert "Difference to mlm_nsp" in (tmp_path / "work/results.md").read_text()


def test_an_interrupted_study_goes_on_with_the_next_trial(
  config, launchers, tmp_path
):
  launchers.fail_at = 2
  with pytest.raises(KeyboardInterrupt):
    sweep.run(config, str(tmp_path / "work"))
  assert len(launchers.pretrained) == 3
  launchers.fail_at = -1
  sweep.run(config, str(tmp_path / "work"))
  # The third trial again, in the same folder, and three new ones.
  folders = [folder for _, folder in launchers.pretrained]
  assert len(folders) == 7
  assert folders[3] == folders[2]
  sweep.run(config, str(tmp_path / "work"))
  assert len(launchers.pretrained) == 7


def test_a_rerun_of_a_finished_study_compiles_and_imports_little(
  config, launchers, tmp_path
):
  del launchers
  sweep.run(config, str(tmp_path / "work"))
  before = (tmp_path / "work/report.json").read_bytes()
  given = (json.dumps(to_mapping(config)), str(tmp_path / "work"))
  done = subprocess.run(
    [sys.executable, "-c", RERUN, *given],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  compiled, imported = json.loads(done.stdout.splitlines()[-1])
  assert compiled == []
  assert HEAVY & {*imported} == set()
  assert (tmp_path / "work/report.json").read_bytes() == before


def test_a_study_that_was_taken_over_writes_nothing_more(
  config, launchers, tmp_path, monkeypatch
):
  """Where locks do not reach, and another study begins during a trial."""
  probe = launchers.finetune

  def finetune(*given, **named):
    if len(launchers.probed) == 1:
      (tmp_path / "work" / ownership.OWNER).write_text(
        json.dumps({"id": "x", "host": "h", "pid": 1, "since": "now"})
      )
    return probe(*given, **named)

  monkeypatch.setattr("launch.finetune.run", finetune)
  with pytest.raises(ownership.TakenOver, match=r"over \(pid 1 on h"):
    sweep.run(config, str(tmp_path / "work"))
  assert len(launchers.probed) == 2
  assert not (tmp_path / "work" / "timing.json").exists()
  assert len([*(tmp_path / "work" / "trials").rglob("timing.json")]) == 1
  assert len([*(tmp_path / "work").rglob("result*.json")]) == 1


def test_a_study_of_an_earlier_version_stays_readable(
  config, launchers, tmp_path, caplog
):
  """Its folder does not know the digits, nor what arms took from the base."""
  result = sweep.run(config, str(tmp_path / "work"))
  path = tmp_path / "work" / "identity.json"
  identity = json.loads(path.read_text())
  for part, names in (
    ("pretrain", ("evaluation", "compute.dtype", "compute.gradient_dtype")),
    ("finetune", ("compute.dtype", "compute.gradient_dtype")),
  ):
    for name in names:
      for field in [*identity[part]]:
        if f"{field}.".startswith(f"{name}."):
          del identity[part][field]
  del identity["base"], identity["match"]
  path.write_text(json.dumps(identity))
  compute = dataclasses.replace(config.pretrain.compute, dtype="bfloat16")
  pretrain = dataclasses.replace(config.pretrain, compute=compute)
  other = dataclasses.replace(config, pretrain=pretrain)
  assert sweep.run(other, str(tmp_path / "work")) == result
  assert len(launchers.pretrained) == 6
  assert "had instead of" in caplog.text
  assert "pretrain.compute.dtype='bfloat16'" in caplog.text


def test_more_seeds_keep_what_is_done(config, launchers, tmp_path):
  sweep.run(config, str(tmp_path / "work"))
  more = dataclasses.replace(config, seeds=3)
  sweep.run(more, str(tmp_path / "work"))
  assert len(launchers.pretrained) == 9


@pytest.mark.parametrize(
  ("section", "changes", "words"),
  [
    ("pretrain", {"steps": 5}, "pretrain.steps=4, not 5"),
    ("finetune", {"steps": 5}, "finetune.steps=4, not 5"),
  ],
)
def test_another_study_in_the_same_folder_is_refused(
  config, launchers, tmp_path, section, changes, words
):
  del launchers
  sweep.run(config, str(tmp_path / "work"))
  changed = dataclasses.replace(vars(config)[section], **changes)
  with pytest.raises(ValueError, match=words):
    sweep.run(
      dataclasses.replace(config, **{section: changed}), str(tmp_path / "work")
    )


@pytest.mark.parametrize(
  ("section", "group", "changes", "words"),
  [
    ("pretrain", "evaluation", {"rows": 8}, "evaluation.rows=8192, not 8"),
    ("pretrain", "evaluation", {"mask_rate": 0.4}, "mask_rate=0.15, not 0.4"),
    ("pretrain", "compute", {"dtype": "bfloat16"}, "pretrain.compute.dtype="),
    ("finetune", "compute", {"dtype": "bfloat16"}, "finetune.compute.dtype="),
  ],
)
def test_trials_of_other_scores_are_not_mixed(
  config, launchers, tmp_path, section, group, changes, words
):
  """Evaluation and dtype change freely in a run, but not between trials."""
  del launchers
  sweep.run(config, str(tmp_path / "work"))
  part = vars(config)[section]
  changed = dataclasses.replace(vars(part)[group], **changes)
  part = dataclasses.replace(part, **{group: changed})
  with pytest.raises(ValueError, match=words):
    sweep.run(
      dataclasses.replace(config, **{section: part}), str(tmp_path / "work")
    )


@pytest.mark.parametrize(
  ("section", "changes", "words"),
  [
    ("finetune", {"seq_length": 17}, "seq_length=17 is beyond"),
    ("finetune", {"metric": "f2"}, "metric='f2'"),
    ("pretrain", {"batch_size": 0}, "batch_size"),
    ("task", {"test_rate": 0}, "compared on test, and the task has no labeled"),
    ("task", {"train": "scores"}, "numbers .*: this is regression"),
  ],
)
def test_a_mistake_is_found_before_the_first_trial(
  config, launchers, tmp_path, section, changes, words
):
  if section == "task":
    if "train" in changes:
      changes = {"train": small.write_scores(tmp_path / "scores.csv")}
    changes = {"task": dataclasses.replace(config.finetune.task, **changes)}
    section = "finetune"
  changed = dataclasses.replace(vars(config)[section], **changes)
  with pytest.raises(ValueError, match=words):
    sweep.run(
      dataclasses.replace(config, **{section: changed}), str(tmp_path / "work")
    )
  assert launchers.pretrained == []
  assert not (tmp_path / "work").exists()


def test_an_arm_that_fails_a_check_is_found_before_the_first_trial(
  config, launchers, tmp_path
):
  """Also where only a later arm fails."""
  arms = {name: config.arms[name] for name in ("mlm", "mlm_nsp")}
  config = dataclasses.replace(config, arms=arms)
  policy = Policy(thresholds={"random_pairs.fail": 0.0})
  with pytest.raises(
    ValueError, match=r"in arm mlm_nsp, .*with --config\.pretrain\.obj"
  ):
    sweep.run(config, str(tmp_path / "work"), policy)
  assert launchers.pretrained == []
  assert not (tmp_path / "work").exists()


def test_a_store_that_is_not_there_is_one_line(tmp_path):
  done = run_command(
    "launch.sweep",
    "--config=configs/sweeps/nsp.py:size=tiny",
    "--config.pretrain.data.store=nowhere",
    f"--workdir={tmp_path}/work",
  )
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: ")
  assert "nowhere" in line


def test_the_config_is_the_ten_arms_of_the_question():
  config = from_mapping(SweepConfig, nsp.get_config("size=mini").to_dict())
  assert len(config.arms) == 10
  assert {*config.aliases.values()} < {*config.arms}
  assert config.aliases["nsp"] == "mlm_nsp"
  assert set(ARMS) < set(config.arms)
  assert (config.baseline, config.match) == ("mlm_nsp", "tokens")
  assert config.pretrain.model.num_layers == 4
  assert isinstance(config.pretrain, PretrainConfig)
  with pytest.raises(ValueError, match=r"objective=mlm.*size=…, seq=…"):
    nsp.get_config("objective=mlm")


@pytest.mark.full
def test_a_study_runs_through_the_launchers(config, tmp_path, caplog):
  config = dataclasses.replace(config, seeds=1)
  comparison = sweep.run(config, str(tmp_path / "work"))
  arms = comparison.arms
  assert set(arms) == set(ARMS)
  # The same rows: what differs is the loss, and little after four steps.
  left, right = (arms[arm]["mlm_loss"].mean for arm in ("mlm_nsp", "nsp_rows"))
  assert left != right
  assert abs(left - right) < 0.1
  assert "nsp_accuracy" in arms["mlm_nsp"]
  assert "nsp_accuracy" not in arms["mlm"]
  # Three trials have one store.
  said = [record.getMessage() for record in caplog.records]
  assert len([line for line in said if "(validation_tokens" in line]) == 1
  again = sweep.run(config, str(tmp_path / "work"))
  assert again == comparison


def test_a_rerun_is_the_study_without_what_no_result_depends_on():
  arguments = [
    *("--config=nsp:size=tiny", "--config.pretrain.steps=4", "--strict"),
    *("--workdir", "/tmp/a b", "--arms", "mlm,sop", "--nodry_run", "--seeds=2"),
    *("--grid=a=1,2;b=3", "--allow=x"),
  ]
  assert sweep.rerun_command(arguments) == (
    "bertjax sweep --config=nsp:size=tiny --config.pretrain.steps=4 --arms "
    "mlm,sop --seeds=2 '--grid=a=1,2;b=3' --workdir=DIR"
  )
