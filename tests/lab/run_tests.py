#!/usr/bin/python3 -B
"""Runs pytest on the files named; exits 77 where everything was skipped or a library is missing."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Counter:
    """How many tests said what."""

    def __init__(self):
        self.skipped, self.ran = 0, 0

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            self.skipped += 1
        elif report.when == "call" or report.failed:
            self.ran += 1


def main(arguments):
    try:
        import pytest
        import asn1crypto  # noqa: F401
        import cryptography  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}; tests/setup --run --test installs what is missing")
        return 77
    counter = Counter()
    status = pytest.main(["-q", "-rs", "-p", "no:cacheprovider", "--rootdir", HERE, *arguments], plugins=[counter])
    return 77 if status == 0 and counter.skipped and not counter.ran else int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
