"""The orders that every local cloud has, and their customers."""

SOFTWARE_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"
AZURE_CUSTOMER = "b0d70a69-4c42-4b27-b17b-91a835d8686a"
MARKETPLACE_CUSTOMER = "28045616-f6b9-462f-9701-0d89b5e65c44"
LICENCE_CUSTOMER = "f81d98dd-c2f4-499e-a194-5619e260344e"
STRANGER = "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04"  # has no relationship with the partner


def built_in(name: str) -> str:
    """Return the id of the built-in order *name*, padded to the length of real ids."""
    return f"{name}-".ljust(32, "0") + "1"
