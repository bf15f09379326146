"""What all HTML pages share. A page is one file that opens anywhere, also offline.

page.py        `Page`: the frame, the template, and figures looked up in the page's own data
charts.py      boxes, intervals, curves and level strips as SVG
previews.py    sound inside a page
pictures.py    outlines and spectrograms as PNG;  soundprint.py: their values for a sound file

A page is in the folder of its subject: `song_page`, `data/page.py`, `training/page.py`,
`evaluation/page.py`, `listening/page.py`, each with a folder `templates/`.
"""
