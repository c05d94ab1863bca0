# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Plan a run for TPU slices that one does not own: memory, times and cost.

This package is optional. It needs libtpu (`pip install 'bertjax[plan]'`) and no
TPU. Nothing in training imports it; the architecture test holds this.

The train step of a run is compiled ahead of time, on a CPU host, by the
compiler that the TPU would use. Memory, collectives and FLOPs are read from the
compiled program. Times are lower bounds computed from them, not measurements.

    environment   variables to set before JAX is imported
    vocabulary    a vocabulary for runs without a store
    compiling     compile one train step, and read what the compiler reports
    hardware/     chips, slices and topologies
    hlo/          collectives, products and traffic from a program's text
    counting      FLOPs by the formula and by the compiler's count
    memory        memory of a device by kind
    roofline      least seconds of a step
    cost          hours, chip-hours and price of a run
    planning      all of these for each phase of a run
    search        the largest batch over shardings and remat policies
    results       what planning and search return, and its JSON
"""
