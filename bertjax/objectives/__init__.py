# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Objectives of pre-training: masking, losses and metrics."""
