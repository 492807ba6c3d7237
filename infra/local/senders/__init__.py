"""The ticketing systems and flows that send requests to the function."""
