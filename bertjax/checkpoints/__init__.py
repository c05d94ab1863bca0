# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a run, and the bundles that it hands over."""
