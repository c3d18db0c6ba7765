"""Batches to checkpoints to log-probabilities: the home of Paddle.

options.py      composes the settings of a command; importable without Paddle
settings.py     the settings of network, optimisation and run
recogniser.py   a recogniser as data: vocabulary, features, statistics, sizes
outputs.py      what it says of a batch, whatever computes it
recognition.py  what is recognised in a manifest, and counted
corpus.py       what it is trained on and scored with
enhancer.py     a speech enhancer as data: spectra, sizes
separator.py    a source separator as data: parts of songs
front_end.py    either of them as part of a recogniser
blocks.py       how a mask network hears what is long
description.py  what checkpoints say of these, read back
differences.py  what a run and the checkpoint that it starts from have not in common
pretrained.py   weights of another run, from which a new one starts
setup/          from options to a task that can be trained, a file for each
launch.py       one process for each device
distributed.py  what the processes of one training know of each other
training.py     from the options of train.py to a trained network
storing.py      the examples of a task, computed once and stored
notices.py      what train.py says of a run beside its log
engine_proof.py compares convolutions and GRU layers of the fast engine with the plain ones
runtime.py      what the process must set before Paddle is imported; the engine
networks/       shapes in, shapes out
fast/           layers and CTC as the fast engine computes them on CPU
losses.py       CTC, guarded, and its variants
head_losses.py  of the classes of utterances: cross-entropy, multi-margin, focal
mask_losses.py  errors of masks and magnitudes over valid frames
tasks/          data + network + loss + score for one job
trainer/        the loop and what it stands on
"""
