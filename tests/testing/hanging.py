# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Wait forever under a watchdog: python -m tests.testing.hanging."""

import threading

from launch.hosts.watchdog import Watchdog


def wait_for_a_batch_that_never_comes():
  threading.Event().wait()


if __name__ == "__main__":
  Watchdog(0.0005, poll_seconds=0.01)
  wait_for_a_batch_that_never_comes()
