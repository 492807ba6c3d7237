"""The stand-in against what Azurite, Microsoft's emulator, was seen to do.

tests/samples/azurite.json is the record. `make witness` runs Azurite itself, and compares all three; a new observation
needs `make witness ARGS=--record`.
"""

import json
from pathlib import Path

import pytest

from tests.support.storage_queue import serving_storage_queue
from tests.support.witness.azurite import KNOWN_DIFFERENCES, RECORDED, compare, observe
from tests.support.witness.queue_observations import Seen

AZURITE: Seen = json.loads(RECORDED.read_text())


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The observations of the stand-in, with the clients that the record was made with."""
    directory: Path = tmp_path_factory.mktemp("compared")
    with serving_storage_queue(directory) as service:
        return observe(service)


@pytest.mark.parametrize("name", [name for name in AZURITE if name not in KNOWN_DIFFERENCES])
def test_the_stand_in_does_what_azurite_does(stand_in: Seen, name: str) -> None:
    assert stand_in[name] == AZURITE[name]


@pytest.mark.parametrize("name", KNOWN_DIFFERENCES)
def test_a_difference_has_its_reason(stand_in: Seen, name: str) -> None:
    reason, expected = KNOWN_DIFFERENCES[name]

    assert reason
    assert stand_in[name] == expected
    assert AZURITE[name] != expected, "there is no difference any more"


def test_each_observation_is_in_the_record(stand_in: Seen) -> None:
    assert list(stand_in) == list(AZURITE), "run `make witness ARGS=--record`"


def test_a_difference_is_found() -> None:
    """The comparison itself, which `make witness` ends with."""
    as_known = AZURITE | {name: value for name, (_, value) in KNOWN_DIFFERENCES.items()}

    assert compare(AZURITE, as_known) == []
    assert compare(AZURITE, as_known | {"sdk: delete": "404"}) == [
        "sdk: delete: expected done, the stand-in: 404",
    ]
    assert compare(AZURITE, {name: as_known[name] for name in as_known if name != "sdk: get"}) == [
        "sdk: get: expected [['one', 1]], the stand-in: None",
    ]
    assert compare(as_known, as_known) == [f"{name}: no difference" for name in KNOWN_DIFFERENCES]
