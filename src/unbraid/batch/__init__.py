"""Many songs, many workers, many machines: every song is separated once, even after failures.

    jobs -> claims -> worker -> journal

A worker claims a song (`claims.py`), separates it, and writes one line about it to the journal
(`journal.py`). All state lies in the output folder, so any number of processes on any number of
machines that share it work together without a server.
"""
