# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The facts about lanes that a run keeps for its next start."""

from bertjax.config import DataConfig, ObjectiveConfig
from bertjax.parallel import multihost
from data_pipelines.rows.pipeline import PretrainingPipeline
from data_pipelines.store.store import open_store
from launch.run import resumable
from tests.testing import corpus

BATCH, STEP = 4, 30


def make(path):
  return PretrainingPipeline(
    open_store(path),
    "train",
    objective=ObjectiveConfig(),
    data=DataConfig(store=path, seq_length=24),
    batch_size=BATCH,
    seed=0,
  )


def walk(path, rows):
  pipeline = make(path)
  for step in range(STEP + 1):
    pipeline.batch(step, rows)
  return pipeline.memo(STEP)["facts"]


def test_merged_facts_of_all_processes_are_those_of_one(tmp_path):
  path = corpus.make_store(tmp_path)
  told = [walk(path, slice(n, n + 1)) for n in range(BATCH)]
  whole = walk(path, None)
  assert resumable.merge_facts(told) == sorted(whole)
  assert resumable.merge_facts([whole, whole]) == sorted(whole)


def test_newer_facts_replace_those_from_before_a_restart():
  old, new = [[0, 2, 7], [1, 3, 9]], [[0, 2, 7], [1, 11, 80]]
  mixed = [[[0, *fact] for fact in old], [[0, *fact] for fact in new]]
  for told in ([old, new], [new, old]):
    assert resumable.merge_facts(told) == new
  assert resumable.merge_facts(mixed) == [[0, *fact] for fact in new]


def test_a_single_process_gathers_its_own_facts():
  assert multihost.all_gather("memo", [[0, 2, 7]]) == [[[0, 2, 7]]]
