# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A pre-training run: its parts, its phases, and what acts on it."""
