"""The program: `python run.py` runs the daemon, `python run.py --help` lists the commands."""

import sys

from aggregator.cli import main

if __name__ == "__main__":
    sys.exit(main())
