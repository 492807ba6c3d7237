"""Runs the subjects: python -m tests.support.witness [SUBJECT …] [--record]"""

import argparse
import logging
import sys
from collections.abc import Callable

from tests.support.witness import azurite, ticketing_clients

SUBJECTS: dict[str, Callable[..., list[str]]] = {
    "azurite": azurite.witness,
    "ticketing_clients": ticketing_clients.witness,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.witness", description="Compare the stand-ins with what others wrote."
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"{', '.join(SUBJECTS)}; all if none is given")
    parser.add_argument("--record", action="store_true", help="write what the others do into tests/samples")
    arguments = parser.parse_args()
    if unknown := set(arguments.subjects) - SUBJECTS.keys():
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")
    logging.basicConfig(level=logging.ERROR)  # SDKs warn of an error's body that is no XML
    differences = {
        subject: SUBJECTS[subject](record=arguments.record) for subject in arguments.subjects or list(SUBJECTS)
    }
    for subject, lines in differences.items():
        for line in lines:
            sys.stderr.write(f"{subject}: {line}\n")
    return 1 if any(differences.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
