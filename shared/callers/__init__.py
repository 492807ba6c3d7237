"""Callers: the caller of a request, its proof, and its permissions."""
