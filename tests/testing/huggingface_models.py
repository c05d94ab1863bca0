# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of every architecture, with no zeros in them."""

import numpy as np

from bertjax.checkpoints.digest import nest
from bertjax.interop.architectures import shapes
from bertjax.interop.families.registry import family_of
from bertjax.interop.outputs import Outputs
from bertjax.model.parameters import by_name
from tests.testing.examples import SMALL

LABELS = ("fish", "tree", "a | b")
# What the outputs of a head mean, by the class of transformers.
OUTPUTS = {
  "BertForSequenceClassification": Outputs(
    LABELS, "single_label_classification"
  ),
  "BertForTokenClassification": Outputs(LABELS),
}


def outputs_of(architecture):
  """What `export_model` wants to be told."""
  return OUTPUTS.get(architecture, Outputs())


def make_params(architecture, config=SMALL, outputs=None):
  """Random parameters of a family; nothing is compiled for them."""
  leaves = by_name(random_params(architecture, config, outputs))
  # What a layer never reads is as it began, in any model.
  for entry in family_of(config).entries(architecture):
    if entry.ours in leaves:
      leaves[entry.ours][[*entry.lacking]] = entry.ours.endswith("scale")
  return nest(leaves)


def random_params(architecture, config, outputs=None, deviation=0.3):
  """Random parameters, also of choices that no family makes.

  `deviation` is that of kernels.
  """
  draw = np.random.default_rng(0)
  count = (outputs or outputs_of(architecture)).size

  def leaf(name, shape):
    noise = draw.standard_normal(shape) * (
      deviation if "kernel" in name else 0.1
    )
    return (noise + name.endswith("scale")).astype(np.float32)

  return nest(
    {
      name: leaf(name, shape.shape)
      for name, shape in shapes(architecture, config, count).items()
    }
  )
