"""`python -m steiner`: the same as `steiner`."""

import sys

from steiner.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
