"""Log-probabilities to text.

greedy.py   the most probable class of every frame, repeats and blanks removed
"""
