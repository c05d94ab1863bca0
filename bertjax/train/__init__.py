# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Train and evaluate any task: the step, the loop and its hooks."""
