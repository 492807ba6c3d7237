"""Decisions without I/O: by which call a line goes, what must not be sent, what an answer proves, what is likely."""
