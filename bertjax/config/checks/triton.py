# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this JAX has Triton for Pallas, which compiles kernels for GPUs.

JAX 0.10.2 has it. So has JAX 0.12, which warns that a later one will not.
"""

import importlib
from importlib import metadata

_TRITON = "jax.experimental.pallas.triton"


def lacking() -> str:
  """Return what is missing, and the fix; "" if nothing is."""
  try:
    importlib.import_module(_TRITON)
  except ImportError:
    return (
      f"jax {metadata.version('jax')} has no {_TRITON}, which compiles the "
      "kernel for GPUs; pip install 'jax[cuda13]<0.13'"
    )
  return ""
