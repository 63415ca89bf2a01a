"""``python -m trajmap`` is the command line."""

import sys

from trajmap.cli._main import main

if __name__ == "__main__":
    sys.exit(main())
