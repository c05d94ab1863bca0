# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle of a bundle."""

from bertjax.checkpoints import bundle as bundles
from launch import export


def test_a_classifier_is_handed_on_as_a_bundle_too(classifier, tmp_path):
  path = export.run(
    bundle=classifier, output=tmp_path / "copy", format="bundle"
  )
  ours, theirs = map(bundles.read_bundle_info, (classifier, path))
  assert (ours.leaves, ours.details) == (theirs.leaves, theirs.details)
