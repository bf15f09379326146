"""Suffixes that sound files commonly have."""

from __future__ import annotations

_SUFFIXES = (
    "3g2 3gp 8svx aac ac3 aif aifc aiff alac amr ape asf au avi caf dff dsf dts dtshd dv eac3 "
    "f4v flac flv gsm gxf m2ts m4a m4b m4r m4v mka mkv mlp mov mp1 mp2 mp3 mp4 mpc mpeg mpg "
    "mts mxf nut oga ogg ogv oma opus ra ram rf64 rm rmvb snd spx tak thd ts tta voc vob w64 "
    "wav wave webm wma wmv wv"
)
EXTENSIONS = frozenset(_SUFFIXES.split())
"""Suffixes that make a file in a folder a song. A file that is named is always tried."""
