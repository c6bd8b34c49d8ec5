"""`python -m ttecg` is `ttecg`."""

import sys

from ttecg.cli import main

sys.exit(main())
