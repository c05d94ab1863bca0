# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Apply models to files of any size, in order, and resume after a kill."""
