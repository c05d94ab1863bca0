# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be set before JAX is imported; imports nothing of it."""

import os

# The compiler needs no TPU and asks nobody for one; what it has to say about
# that goes to nobody.
ENVIRONMENT = {
  "JAX_PLATFORMS": "cpu",
  "TPU_SKIP_MDS_QUERY": "1",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_WORKER_ID": "0",
  "TPU_ACCELERATOR_TYPE": "v5litepod-1",
  "TPU_STDERR_LOG_LEVEL": "3",
  "TPU_MIN_LOG_LEVEL": "3",
  "TF_CPP_MIN_LOG_LEVEL": "3",
}


def set_environment() -> None:
  """Have JAX start on this host's CPU, and libtpu in silence.

  Call it before JAX is imported; what is set already stays.
  """
  for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)
