"""A socket server as people write them: collects what recv gives it, joins it, slices the header off, and forwards both.

Prints `port N` when it listens and one line of JSON about itself when its client has gone. Knows nothing of zIO.
"""
import json
import resource
import socket
import sys
import time

HEADER = 64


def option(name):
    return int(sys.argv[sys.argv.index(name) + 1])


def usage():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "userNs": round(now.ru_utime * 1e9),
        "systemNs": round(now.ru_stime * 1e9),
        "wallNs": time.monotonic_ns(),
        "minorFaults": now.ru_minflt,
        "majorFaults": now.ru_majflt,
        "voluntarySwitches": now.ru_nvcsw,
        "involuntarySwitches": now.ru_nivcsw,
    }


def receive(connection, length):
    chunks = []
    while length:
        chunk = connection.recv(length)
        if not chunk:
            return None
        chunks.append(chunk)
        length -= len(chunk)
    return b"".join(chunks)


def serve(connection, length, warmup):
    messages, began = 0, usage()
    while True:
        # As from a framing layer: two parts, put together and taken apart again.
        parts = [receive(connection, length // 2), receive(connection, length - length // 2)]
        if None in parts:
            return messages, began
        message = b"".join(parts)
        header, body = message[:HEADER], message[HEADER:]
        connection.sendall(header)
        connection.sendall(body)
        messages += 1
        if messages == warmup:
            began = usage()


def main():
    length, warmup = option("--message"), option("--warmup")
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    messages, began = serve(connection, length, warmup)
    spent = {name: value - began[name] for name, value in usage().items()}
    accounted = messages - warmup
    report = {"version": 1, "messages": accounted, "warmupMessages": warmup, "bytes": accounted * length}
    report.update(spent, cpuNs=spent["userNs"] + spent["systemNs"], truncatedMessages=0)
    print(json.dumps(report))


main()
