"""Measures the function beside the clients that it replaces: `python -m tests.benchmarks`."""
