"""The command line of this package."""

import sys

from asr_worker.models.cli import main

sys.exit(main())
