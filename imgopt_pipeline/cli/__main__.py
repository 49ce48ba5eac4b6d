"""The program's entry, and `python -m imgopt_pipeline.cli` where its script is not on the path.

It imports next to nothing by itself: what takes a moment to import comes once an interrupt ends it quietly.
"""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the program."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing is held yet that would have to be let go.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from imgopt_pipeline.cli.app import run

    run()


if __name__ == "__main__":
    main()
