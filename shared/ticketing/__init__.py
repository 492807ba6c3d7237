"""The ticketing systems that notes are written to: reading the notes of a ticket, and writing one."""
