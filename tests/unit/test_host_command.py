"""The command that starts the Functions host: the stand-in, or the program that FUNCTIONS_HOST names."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.functions.process import bound_socket, host_command, real_host

APP_ROOT = Path("/app")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bound_socket(0) as listener:
        yield listener


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "serve"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def is_listening(listener: socket.socket) -> bool:
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def test_the_stand_in_inherits_the_socket_and_hides_the_key(listener: socket.socket) -> None:
    command = host_command(APP_ROOT, listener, "KEY", {"FUNCTIONS_HOST": "", "CANCEL_DEADLINE_S": "1"})

    assert command.arguments[:3] == [sys.executable, "-m", "infra.local.functions.host"]
    assert command.pass_fds == (listener.fileno(),)
    assert is_listening(listener)
    assert "KEY" not in command.arguments
    assert command.environment["CANCEL_DEADLINE_S"] == "1"


def test_the_real_host_gets_the_port_and_the_settings_of_the_host(listener: socket.socket, program: str) -> None:
    """The product's own settings are in the environment; they hold ids that no command line should show."""
    environment = {
        "FUNCTIONS_HOST": program,
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "131072",
        "AzureWebJobsDisableHomepage": "true",
        "AzureWebJobsStorage__queueServiceUri": "https://127.0.0.1:9/x",
        "AzureWebJobs.tell_ticket.Disabled": "true",
        "AzureWebJobsStorage": "AccountKey=secret",
        "AzureWebJobsDashboard": "AccountKey=secret",
        "PARTNER_CENTER_ACCOUNTS": "{}",
    }

    command = host_command(APP_ROOT, listener, "KEY", environment)

    assert command.arguments == [
        *(program, "--app", "/app", "--port", str(listener.getsockname()[1]), "--key", "KEY"),
        *("--python", sys.executable, "--setting", "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=131072"),
        *("--setting", "AzureWebJobsDisableHomepage=true"),
        *("--setting", "AzureWebJobsStorage__queueServiceUri=https://127.0.0.1:9/x"),
        *("--setting", "AzureWebJobs.tell_ticket.Disabled=true"),
    ]
    assert command.environment.items() >= environment.items()
    assert command.pass_fds == ()
    assert not is_listening(listener), "the program could not bind the port"


@pytest.mark.parametrize(("log_level", "level"), [("INFO", "Information"), ("WARNING", "Warning")])
def test_the_real_host_logs_as_much_as_the_stand_in(
    listener: socket.socket, program: str, log_level: str, level: str
) -> None:
    function = "AzureFunctionsJobHost__Logging__LogLevel__Function"

    chosen = host_command(APP_ROOT, listener, "KEY", {"FUNCTIONS_HOST": program}, log_level=log_level)
    users_own = host_command(APP_ROOT, listener, "KEY", {"FUNCTIONS_HOST": program, function: "Trace"})

    assert chosen.environment[function] == level
    assert users_own.environment[function] == "Trace"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")

    with pytest.raises(ValueError, match=f"FUNCTIONS_HOST names {missing}"):
        real_host({"FUNCTIONS_HOST": missing})
