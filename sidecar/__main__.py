"""`python -m sidecar`, and the console script."""

import sys

from sidecar import cli


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
