"""`python -m tests.support.fault_matrix` writes the tables of docs/when-things-break.md."""

import sys

from tests.support.fault_matrix.document import PAGE, page_with_tables

if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text()))
    sys.stdout.write(f"{PAGE}\n")
