"""Keeps linear algebra to one thread. Imported ahead of numpy, which reads the variable once.

Threads of the library would wait for one another, actively, at matrices as small as ours.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
