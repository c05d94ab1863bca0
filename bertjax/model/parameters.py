# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the leaves of a tree."""

from typing import Any

import jax


def leaf_name(path: tuple[Any, ...]) -> str:
  """Name of a leaf as "encoder/layers/mlp/kernel"."""
  return jax.tree_util.keystr(path, simple=True, separator="/")


def by_name(tree: Any) -> dict[str, Any]:
  """Return {"a/b": leaf} of any tree."""
  return {
    leaf_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)
  }
