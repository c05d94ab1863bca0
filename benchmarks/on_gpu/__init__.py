# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What one GPU reaches: ceilings, kernels, train steps, and its peers."""
