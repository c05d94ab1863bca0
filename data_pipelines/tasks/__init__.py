# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Readers of fine-tuning data: from files to batches, one reader a kind."""
