# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""BERT's programs and parameters, whatever other encoders the model can be.

What a choice of another family costs, BERT must not pay: the StableHLO of its
forward pass and of its train step is that of the time when there were no other
families, to the letter.

The file of hashes was written by this file's `main`. A change that is about
BERT's own arithmetic writes it anew in the same commit and says why.
"""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from bertjax import optim
from bertjax.batch import ENCODER_FEATURES, empty_batch
from bertjax.config import ComputeConfig, MeshConfig
from bertjax.model import BertForPreTraining
from bertjax.model.parameters import leaf_name
from bertjax.parallel import feeding
from bertjax.parallel.mesh import make_mesh
from bertjax.train import state, step
from tests.testing import tiny, training
from tests.testing.examples import SMALL

RECORD = pathlib.Path(__file__).with_name("bert_programs.json")
FEATURES = empty_batch(ENCODER_FEATURES, {"B": 2, "S": 16, "R": 2})
POSITIONS_BP = jnp.zeros((2, 3), jnp.int32)
ADVICE = (
  "BERT's program is another one than before the change; if its arithmetic was "
  "meant to change, write the hashes anew: python -m "
  "tests.bertjax.model.bert_program_test"
)


def init(key):
  return BertForPreTraining(SMALL).init(
    key, FEATURES, POSITIONS_BP, deterministic=True
  )["params"]


def forward(compute, deterministic):
  """Lower BERT's logits, of SMALL."""

  def run(params, features, key):
    return BertForPreTraining(SMALL, compute).apply(
      {"params": params},
      features,
      POSITIONS_BP,
      deterministic=deterministic,
      rngs={"dropout": key},
    )

  shapes = nn.meta.unbox(jax.eval_shape(init, jax.random.key(0)))
  return jax.jit(run).lower(shapes, FEATURES, jax.random.key(0)).as_text()


def train_step(rate):
  """Lower a whole train step, of `tiny`."""
  mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
  schedule = optim.make_schedule(training.OPTIMIZER, training.STEPS)
  optimizer = optim.make_optimizer(training.OPTIMIZER, schedule)
  abstract = state.abstract_state(tiny.init_params, optimizer, mesh)
  made: Any = step.make_train_step(
    tiny.task(dropout_rate=rate),
    optimizer,
    mesh,
    abstract,
    step.StepOptions(schedule=schedule),
  )
  return made.lower(abstract, feeding.put_batch(tiny.batch(0), mesh)).as_text()


PROGRAMS = {
  "forward": lambda: forward(ComputeConfig(), True),
  "forward in bfloat16": lambda: forward(ComputeConfig(dtype="bfloat16"), True),
  "forward with dropout": lambda: forward(ComputeConfig(), False),
  "forward unrolled": lambda: forward(ComputeConfig(unroll=2), False),
  "forward with remat": lambda: forward(ComputeConfig(remat="dots"), False),
  "initialization": lambda: (
    jax.jit(lambda key: nn.meta.unbox(init(key)))
    .lower(jax.random.key(0))
    .as_text()
  ),
  "train step": lambda: train_step(0.0),
  "train step with dropout": lambda: train_step(0.1),
}


def parameters():
  """{name: [shape, logical axes]}."""
  boxed = jax.eval_shape(init, jax.random.key(0))
  leaves = jax.tree.leaves_with_path(
    boxed, is_leaf=lambda leaf: isinstance(leaf, nn.Partitioned)
  )
  return {
    leaf_name(path): [list(box.value.shape), list(box.names)]
    for path, box in leaves
  }


def sha256(text):
  return hashlib.sha256(text.encode()).hexdigest()


def read():
  return json.loads(RECORD.read_text())


def test_berts_parameters_are_those_of_before():
  assert parameters() == read()["parameters"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_berts_program_is_that_of_before(name):
  record = read()
  if record["jax"] != jax.__version__:
    pytest.skip(
      f"the record is of JAX {record['jax']}, and {jax.__version__} may write "
      "the same program in other words"
    )
  assert sha256(PROGRAMS[name]()) == record["programs"][name], ADVICE


@pytest.mark.parametrize(
  ("draws", "bits", "other"), [("uint16", 16, 8), ("uint8", 8, 16)]
)
def test_all_dropout_of_a_model_draws_what_is_asked_for(draws, bits, other):
  compute = dataclasses.replace(ComputeConfig(), dropout_draws=draws)
  text = forward(compute, False)
  assert f"xui{bits}>" in text
  assert f"xui{other}>" not in text


def main():
  """Write the hashes of this version of JAX."""
  RECORD.parent.mkdir(parents=True, exist_ok=True)
  record = {
    "jax": jax.__version__,
    "parameters": parameters(),
    "programs": {name: sha256(make()) for name, make in PROGRAMS.items()},
  }
  RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
  main()
