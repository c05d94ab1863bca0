# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle, for JAX."""

import dataclasses
import pathlib

from bertjax.checkpoints import bundle as bundles
from launch.exports.formats import Format, Options
from launch.exports.trained import Trained

COMMAND = "launch.export"


def check(target: pathlib.Path, _: Options) -> None:
  """Refuse a target that exists and is no bundle."""
  bundles.check_target(target)


def write(trained: Trained, target: pathlib.Path, _: Options) -> None:
  """Write the bundle."""
  bundles.write_bundle(
    target,
    trained.params,
    trained.model,
    trained.tokenizer_path,
    dataclasses.replace(trained.details, written_by=COMMAND),
    trained.tokenizer_files,
  )


FORMAT = Format("a bundle for JAX", frozenset(), check, write)
