"""Noisy speech for mask networks.

settings.py   lists, ratios and spectra as users name them; importable without NumPy
lists.py      lists of recordings: where each is and how long
dataset.py    clean speech and noise -> spectra, masks and padded batches
"""
