# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Any runs beside each other, whether a sweep made them or not."""
