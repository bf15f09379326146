"""The page about one separated song.

report.py        from a result to its page, for the command line, Python and the web
page.py          the page: players in sync, pictures, levels, hints, how it was made
hints.py         what looks unusual in the stems, without reference stems
second_look.py   where two runs over the same excerpts differ
"""
