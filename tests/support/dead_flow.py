"""A connection whose packets are dropped, as by a middlebox that has forgotten it. Linux only."""

import ctypes
import socket
import struct

SO_ATTACH_FILTER, BPF_RET = 26, 0x06


def drop_packets(connection: socket.socket) -> None:
    """Drop every packet that arrives on *connection* from now on, so that nothing is acknowledged either."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RET, 0, 0, 0))  # a program that keeps 0 bytes
    program = struct.pack("HP", 1, ctypes.addressof(drop_all))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
