# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the README shows, run."""

import pathlib
import re

import numpy as np

from tests.testing.small import make_bundle

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_the_example_reads_a_bundle(tmp_path):
  make_bundle(tmp_path / "bundle")
  (example,) = re.findall(r"```python\n(.+?)```", README.read_text(), re.DOTALL)
  assert len(example.strip().splitlines()) <= 12
  scope: dict = {}
  exec(example.replace("runs/demo/bundle", str(tmp_path / "bundle")), scope)
  hidden_BSD, pooled_BRD = scope["hidden_BSD"], scope["pooled_BRD"]
  assert hidden_BSD.shape[:2] == (2, 64)
  assert pooled_BRD.shape == (2, 1, hidden_BSD.shape[-1])
  assert np.isfinite(hidden_BSD).all()
  # Two texts, two states: the example has read them.
  assert np.abs(pooled_BRD[0] - pooled_BRD[1]).max() > 0
