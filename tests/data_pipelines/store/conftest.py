# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A store of made-up text with several blocks, records and shards."""

import numpy as np
import pytest

from tests.testing import synthetic


@pytest.fixture(scope="session")
def limits():
  return {"block_tokens": 900, "record_tokens": 200, "shard_tokens": 2000}


@pytest.fixture(scope="session")
def documents():
  drawn = synthetic.draw_documents(60)
  drawn[7] = np.full(300, 5)  # larger than a block
  return drawn


@pytest.fixture(scope="session")
def made(documents, limits, tmp_path_factory):
  return synthetic.make_store(
    tmp_path_factory.mktemp("stores") / "made",
    {"train": documents, "validation": documents[:5]},
    **limits,
  )
