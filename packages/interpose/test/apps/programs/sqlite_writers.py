"""Four processes write to one database at the same time, and one of them is killed in a transaction.
Arguments: the file, its journal mode. Prints what the database holds then."""
import multiprocessing
import os
import signal
import sqlite3
import sys

path, mode = sys.argv[1:]


def connect():
    connection = sqlite3.connect(path, timeout=60)
    connection.execute("pragma synchronous=full")
    return connection


def write(number):
    connection = connect()
    for row in range(30):
        with connection:
            connection.execute(
                "insert into rows values(?, ?, ?)", (number, row, bytes([number]) * (2000 + 700 * row))
            )
    connection.close()


def die():
    connection = connect()
    connection.execute("begin immediate")
    connection.execute("insert into rows values(9, 9, ?)", (bytes(500_000),))
    os.kill(os.getpid(), signal.SIGKILL)


def run(target, *arguments):
    process = multiprocessing.Process(target=target, args=arguments)
    process.start()
    return process


connection = connect()
print(connection.execute(f"pragma journal_mode={mode}").fetchone()[0])
connection.execute("create table rows(number int, row int, data blob)")
connection.commit()
connection.close()
writers = [run(write, number) for number in range(1, 5)]
for writer in writers:
    writer.join()
print([writer.exitcode for writer in writers])
dying = run(die)
dying.join()
print(dying.exitcode)
connection = connect()
for number in range(1, 5):
    rows = connection.execute("select row, data from rows where number=? order by row", (number,)).fetchall()
    assert [row for row, _ in rows] == list(range(30))
    assert all(data == bytes([number]) * (2000 + 700 * row) for row, data in rows)
print(connection.execute("select count(*), sum(length(data)) from rows").fetchone())
with connection:
    connection.execute("delete from rows where row % 2")
connection.execute("vacuum")
print(connection.execute("select count(*), sum(length(data)) from rows").fetchone())
print(connection.execute("pragma integrity_check").fetchone()[0])
connection.close()
