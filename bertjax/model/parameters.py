# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""The properties of every parameter, by its name.

`PARAMETERS` has one row for each parameter of any model, and `PARTS` one for
each tree at the top of a model's parameters. Optimizers, checkpoints, transfer
and interop read them. Only `interop/families/` also names parameters: it maps
them to the names of another library.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

SpareToken = Literal["mean", "min"]


@dataclasses.dataclass(frozen=True)
class Part:
  """One tree at the top of a model's parameters.

  Attributes:
    is_head: whether it belongs to one task. Fine-tuning initializes its heads
      and takes none from a bundle.
  """

  is_head: bool = True


@dataclasses.dataclass(frozen=True)
class Parameter:
  """One parameter, or one in each layer, stacked.

  Attributes:
    name: its path, such as "encoder/layers/mlp_up/kernel".
    is_stacked: whether axis 0 is the layers of the encoder's scan, or groups of
      layers that share their weights. The other properties then hold for each
      slice and not for the whole array.
    decays: whether weight decay applies to it. LAMB scales the update of
      exactly these by a ratio of norms, one for each layer.
    inputs: axes of a kernel that are contracted with its input; they come
      first, after the layers. 0 for anything but a kernel.
    is_hidden: whether it is a kernel between hidden states, whose update Muon
      orthogonalizes. A kernel that makes logits is not.
    is_narrow: whether the model reads it in the compute dtype; else float32.
    spare_token: None unless axis 0 is the vocabulary. Then, the row of a token
      that never occurs: the mean over the tokens, or their minimum.
  """

  name: str
  is_stacked: bool = False
  decays: bool = False
  inputs: int = 0
  is_hidden: bool = False
  is_narrow: bool = False
  spare_token: SpareToken | None = None

  @property
  def part(self) -> str:
    """The key of PARTS under which it is, such as "encoder"."""
    return self.name.partition("/")[0]


ENCODER = "encoder"
# Its parameters of all layers are stacked in here.
LAYERS = "layers"
EMBEDDINGS = f"{ENCODER}/embeddings"
POOLER = "pooler"
MLM_HEAD = "mlm_head"
PAIR_HEAD = "pair_head"
CLASSIFIER = "classifier"
SPAN_HEAD = "span_head"
WINDOW_SCORER = "window_scorer"
PARTS: Mapping[str, Part] = {
  ENCODER: Part(is_head=False),
  POOLER: Part(is_head=False),
  MLM_HEAD: Part(),
  PAIR_HEAD: Part(),
  CLASSIFIER: Part(),
  SPAN_HEAD: Part(),
  WINDOW_SCORER: Part(),
}


def _table(name: str, spare_token: SpareToken | None = None) -> Parameter:
  return Parameter(
    f"{EMBEDDINGS}/{name}/embedding",
    decays=True,
    is_narrow=True,
    spare_token=spare_token,
  )


def _norm(name: str, *, is_stacked: bool = False) -> list[Parameter]:
  return [
    Parameter(f"{name}/{leaf}", is_stacked=is_stacked)
    for leaf in ("scale", "bias")
  ]


def _dense(
  name: str,
  inputs: int = 1,
  *,
  is_stacked: bool = False,
  is_hidden: bool = True,
) -> list[Parameter]:
  kernel = Parameter(
    f"{name}/kernel",
    is_stacked=is_stacked,
    decays=True,
    inputs=inputs,
    is_hidden=is_hidden,
    is_narrow=is_hidden,
  )
  return [kernel, Parameter(f"{name}/bias", is_stacked=is_stacked)]


def _layers(name: str = f"{ENCODER}/{LAYERS}") -> list[Parameter]:
  return [
    *_dense(f"{name}/attention/query", is_stacked=True),
    *_dense(f"{name}/attention/key", is_stacked=True),
    *_dense(f"{name}/attention/value", is_stacked=True),
    *_dense(f"{name}/attention/out", inputs=2, is_stacked=True),
    *_norm(f"{name}/attention_layer_norm", is_stacked=True),
    *_dense(f"{name}/mlp_up", is_stacked=True),
    *_dense(f"{name}/mlp_gate", is_stacked=True),
    *_dense(f"{name}/mlp_down", is_stacked=True),
    *_norm(f"{name}/mlp_layer_norm", is_stacked=True),
  ]


PARAMETERS: Mapping[str, Parameter] = {
  parameter.name: parameter
  for parameter in (
    _table("word", spare_token="mean"),
    _table("position"),
    _table("type"),
    *_norm(f"{EMBEDDINGS}/layer_norm"),
    *_dense(f"{EMBEDDINGS}/projection"),
    *_layers(),
    *_norm(f"{ENCODER}/final_layer_norm"),
    *_dense(f"{POOLER}/dense"),
    *_norm(f"{POOLER}/layer_norm"),
    *_dense(f"{MLM_HEAD}/dense"),
    *_norm(f"{MLM_HEAD}/layer_norm"),
    Parameter(f"{MLM_HEAD}/bias", spare_token="min"),
    *_dense(f"{PAIR_HEAD}/dense", is_hidden=False),
    *_dense(f"{CLASSIFIER}/dense", is_hidden=False),
    *_dense(f"{SPAN_HEAD}/dense", is_hidden=False),
    _dense(f"{WINDOW_SCORER}/dense", is_hidden=False)[0],  # it has no bias
  )
}
# The first kernel that a layer reads.
FIRST_KERNEL = f"{ENCODER}/{LAYERS}/attention/query/kernel"
# One value for each class of a pair.
PAIR_BIAS = f"{PAIR_HEAD}/dense/bias"


def leaf_name(path: tuple[Any, ...]) -> str:
  """Return the name of a leaf, such as "encoder/layers/mlp_up/kernel"."""
  return jax.tree_util.keystr(path, simple=True, separator="/")


def by_name(tree: Any) -> dict[str, Any]:
  """Return {"a/b": leaf} of any tree."""
  return {
    leaf_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)
  }


def is_under(name: str, prefixes: Iterable[str]) -> bool:
  """Whether a path is one of `prefixes` or below one of them."""
  return any(
    name == prefix or name.startswith(prefix + "/") for prefix in prefixes
  )


def find(name: str) -> Parameter:
  """Return the row of a parameter.

  Raises:
    ValueError: the table has no such parameter.
  """
  if name not in PARAMETERS:
    raise ValueError(
      f"unknown parameter {name!r}: give it a row in PARAMETERS of "
      "bertjax/model/parameters.py"
    )
  return PARAMETERS[name]


def map_parameters(
  function: Callable[..., Any], params: Any, *others: Any
) -> Any:
  """Return the tree of `function(row, leaf, …)` of every parameter.

  Args:
    function: takes the row of PARAMETERS, the leaf of `params` and the leaf of
      each of `others`.
    params: parameters, or any tree of the same names.
    others: trees of the same structure.

  Raises:
    ValueError: the table has no such parameter.
  """
  return jax.tree.map_with_path(
    lambda path, *leaves: function(find(leaf_name(path)), *leaves),
    params,
    *others,
  )


def compute_copy(params: Any, dtype: str) -> Any:
  """Return `params`, each in the dtype in which the model reads it.

  The model casts float32 parameters to the same dtypes. Because they are cast
  once, before anything is differentiated, gradients have these dtypes as well,
  and devices exchange half as many bytes in bfloat16.
  """
  return map_parameters(
    lambda row, leaf: leaf.astype(jnp.dtype(dtype)) if row.is_narrow else leaf,
    params,
  )


def count_parameters(params: Any) -> int:
  """Return the number of parameters in a tree of arrays or of their shapes."""
  return sum(leaf.size for leaf in jax.tree.leaves(params))


def heads(*trees: Mapping[str, Any]) -> tuple[str, ...]:
  """Return the heads that any of these parameter trees has."""
  return tuple(
    name
    for name, part in PARTS.items()
    if part.is_head and any(name in tree for tree in trees)
  )
