"""`python -m livecalc` is `livecalc`."""

import sys

from livecalc.cli import main

if __name__ == "__main__":
    sys.exit(main())
