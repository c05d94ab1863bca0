# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Details that are kept beside exported weights."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from bertjax.checkpoints.bundle import Details
from bertjax.interop.provenance import read_provenance, write_provenance

KNOWN = Details(pooler_trained=True, step=3)


@pytest.fixture
def weights(tmp_path):
  save_file({"one": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
  return tmp_path / "model.safetensors"


def test_details_hold_for_the_weights_that_they_were_written_with(weights):
  assert read_provenance(weights) is None
  public = dataclasses.replace(KNOWN, origin={"sha256": "12ab"})
  details = dataclasses.replace(
    public,
    config={"data": {"store": "/home/me"}},
    origin={"path": "/home/you", "sha256": "12ab"},
    versions={"jax": "1"},
  )
  path = write_provenance(weights, details)
  assert "/home" not in path.read_text()
  assert read_provenance(weights) == public
  save_file({"other": np.ones(1, np.float32)}, weights)
  assert read_provenance(weights) is None
  path.write_text("{}")
  with pytest.raises(ValueError, match=r"bertjax.json cannot be read"):
    read_provenance(weights)


def test_a_file_without_a_version_is_read_and_a_later_one_refused(weights):
  path = write_provenance(weights, KNOWN)
  record = json.loads(path.read_text())
  assert record.pop("format_version") == 1
  path.write_text(json.dumps(record))
  assert read_provenance(weights) == KNOWN
  path.write_text(json.dumps({**record, "format_version": 2}))
  with pytest.raises(ValueError, match="its format is 2, and this bertjax"):
    read_provenance(weights)
