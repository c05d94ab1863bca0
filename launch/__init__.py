# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import sys

# argv is ["-m"] while Python looks for the module of `python -m launch.…`. A
# program that imports a launcher may have a package `configs` of its own, so
# nothing is checked then.
if sys.argv[:1] == ["-m"]:
  from bertjax.__main__ import explain_variables, find_hidden
  from launch.console import interrupt

  interrupt.stop_imports()
  explain_variables()
  if hidden := find_hidden():
    sys.exit(f"error: {hidden}")
