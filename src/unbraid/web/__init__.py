"""The web app and HTTP API of `unbraid serve`.

serve.py       sockets and uvicorn            app.py        the routes
security.py    who may send requests          upload.py     a song from the network to the disk
jobs.py        the queue and its states       choices.py    what a client may choose
workers.py     starts and watches workers     worker.py     separates;  reader.py: decodes a file
storage.py     where files are                events.py     events for pages
pcm.py, peaks.py, mix.py, archive.py          what the mixer plays, draws and downloads

File names on disk are generated here; no name from a client is ever part of a path.
"""
