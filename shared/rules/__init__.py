"""Decisions without I/O: what an answer proves."""
