# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import sys

# While Python looks for the module of `python -m launch.…`. Whoever imports a
# launcher may well have `configs` of their own.
if sys.argv[:1] == ["-m"]:
  from bertjax.__main__ import find_hidden

  if hidden := find_hidden():
    sys.exit(f"error: {hidden}")
