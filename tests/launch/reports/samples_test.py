# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import collections
import types

import jax
import numpy as np
import pytest

from bertjax.config import DataConfig, ModelConfig, ObjectiveConfig
from bertjax.model import BertForPreTraining
from bertjax.objectives import masking
from bertjax.objectives.pretraining import pretraining_task
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.tokenizers import tokenizers
from launch.reports import samples


def test_masks_are_those_of_the_train_step(store, report):
  objective = ObjectiveConfig()
  pipeline = PretrainingPipeline(
    store,
    "train",
    objective=objective,
    data=DataConfig(seq_length=128),
    batch_size=10,
    seed=0,
  )
  tokenizer = tokenizers.load(store.tokenizer_path)
  batch = pipeline.batch(0)
  task = pretraining_task(
    BertForPreTraining(ModelConfig()),  # is not called
    objective,
    tokenizer.vocabulary(store.token_counts()),
    slots=masking.num_slots(128, pipeline.num_packs, objective.mask_rate),
  )
  prepared = jax.device_get(jax.jit(task.prepare)(batch))
  kinds = {1: "mask", 2: "random", 3: "kept"}
  labels = {0: "next", 1: "random"}
  token_of = lambda id_: tokenizer.tokens[int(id_)]
  seen = collections.Counter()
  assert len(report["samples"]["rows"]) == 10
  for row, shown in enumerate(report["samples"]["rows"]):
    packs = batch["packs_BS"][row]
    masked = prepared["masked"]
    truth = {
      int(masked.positions_BP[row, slot]): (
        token_of(masked.targets_BP[row, slot]),
        kinds[int(masked.kind_BP[row, slot])],
      )
      for slot in np.flatnonzero(masked.weights_BP[row])
    }
    assert shown["padding"] == np.sum(packs == 0)
    assert len(shown["examples"]) == packs.max()
    for pack, example in enumerate(shown["examples"]):
      start = int(batch["starts_BR"][row, pack])
      places = range(start, start + len(example["pieces"]))
      assert set(packs[list(places)]) == {pack + 1}
      tokens = prepared["tokens_BS"][row, start : places.stop]
      assert example["pieces"] == [token_of(id_) for id_ in tokens]
      kinds_of_text = batch["types_BS"][row, start : places.stop]
      assert example["types"] == kinds_of_text.tolist()
      assert example["label"] == labels[int(batch["pair_label_BR"][row, pack])]
      assert example["specials"][0] == 0
      for place in example["chosen"]:
        found = truth.pop(start + place["position"])
        assert found == (place["was"], place["becomes"])
        seen[place["becomes"]] += 1
    assert not truth
  assert all(seen[kind] for kind in kinds.values())


def test_a_child_process_draws_the_same_samples(store, report, monkeypatch):
  free = types.SimpleNamespace(
    config=types.SimpleNamespace(values={"jax_platforms": None})
  )
  monkeypatch.setattr(samples, "jax", free)
  with samples.begin(store.path) as sampled:
    assert sampled() == report["samples"]
  with (
    samples.begin(store.path / "nowhere") as sampled,
    pytest.raises(OSError, match="nowhere is not a store"),
  ):
    sampled()
