# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Mesh, shardings, feeding of batches, and messages between processes."""
