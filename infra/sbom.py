"""The list of the packages in the built folder (SBOM), which scanners read: CycloneDX 1.6, in JSON.

It needs nothing but Python, as infra/package.py does. The same wheels give the same bytes: the time and the serial
number are optional in CycloneDX, and left out.

Source: cyclonedx.org/docs/1.6/json, github.com/package-url/purl-spec (type pypi), packaging.python.org core metadata
(read 2026-11-30).
"""

import json
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from infra.audit import canonical


def bill_of_materials(packages: Path, hashes: dict[str, str], version: str) -> str:
    """Return the list of the packages that are unpacked in the folder *packages*.

    *hashes* has the SHA-256 of each package's wheel, by the package's name. *version* is the function's own.
    Raises KeyError if a package came from no wheel in *hashes*.
    """
    components = [_component(package, hashes) for package in distributions(path=[str(packages)])]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "cancel-order", "version": version}},
        "components": sorted(components, key=lambda component: component["purl"]),
    }
    return json.dumps(document, indent=2) + "\n"


def _component(package: Distribution, hashes: dict[str, str]) -> dict[str, Any]:
    purl = f"pkg:pypi/{canonical(package.name)}@{package.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": hashes[package.name]}],
        "licenses": _licences(package),
    }


def _licences(package: Distribution) -> list[dict[str, Any]]:
    """Return the licence as the package declares it.

    A `License` of several lines is the licence's text, and is left out.
    """
    if expression := package.metadata.get("License-Expression"):
        return [{"expression": expression}]
    text = package.metadata.get("License", "")
    classifiers = package.metadata.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    return [{"license": {"name": name}} for name in ([text] if text and "\n" not in text else names)]
