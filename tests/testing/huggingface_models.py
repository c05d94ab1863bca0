# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of every architecture, with no zeros in them."""

import math

import numpy as np

from bertjax.checkpoints.digest import nest
from bertjax.interop.architectures import shapes
from bertjax.interop.families.registry import family_of
from bertjax.interop.outputs import Outputs
from bertjax.model.parameters import ENCODER, by_name, find
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


def random_params(architecture, config, outputs=None):
  """Random parameters, also of choices that no family makes."""
  return _draw(architecture, config, outputs, lambda row, shape: 0.3)


def steady_params(architecture, config):
  """Random parameters whose kernels keep the size of what they multiply.

  Where many layers have few norms, larger kernels make rounding large: half a
  unit in the last place of each weight is enough for 1e-5 in the states. Heads
  are twice as large, so that what they give differs between rows.
  """

  def deviation(row, shape):
    inputs = shape[row.is_stacked :][: row.inputs]
    return (2 if row.part != ENCODER else 1) / math.sqrt(math.prod(inputs))

  return _draw(architecture, config, None, deviation)


def _draw(architecture, config, outputs, deviation):
  """Random parameters; `deviation` of (row of PARAMETERS, shape) of kernels."""
  draw = np.random.default_rng(0)
  count = (outputs or outputs_of(architecture)).size

  def leaf(name, shape):
    row = find(name)
    scale = deviation(row, shape) if row.inputs else 0.1
    noise = draw.standard_normal(shape) * scale
    return (noise + name.endswith("scale")).astype(np.float32)

  return nest(
    {
      name: leaf(name, shape.shape)
      for name, shape in shapes(architecture, config, count).items()
    }
  )
