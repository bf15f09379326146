"""Listening tests: people rate stems without knowing which system made them.

study.py       what a study is, and its folder: private key, public page
loudness.py    integrated loudness, to match it
stimuli.py     excerpts of all systems, loudness-matched, under anonymous names
playlists.py   who hears what, in which order
build.py       a study folder from systems
store.py       ratings in SQLite;  server.py: the page and its ratings over HTTP
ratings.py     ratings from the database and from exported files, unblinded
statistics.py  intervals, agreement, paired tests;  analysis.py: what a study says
results.py     the analysis as HTML and CSV;  simulate.py: raters with known preferences
"""
