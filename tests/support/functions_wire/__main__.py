"""Records the answers of the real Functions host that FUNCTIONS_HOST names: python -m tests.support.functions_wire"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.support.functions_wire.app import serving, write_app
from tests.support.functions_wire.exchange import exchange
from tests.support.functions_wire.requests import RECORDED, REQUESTS
from tests.support.local_cloud import running


def main() -> None:
    program = os.environ.get("FUNCTIONS_HOST")
    if not program:
        sys.exit("FUNCTIONS_HOST names no program")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app").mkdir()
        with (
            running(folder) as cloud,
            serving(write_app(folder / "app"), folder / "log", cloud.description["environment"], program) as port,
        ):
            answers = {name: exchange(port, parts) for name, parts in REQUESTS.items()}
    lines = (f"{json.dumps(name)}: {json.dumps(answer, sort_keys=True)}" for name, answer in answers.items())
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
