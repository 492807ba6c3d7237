"""What others wrote, as a witness for the stand-ins: `make witness`.

Each subject is a module with a function `witness(*, record: bool) -> list[str]`. It runs the same observations against
the stand-in and against what it stands in for, or with a client that others wrote, prints what it does, and returns the
differences that nobody has explained. With *record* it writes what the others were seen to do into tests/samples, to
which `make test` holds the stand-in. A new subject gets its row in SUBJECTS, in `__main__.py`.

Packages that only a subject needs are in an environment of their own, .venv-witness, which `make witness` makes.
"""
