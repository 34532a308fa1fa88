"""`python -m twinpose`: the same as `twinpose`."""

from twinpose.cli import main

if __name__ == "__main__":
    main()
