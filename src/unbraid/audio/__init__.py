"""Sound on disk and in memory; knows nothing of models.

    files.py      probe, read, read_blocks: any sound file, sample for sample as FFmpeg decodes it
    write.py      AudioFormat, AudioWriter: wav, flac, mp3, m4a, ogg, opus
    tags.py       read_tags: text tags and cover, to be carried over
    resample.py   StreamResampler, resample: sample rates
    levels.py     peak, clip, quantize: levels, and the step to integer samples
    channels.py   channel_groups: which channels belong together

Signals are float32 arrays, (channels, samples), full scale at ±1.
"""
