"""Beats, bars, chords and keys of songs, best found in their separated stems; needs only numpy.

    analysis.py   analyse, find_beats: from stems to what musicians count by
    features.py   hear: how loud each band and each semitone of a stem is, over time
    onsets.py     how much begins at each moment
    tempo.py      the tempo, and how it drifts
    beats.py      the beats
    bars.py       which of them begin bars
    chroma.py     pitch classes over time
    chords.py     chords, beat by beat
    keys.py       pitch classes of a whole song, and its key
    facts.py      tempo and key, where they are clear

>>> from unbraid.music.analysis import analyse
>>> import numpy as np
>>> analyse({"drums": np.zeros((2, 44100), np.float32)}, 44100).beats is None
True
"""
