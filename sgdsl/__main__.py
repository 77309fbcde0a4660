"""`sgdsl` and `python -m sgdsl`: the arguments come in, the exit code goes out."""

from __future__ import annotations

import gc
import sys

gc.disable()  # imports make no garbage, and looking for it is a tenth of the time that `sgdsl check` takes

from sgdsl.cli.entry import run  # noqa: E402


def main() -> None:
    """Never returns."""
    gc.freeze()
    gc.enable()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
