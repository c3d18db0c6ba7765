"""Jobs for the one trainer: data + network + loss + score.

batches.py      what all do alike: a dataset in batches, shared and loaded ahead
recognition.py  speech to text with DeepSpeech2 and CTC
enhancement.py  noise taken out of speech by masks
separation.py   songs taken apart by U-Nets
pictures.py     spectrograms for a score
"""
