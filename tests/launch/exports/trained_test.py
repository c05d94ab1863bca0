# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is exported: a bundle, or a step of a workdir (pretrain_test.py)."""

import pytest

from launch.exports import trained
from tests.testing.huggingface_models import LABELS


def test_a_bundle_says_its_head(bundle, classifier):
  assert trained.read_bundle(bundle).head is None
  head = trained.read_bundle(classifier).head
  assert head is not None
  assert tuple(head.labels) == LABELS


def test_a_folder_without_checkpoints_is_no_workdir(tmp_path):
  with pytest.raises(ValueError, match="is not a workdir: it has no check"):
    trained.read_workdir(tmp_path, None)
