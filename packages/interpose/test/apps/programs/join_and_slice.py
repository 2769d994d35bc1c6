# A socket server as people write them: receives a message in pieces, joins them, slices the whole, sends it on.
# The first line of a connection names how; then messages of MESSAGE bytes come, and each is answered with its second
# half, its first half and every 4096th byte. Ends when its standard input is closed.
import socket
import sys
import threading

MESSAGE = 512 * 1024


def pieces(connection):
    missing = MESSAGE
    while missing:
        piece = connection.recv(missing)
        if not piece:
            return
        missing -= len(piece)
        yield piece


def joined(connection):
    return b"".join(pieces(connection))


def concatenated(connection):
    whole = b""
    for piece in pieces(connection):
        whole += piece
    return whole


def extended(connection):
    whole = bytearray()
    for piece in pieces(connection):
        whole.extend(piece)
    return bytes(whole) if whole else b""


def received_into(connection):
    buffer = bytearray(MESSAGE)
    view = memoryview(buffer)
    filled = 0
    while filled < MESSAGE:
        count = connection.recv_into(view[filled:])
        if not count:
            return b""
        filled += count
    return bytes(buffer)


def read_from_file(connection):
    return connection.makefile("rb", buffering=0).read(0) + joined(connection)


WAYS = {
    "join": joined,
    "concatenate": concatenated,
    "extend": extended,
    "into": received_into,
    "file": read_from_file,
}


def first_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            return ""
        line += byte
    return line.decode().strip()


def serve(connection):
    with connection:
        receive = WAYS.get(first_line(connection))
        if receive is None:
            return
        while True:
            message = receive(connection)
            if len(message) < MESSAGE:
                return
            half = MESSAGE // 2
            connection.sendall(message[half:] + message[:half])
            connection.sendall(message[::4096])


listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1], flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
