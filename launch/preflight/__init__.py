# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What is known to ruin a run, judged before it is paid for.

The rest of the code measures and counts. Here each figure is compared with the
one table of limits, and becomes a warning or a failure with a fix.
"""
