"""One song, from its file to the files of its stems: names, steps, gain, records.

The three steps, in the order a song takes them (`api.py` and `pipeline.py` lay them out):

    decode.py    Decoded: the file, decoded once into a spool; length, peak, loudness
    separate.py  Separated: spool -> model rate -> model -> output rate -> spool of stems
    write.py     TrackResult: one gain for all stems, the files, their names, the record
"""
