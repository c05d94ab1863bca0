# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Environment variables to set before JAX is imported. No JAX here."""

import os

# JAX runs on the CPU. libtpu compiles without a TPU: these variables keep it
# from querying the metadata server and from logging that no TPU was found.
# JAX's cache of compiles is off, since JAX warns that it cannot read from it
# what was compiled for devices that are not there.
ENVIRONMENT = {
  "JAX_PLATFORMS": "cpu",
  "JAX_ENABLE_COMPILATION_CACHE": "false",
  "TPU_SKIP_MDS_QUERY": "1",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_WORKER_ID": "0",
  "TPU_ACCELERATOR_TYPE": "v5litepod-1",
  "TPU_STDERR_LOG_LEVEL": "3",
  "TPU_MIN_LOG_LEVEL": "3",
  "TF_CPP_MIN_LOG_LEVEL": "3",
}


def set_environment() -> None:
  """Make JAX start on this host's CPU and libtpu log nothing.

  Call it before JAX is imported. Variables that are already set stay.
  """
  for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)
