# Commits rows to an SQLite database from two processes with two connections each, and prints the number of each row whose commit
# has returned. First it checks what is there: the database by SQLite's own check, and each row by its number.
#
# usage: sqlite_worker.py DATABASE JOURNAL-MODE WRITERS|0
import hashlib
import os
import random
import sqlite3
import sys

path, mode, writers = sys.argv[1], sys.argv[2], int(sys.argv[3])


def say(text):
    os.write(1, (text + "\n").encode())


def content(writer, number):
    digest = hashlib.sha256(b"%d %d" % (writer, number)).digest()
    length = (digest[0] * 997 + digest[1]) % 90000 if number % 3 == 0 else digest[0] * 8
    return digest * (length // 32 + 1)


def connect():
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.execute("pragma synchronous = full")
    database.execute("pragma cache_size = 50")
    return database


def check(database):
    (verdict,) = database.execute("pragma integrity_check").fetchone()
    if verdict != "ok":
        sys.exit("integrity_check: " + verdict)
    for writer in range(2):
        expected = 1
        for number, data in database.execute("select number, data from rows where writer = ? order by number", (writer,)):
            if number != expected:
                sys.exit("row %d of writer %d is missing" % (expected, writer))
            if data != content(writer, number):
                sys.exit("row %d of writer %d has wrong data" % (number, writer))
            expected += 1
        say("found %d %d" % (writer, expected - 1))


def work(writer):
    database, other = connect(), connect()
    (number,) = database.execute("select coalesce(max(number), 0) from rows where writer = ?", (writer,)).fetchone()
    while True:
        database.execute("begin immediate")
        for _ in range(random.randint(1, 3)):
            number += 1
            database.execute("insert into rows values (?, ?, ?)", (writer, number, content(writer, number)))
        database.execute("commit")
        say("acknowledged %d %d" % (writer, number))
        # Another connection of the process sees it at once.
        if other.execute("select max(number) from rows where writer = ?", (writer,)).fetchone() != (number,):
            sys.exit("another connection does not see row %d" % number)


database = connect()
if database.execute("pragma journal_mode = " + mode).fetchone()[0] != mode:
    sys.exit("the journal mode is not " + mode)
database.execute("create table if not exists rows (writer int, number int, data blob, primary key (writer, number))")
check(database)
say("checked")
database.close()
for writer in range(1, writers):
    if os.fork() == 0:
        work(writer)
if writers > 0:
    work(0)
