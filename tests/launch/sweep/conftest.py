# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A small study, and stand-ins for the commands that it calls."""

import dataclasses
import json

import pytest

from bertjax.config import (
  CheckpointConfig,
  EvaluationConfig,
  ProbesConfig,
  SweepConfig,
  from_mapping,
)
from configs.sweeps import nsp
from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from tests.testing import small
from tests.testing.launchers import Launchers

ARMS = ("mlm_nsp", "mlm", "nsp_rows")


@pytest.fixture(scope="session")
def place(tmp_path_factory):
  """A folder with a store and a table to probe with."""
  folder = tmp_path_factory.mktemp("place")
  texts = [
    "\n".join(text for text, _ in small.make_texts(12, seed))
    for seed in range(40)
  ]
  (folder / "corpus.jsonl").write_text(
    "".join(json.dumps({"text": text}) + "\n" for text in texts)
  )
  prepare(
    Options(
      corpus=str(folder / "corpus.jsonl"),
      output=str(folder / "store"),
      validation="0.2",
      sentences="lines",
      tokenizer=str(small.make_tokenizer(folder / "tokenizer")),
    ),
    lambda *_: None,
  )
  small.write_table(folder / "table.jsonl", small.make_texts(60, 0))
  return folder


@pytest.fixture
def config(place):
  """The study of configs/sweeps/nsp.py, in the small."""
  study = from_mapping(SweepConfig, nsp.get_config().to_dict())
  pretrain = dataclasses.replace(
    study.pretrain,
    steps=4,
    batch_size=8,
    model=dataclasses.replace(small.MODEL, vocab_size=0),
    data=dataclasses.replace(
      study.pretrain.data, store=str(place / "store"), seq_length=16
    ),
    optimizer=dataclasses.replace(study.pretrain.optimizer, warmup_steps=1),
    evaluation=EvaluationConfig(every_steps=0),
    checkpoint=CheckpointConfig(every_steps=2),
  )
  finetune = dataclasses.replace(
    study.finetune,
    steps=4,
    batch_size=8,
    evaluation_batch_size=16,
    seq_length=16,
    learning_rates=(1e-3,),
    seeds=1,
    task=dataclasses.replace(
      study.finetune.task, kind="table", train=str(place / "table.jsonl")
    ),
  )
  return dataclasses.replace(
    study,
    arms={name: study.arms[name] for name in ARMS},
    match="steps",
    seeds=2,
    pretrain=pretrain,
    finetune=finetune,
    probes=ProbesConfig(),  # bundles of the stand-ins have no parameters
  )


@pytest.fixture
def launchers(monkeypatch):
  return Launchers(monkeypatch)
