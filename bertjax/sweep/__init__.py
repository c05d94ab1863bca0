# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Trials from a grid, their state on disk, and statistics over seeds."""
