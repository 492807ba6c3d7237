"""The part of the control interface that the page needs: its files, what there is, sending, looking, and events."""

from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from infra.local.console.events import Events
from infra.local.console.scenarios import SCENARIOS
from infra.local.values import Json, reason

PAGE = Path(__file__).parent / "page"
KEPT_RECORDS = 1_000
ACCOUNT_MEMBERS = ("cloud", "tenantId", "clientId", "credential", "tenantKind", "mode", "note", "secretName")


class Console:
    """The page and its routes. *describe* returns the local cloud's description.

    Attributes:
        events: what is pushed to the page.
    """

    def __init__(self, describe: Callable[[], Json]) -> None:
        self._describe = describe
        self._records: deque[Json] = deque(maxlen=KEPT_RECORDS)
        self.events = Events()
        self.routes: list[BaseRoute] = [
            Route("/", _show_page, methods=["GET"]),
            Mount("/page", StaticFiles(directory=PAGE)),
            Route("/catalogue", self._show_catalogue, methods=["GET"]),
            Route("/events", self._stream_events, methods=["GET"]),
            Route("/audit", self._list_records, methods=["GET"]),
            Route("/send", self._send, methods=["POST"]),
            Route("/find", self._find, methods=["POST"]),
        ]

    def take_record(self, record: Json) -> None:
        """Keep an audit *record* and push it."""
        self._records.append(record)
        self.events.publish("audit", lambda: record)

    async def _show_catalogue(self, _: Request) -> Response:
        from infra.local.console.sending import senders  # noqa: PLC0415  (see _send)

        description = self._describe()
        accounts = [
            {"name": name} | {member: account[member] for member in ACCOUNT_MEMBERS if member in account}
            for name, account in description["accounts"].items()
        ]
        shown = {member: description[member] for member in ("functionUrl", "customers", "orders", "subscriptions")}
        return JSONResponse(
            shown | {"accounts": accounts, "senders": senders(description), "scenarios": list(SCENARIOS)}
        )

    async def _stream_events(self, _: Request) -> Response:
        return StreamingResponse(self.events.stream(), media_type="text/event-stream")

    async def _list_records(self, _: Request) -> Response:
        return JSONResponse(list(self._records))

    async def _send(self, request: Request) -> Response:
        # The template engines take 0.2 s to load. Tests and demos start many local clouds that send nothing.
        from infra.local.console.sending import Sending, send_as  # noqa: PLC0415
        from infra.local.senders.requests import CannotSend  # noqa: PLC0415

        sending = Sending.model_validate_json(await request.body())
        try:
            return JSONResponse(await send_as(sending, self._describe()))
        except CannotSend as error:
            return JSONResponse(reason("body", str(error)), HTTPStatus.BAD_REQUEST)
        except httpx.HTTPError as error:
            return JSONResponse({"error": f"the flow got no token from Entra ID: {error}"}, HTTPStatus.BAD_GATEWAY)

    async def _find(self, request: Request) -> Response:
        from infra.local.console.sending import Look, look_for  # noqa: PLC0415  (see _send)
        from infra.local.senders.requests import CannotSend  # noqa: PLC0415

        look = Look.model_validate_json(await request.body())
        try:
            answer = await look_for(look, self._describe())
        except CannotSend as error:
            return JSONResponse(reason("account", str(error)), HTTPStatus.BAD_REQUEST)
        except httpx.HTTPError as error:
            return JSONResponse({"error": f"the function gave no answer: {error}"}, HTTPStatus.BAD_GATEWAY)
        return JSONResponse({"status": answer.status_code, "body": answer.text})


async def _show_page(_: Request) -> Response:
    return FileResponse(PAGE / "index.html")
