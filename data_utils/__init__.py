"""Recordings and text to batches of NumPy arrays. Never imports Paddle.

audio.py       read a file or a part of it -> Audio(samples [n] float32, rate); loudness
features.py    samples -> power spectrum -> features [frames, bins]: linear, mfcc or fbank
mel.py         the bands of fbank
stft.py        wave <-> spectrum
normalizer.py  mean and std of the features: accumulate, merge, save, apply
text.py        normalise a transcript; Vocabulary
manifest.py    Utterance; read and write manifests, memory-bounded
classes.py     the classes of utterances, from a field of their manifest
preparation/   annotations and recordings -> manifests, vocabulary, statistics
augmentation/  pipeline.py and one file per effect
excerpts.py    recordings of a list, whole or in part
mixing.py      speech and noise at an exact signal-to-noise ratio
masks.py       ideal masks of clean speech and noise
enhancement/   lists of speech and noise -> noisy spectra and their masks
separation/    songs and their stems: parts of songs in batches; masks -> stems
sampling.py    which utterances share a batch, and in which order batches come
examples.py    the examples of a batch; what cannot be read is named
dataset.py     Utterance -> example -> padded batch
cache.py       decoded recordings, kept in memory
hearing.py     what a mask network hears of a recording
masked_speech.py  Utterance -> example for a recogniser behind a mask network
store.py       computed examples on disk: process_data writes them, fast_train reads them
shards.py      the files of a store
fingerprint.py what a store was made with, and what has changed since
loader.py      worker processes; the same batches for any number of them
sentences.py   the sentences of a generated corpus
synthesis.py   text -> generated speech
shared.py      arrays that worker processes have together
workers.py     worker processes that leave nothing behind
atomic.py      files that are whole or absent
errors.py      InputError: what a user can mend
settings.py    the settings of all of these, and `option`, which declares one
"""
