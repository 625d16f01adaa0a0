"""The composition root: settings, sources, the dataflow and the command line."""

import os

# Threads of the linear algebra library would wait for each other, actively, at matrices as small as ours. It reads this
# once, when numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
