"""One song, from its file to the files of its stems: names, passes, gain, records.

The passes, in the order a song takes them (`track.py` lays them out):

    intake.py    decode once into a spool; length, peak, loudness; refuse what is not sound
    flow.py      spool -> model rate -> model -> output rate -> spool of stems
    gain.py      one gain for all stems
    encode.py    stems and what closes their sum, in the samples that are written
    records.py   what was written, so that it may be replaced or skipped later
"""
