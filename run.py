"""The program: `python run.py` runs the daemon, `python run.py --help` lists the commands."""

if __name__ == "__main__":
    # Imported here: parsing processes import this file again and need nothing of it.
    import sys

    from aggregator.cli import main

    sys.exit(main())
