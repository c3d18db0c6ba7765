"""From options to a task that can be trained, a file for each; what precedes Paddle's import.

job.py          what the trainer is given, and which task's file makes it
recognition.py  the recogniser's corpus, its vocabulary and statistics, weights of another run
enhancement.py  lists of speech and noise, spectra
separation.py   songs and their parts
"""
