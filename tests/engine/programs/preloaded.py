"""Notes each import of itself in the file that ``PRELOADED`` names, and fails where it names none."""

import os
from pathlib import Path

with Path(os.environ["PRELOADED"]).open("a") as file:
    file.write(f"{os.getpid()}\n")
