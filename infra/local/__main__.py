"""The commands of `python -m infra.local`.

Without a command, or with `serve`: run the local cloud until Ctrl-C. `demo`: show a tour of it.
`send`: send it a request as a ticketing system would.
"""

import argparse
import asyncio
import contextlib
import errno
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from infra.local.cloud import LocalCloud, Options, running


def main() -> int:
    if sys.argv[1:2] == ["send"]:
        from infra.local.senders import send  # noqa: PLC0415  (template engines, which the other commands do not need)

        return send.main(sys.argv[2:])
    arguments = _parser().parse_args()
    options = Options(
        port=arguments.port if arguments.port is not None else 0 if arguments.command == "demo" else 7071,
        orders=arguments.orders,
        subscriptions=arguments.subscriptions,
        latency_ms=arguments.latency_ms,
        requests_per_minute=arguments.requests_per_minute,
        replay=not arguments.no_replay,
        callers=arguments.callers,
    )
    try:
        if arguments.command == "demo":
            from infra.local.demo import run_tour  # noqa: PLC0415  (rich, which `serve` does not need)

            return asyncio.run(run_tour(options))
        return asyncio.run(_serve(options, arguments.describe, remove_description=arguments.remove_description))
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            message = f"port {options.port} is in use. Choose another one: `make serve PORT=N`, or the option --port N."
        else:
            message = str(error)
        print(f"infra.local: {message}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local",
        description="Run the function against a local cloud: stand-ins for Partner Center, Entra ID, Key Vault, the"
        " managed identity, Queue Storage and ticketing systems, on this machine only.",
        epilog="A third command, send, sends a request as a ticketing system would:"
        " see python -m infra.local send --help.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "demo"),
        default="serve",
        help="serve: run until Ctrl-C (default); demo: show a tour and end",
    )
    parser.add_argument("--port", type=int, help="port of the Functions host; 0 picks a free one (7071; for demo 0)")
    parser.add_argument("--orders", type=Path, metavar="DIR", help="add every *.json order in DIR")
    parser.add_argument("--subscriptions", type=Path, metavar="DIR", help="add every *.json subscription in DIR")
    parser.add_argument("--latency-ms", type=float, default=0, metavar="N", help="Partner Center answers N ms later")
    parser.add_argument(
        "--requests-per-minute",
        type=int,
        default=0,
        metavar="N",
        help="Partner Center throttles beyond N requests per partner tenant (0: no limit)",
    )
    parser.add_argument(
        "--no-replay", action="store_true", help="Partner Center carries out a repeated MS-RequestId again"
    )
    parser.add_argument("--callers", action="store_true", help="each caller of the function must prove itself")
    parser.add_argument(
        "--describe", type=Path, metavar="FILE", help="write addresses, accounts, orders and subscriptions to FILE"
    )
    parser.add_argument(
        "--remove-description", action="store_true", help="remove the FILE of --describe when the local cloud ends"
    )
    return parser


async def _serve(options: Options, describe: Path | None, *, remove_description: bool) -> int:
    stop = asyncio.Event()
    serving = asyncio.create_task(_serve_until(stop, options, describe, remove_description=remove_description))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    serving.cancel()  # while it starts too, which can take a minute
    try:
        return await serving
    except asyncio.CancelledError:
        return 0


async def _serve_until(
    stop: asyncio.Event, options: Options, describe: Path | None, *, remove_description: bool
) -> int:
    """Run the local cloud until this task is cancelled. Return 1 if the function's process ends before."""
    async with running(options) as (cloud, function), contextlib.AsyncExitStack() as at_the_end:
        if describe:
            description = json.dumps(cloud.describe(), indent=2)
            _write_private(describe, description)
            if remove_description:
                at_the_end.callback(_remove, describe, description)
        print(_welcome(cloud), flush=True)
        status = await function.wait()
        if not stop.is_set():  # Ctrl-C ends the function's process too
            print(f"infra.local: the Functions host ended with status {status}", file=sys.stderr)
            return 1
    return 0


def _welcome(cloud: LocalCloud) -> str:
    return f"""\
The local cloud runs. Open its page in a browser:

  {cloud.url("control")}/

It has {len(cloud.orders)} orders and {len(cloud.subscriptions)} subscriptions to try. Press Ctrl-C to end everything.
"""


def _write_private(path: Path, text: str) -> None:
    """Write *text* whole or not at all. Only this user may read it, because it holds the local secrets."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).replace(path)


def _remove(path: Path, text: str) -> None:
    """Remove the file at *path*, unless another local cloud has written its own description there."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
