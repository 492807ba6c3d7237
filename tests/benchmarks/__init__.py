"""What the function costs, measured side by side with what it replaces: `python -m tests.benchmarks`."""
