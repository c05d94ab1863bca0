# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""How far the clocks of the hosts of a run are apart."""

import time

from bertjax.parallel import multihost


def measure_skew() -> float:
  """Return the seconds between the first and the last clock of all processes.

  All processes call this together. The time that their messages take, well
  below a second, is a part of it.
  """
  if multihost.process_count() == 1:
    return 0.0
  multihost.all_gather("clocks ready", None)  # from here on nobody is late
  clocks = multihost.all_gather("clocks", time.time())
  return max(clocks) - min(clocks)
