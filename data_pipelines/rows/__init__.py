# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of a prepared store, from `pipeline` (start there) downwards.

pipeline, mixture_pipeline, evaluation  batches of a store, of several, of dev
lanes                                   which planned rows a step takes
planner                                 the rows of a block of a store
singles, pairs                          examples out of sentences
packing                                 examples into rows
assembly                                planned rows into arrays
format_report, store_statistics         figures for the report of a store
"""
