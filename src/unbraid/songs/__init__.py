"""Datasets of synthetic songs: composed from a seed, or remixed from others' stems.

    notes.py  Note, and frequencies of pitches
    compose.py  chords, bass lines, tunes, drum patterns; MIDI files
    synth.py  what plays notes: samples, drum machines, a synthesizer
    soundfont.py  what fluidsynth plays
    effects.py  what a mixer does to a stem
    voices.py  phrases, spoken and sung
    ingredients.py  the folder that all of it is taken from
    song.py  one song from its seed
    multitracks.py  recorded songs among the ingredients
    dataset.py  a dataset of many songs
    automix.py  stems of different songs, brought to one tempo and key
    dataset_writer.py  tracks written whole or not at all, by many processes

Only the command line imports this package; it needs `unbraid[songs]`.

Sound in here is float32 (samples, channels), at 44.1 kHz: time runs down the rows, as in files.
"""
