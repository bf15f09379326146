"""Pages about what came out: of one separated song, of an evaluation. Each is one HTML file.

track.py       a song: players in sync, pictures, levels, hints, how it was made
scores.py      an evaluation: tables with intervals, boxes, worst excerpts, published results
page.py        what pages share: the frame, and figures that come from the data of the page
charts.py      boxes and intervals as SVG;  previews.py: sound inside a page
"""
