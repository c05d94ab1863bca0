# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-written derivatives and kernels; without them the model still works."""
