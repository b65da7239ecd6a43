"""Says in one line what to install when this Python cannot make Graylane's virtual environment.

Shell. In: the interpreter running it (any version 3). Out: exit 0, or one line on stderr and exit 1.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "setup: Python 3.11 or later is needed, this is %d.%d; install it and run: make PYTHON=python3.11"
        % sys.version_info[:2]
    )
try:
    import ensurepip  # noqa: F401
    import venv  # noqa: F401
except ImportError:
    sys.exit("setup: Python's venv module is missing; on Debian or Ubuntu run: apt install python3-venv")
