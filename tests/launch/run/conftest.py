# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

from bertjax.config import CheckpointConfig, EvaluationConfig
from tests.testing import corpus


@pytest.fixture(scope="module")
def config(store):
  """A run of two steps, which it saves."""
  config = corpus.make_config(
    store,
    steps=2,
    checkpoint=CheckpointConfig(every_steps=2),
    evaluation=EvaluationConfig(every_steps=0),
  )
  model = dataclasses.replace(config.model, num_layers=1)
  return dataclasses.replace(config, model=model)
