# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle of a bundle."""

import dataclasses
import shutil

import pytest

from bertjax.checkpoints import bundle as bundles
from launch import export


def test_a_classifier_is_handed_on_as_a_bundle_too(classifier, tmp_path):
  path = export.run(
    bundle=classifier, output=tmp_path / "copy", format="bundle"
  )
  ours, theirs = map(bundles.read_bundle_info, (classifier, path))
  assert ours.leaves == theirs.leaves
  assert ours.details.written_by == "launch.finetune"
  copied = dataclasses.replace(ours.details, written_by="launch.export")
  assert theirs.details == copied


def test_only_what_was_exported_is_replaced(classifier, tmp_path):
  """A trained bundle is one wherever it was moved to."""
  moved = shutil.copytree(classifier, tmp_path / "moved")
  for _ in range(2):
    export.run(bundle=classifier, output=tmp_path / "new", format="bundle")
  with pytest.raises(
    ValueError, match=r"export does not replace; give another"
  ):
    export.run(bundle=classifier, output=moved, format="bundle")
  assert bundles.read_bundle_info(moved).details.written_by == "launch.finetune"
