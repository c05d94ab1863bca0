# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""All tasks of GLUE from one bundle, and predictions for its server."""
