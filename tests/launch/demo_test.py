# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""`make pretrain`, a few steps long: all of the path, then nothing twice."""

import json
from typing import Any

import ml_collections
import pytest

from bertjax.config import FinetuneConfig, check_read, from_mapping
from configs import demo as config
from launch import demo

# As the demo's users have, and a third of what eight compile.
pytestmark = pytest.mark.usefixtures("one_device", "small_programs")
PRETRAIN = {
  "steps": 4,
  "batch_size": 8,
  "optimizer.warmup_steps": 1,
  "evaluation.rows": 8,
  "model.num_layers": 1,
  "model.hidden_size": 64,
  "model.num_heads": 1,
  "model.intermediate_size": 64,
}
PROBE = {
  "steps": 2,
  "seeds": 2,
  "evaluations": 1,
  "batch_size": 8,
  "learning_rates": (1e-3,),
  "seq_length": 16,
}


def shortened(make, changes):
  def made() -> ml_collections.ConfigDict:
    short = make()
    short.update_from_flattened_dict(changes)
    return short

  return made


@pytest.fixture(name="short")
def _short(monkeypatch):
  monkeypatch.setattr(config, "pretrain", shortened(config.pretrain, PRETRAIN))
  probes = {
    name: probe._replace(config=shortened(probe.config, PROBE))
    for name, probe in demo.PROBES.items()
  }
  monkeypatch.setattr(demo, "PROBES", probes)


def test_a_smoke_run_takes_a_few_steps_of_each_stage():
  run: Any = config.pretrain("smoke")
  whole: Any = config.pretrain()
  assert run.steps == 20 < whole.steps
  # The same model on the same rows.
  assert (run.model, run.data) == (whole.model, whole.data)
  assert run.objective == whole.objective
  for probe in demo.PROBES.values():
    short: Any = probe.config()
    short.update_from_flattened_dict(config.SMOKE_PROBE)
    assert short.steps < probe.config().steps
    check_read(from_mapping(FinetuneConfig, short.to_dict()))


def test_the_demo_leaves_what_it_promises(short, tmp_path, capsys):
  summary = demo.run(str(tmp_path))
  shown = capsys.readouterr().out
  written = json.loads((tmp_path / "summary.json").read_text())
  assert written == summary
  for name, _ in demo._ARTIFACTS:
    assert (tmp_path / name).exists(), name
  assert {"mlm_loss", "mlm_accuracy", "nsp_accuracy"} <= {
    *written["validation"]
  }
  for name in ("finetune", "finetune_all_labels"):
    for arm in ("bundle", "scratch"):
      assert 0 <= written[name][arm]["mean"] <= 1
      assert written[name][arm]["std"] >= 0
  assert written["finetune"]["bundle"]["labels"] == 240
  assert written["finetune_all_labels"]["bundle"]["labels"] > 1000
  assert written["test_examples"] >= 500
  assert written["tokens_per_second"] > 0
  # The table says what the file says.
  assert f"{written['validation']['mlm_loss']:.3f} nats" in shown
  assert "predict --task=fill_mask" in shown

  again = demo.run(str(tmp_path))
  assert "done before" in capsys.readouterr().out
  for name in ("validation", "finetune", "finetune_all_labels"):
    assert again[name] == summary[name]
