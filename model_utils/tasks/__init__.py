"""Jobs for the one trainer: data + network + loss + score.

recognition.py  speech to text with DeepSpeech2 and CTC
"""
