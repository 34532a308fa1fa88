"""`python -m bench.cli`: the same as `twinpose`."""

from bench.cli import main

if __name__ == "__main__":
    main()
