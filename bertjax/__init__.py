# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Pre-train BERT-family encoders in JAX; hand them to whoever fine-tunes."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
  # Lazy, so that importing the package costs nothing and needs no JAX.
  if name == "load_bundle":
    from bertjax.checkpoints.bundle import load_bundle

    return load_bundle
  raise AttributeError(f"module 'bertjax' has no attribute {name!r}")
