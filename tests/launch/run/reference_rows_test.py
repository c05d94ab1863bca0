# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The rows that show what is forgotten, and runs that cannot have them."""

import dataclasses

import numpy as np
import pytest

from bertjax.checkpoints import bundle as bundles
from launch.run.reference_rows import open_reference
from tests.testing import corpus, small, small_stores


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A folder with a bundle and a store of its tokenizer."""
  folder = tmp_path_factory.mktemp("place")
  bundle = small.make_bundle(folder / "bundle")
  small_stores.make_store(folder, bundle, "0.3")
  return folder


def test_rows_and_masks_do_not_depend_on_the_batch(place):
  info = bundles.read_pretrained(place / "bundle")
  reference = open_reference(str(place / "store0.3"), info, "bundle")
  rows = [
    np.concatenate([each["key_BR2"] for each in reference.batches(size)])
    for size in (2, 4)
  ]
  count = min(map(len, rows))
  np.testing.assert_array_equal(rows[0][:count], rows[1][:count])


def test_what_cannot_be_measured_is_told_in_a_line(place, tmp_path):
  info = bundles.read_pretrained(place / "bundle")
  store = str(place / "store0.3")
  foreign = corpus.make_store(tmp_path / "foreign")
  without = small_stores.make_store(tmp_path, str(place / "bundle"), "0")
  details = dataclasses.replace(
    info.details, source={"folder": "x", "new": ["mlm_head"]}
  )
  headless = dataclasses.replace(info, details=details)
  for path, of, init, words in (
    (store, info, "scratch", "--init=scratch begins with random parameters"),
    (store, headless, "bundle", "imported with --new=mlm_head"),
    (foreign, info, "bundle", "prepare the text again with --tokenizer="),
    (without, info, "bundle", "has no validation split"),
    (str(tmp_path / "absent"), info, "bundle", "absent"),
  ):
    with pytest.raises(ValueError, match=words) as caught:
      open_reference(path, of, init)
    assert "\n" not in str(caught.value)
