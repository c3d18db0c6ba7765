"""Songs and their stems: what a separation network is trained on, and what becomes of its output.

songs.py     the recordings of songs; the manifest that lists them
dataset.py   parts of songs -> magnitudes -> padded batches
stems.py     the network's magnitudes -> masks -> the spectra of the stems
settings.py  the settings of these
"""
