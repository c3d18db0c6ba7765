"""Batches to checkpoints to log-probabilities: the home of Paddle.

options.py    composes the settings of a command; importable without Paddle
settings.py   the settings of network, optimisation and run
runtime.py    what the process must set before Paddle is imported; the convolution engine
networks/     shapes in, shapes out
losses.py     CTC, guarded
tasks/        data + network + loss + score for one job
trainer/      the loop and what it stands on
"""
