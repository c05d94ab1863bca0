# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of every architecture, with no zeros in them."""

import numpy as np

from bertjax.checkpoints.digest import nest
from bertjax.interop.architectures import shapes
from tests.testing.examples import SMALL

LABELS = ("fish", "tree", "a | b")


def labels_of(architecture):
  """What `export_model` wants to be told."""
  named = ("BertForSequenceClassification", "BertForTokenClassification")
  return LABELS if architecture in named else ()


def make_params(architecture, config=SMALL):
  """Random parameters; nothing is compiled for them."""
  draw = np.random.default_rng(0)
  count = len(labels_of(architecture))

  def leaf(name, shape):
    noise = draw.standard_normal(shape) * (0.3 if "kernel" in name else 0.1)
    return (noise + name.endswith("scale")).astype(np.float32)

  return nest(
    {
      name: leaf(name, shape.shape)
      for name, shape in shapes(architecture, config, count).items()
    }
  )
