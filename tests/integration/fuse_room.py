#!/usr/bin/python3
"""A file whose file system is the user's own and answers no more: fuse_room.py FOLDER SOCKET, as root. Mounts it at FOLDER,
sends an open descriptor of the one file in it to SOCKET, and from then on leaves everything that is asked of the file
unanswered but its close. Ends with its standard input."""
import os
import select
import socket
import struct
import subprocess
import sys
import threading

LOOKUP, GETATTR, OPEN, RELEASE, FLUSH, INIT = 1, 3, 14, 18, 25, 26
ENTRY, ATTR = "<QQQQII", "<QQQQQQIIIIIIIIII"


def attributes(inode, mode):
    return struct.pack(ATTR, inode, 10, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 512, 0)


def answer(opcode, node, serving):
    """None: never."""
    if opcode == INIT:
        return struct.pack("<IIIIHHIIHH32x", 7, 31, 65536, 0, 16, 12, 65536, 1, 1, 0)
    if opcode == LOOKUP:
        return struct.pack(ENTRY, 2, 0, 0, 0, 0, 0) + attributes(2, 0o100644)
    if opcode == GETATTR and (node == 1 or serving):
        return struct.pack("<QII", 0, 0, 0) + attributes(node, 0o040755 if node == 1 else 0o100644)
    if opcode == OPEN:
        return struct.pack("<QII", 1, 0, 0)
    return b"" if opcode in (FLUSH, RELEASE) else None


def main(folder, address):
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    os.set_inheritable(device, True)
    subprocess.run(["mount", "-i", "-t", "fuse", "-o", f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other", "hostile",
                    folder], check=True, pass_fds=[device])
    serving = [True]

    def serve():
        try:
            while True:
                request = os.read(device, 1 << 20)
                _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
                reply = answer(opcode, node, serving[0])
                if reply is not None:
                    os.write(device, struct.pack("<IiQ", 16 + len(reply), 0, unique) + reply)
        finally:
            os._exit(1)  # the device closes, and whoever waits gets an error

    threading.Thread(target=serve, daemon=True).start()
    fd = os.open(f"{folder}/file", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(address)
        serving[0] = False
        socket.send_fds(there, [b"x"], [fd])
        os.close(fd)  # or else its own end would wait for its own answer
    select.select([sys.stdin], [], [])
    os._exit(0)


main(*sys.argv[1:])
