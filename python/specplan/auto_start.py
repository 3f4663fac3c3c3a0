"""An experiment that has started: `from specplan.auto_start import dxp`.

Importing it begins, or goes on with, the run of the prefix that the environment or `RUN` says, else of
`USER/scratch/dxp`, below `.dash`. The run is completed when the program ends.
"""

from __future__ import annotations

import atexit
import getpass

from specplan.objects.experiment import Experiment
from specplan.track.prefix import RUN, prefix_of_environment

__all__ = ["dxp"]

dxp = Experiment(prefix=prefix_of_environment() or RUN.prefix or f"{getpass.getuser()}/scratch/dxp")
dxp.run.start()
atexit.register(dxp.run.complete)
