"""What separating costs: time, memory and disk, measured, predicted and kept within limits.

model_cost.py  what a model takes for a second of audio, and a song from that
fit.py         settings that fit into the memory there is
tuning.py      device, threads and batch that are fastest on this machine
sizes.py       bytes: read from a text, shown, and counted for files
"""
