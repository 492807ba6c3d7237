"""Tells tickets how their requests ended: the queue of follow-ups, and the notes."""
