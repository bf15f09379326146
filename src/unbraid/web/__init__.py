"""The web app and HTTP API of `unbraid serve`.

serve.py       sockets and uvicorn            app.py        routes, and nothing else
security.py    who may ask, and from where    upload.py     a song from the wire to the disk
jobs.py        the queue and its states       choices.py    what a client may choose
workers.py     the processes that separate    worker.py     one of them;  reader.py: a file is read
storage.py     where files are                events.py     news for pages
pcm.py, peaks.py, mix.py, archive.py          what the mixer plays, draws and downloads

Names of files on disk are made here; no name from a client is ever part of a path.
"""
