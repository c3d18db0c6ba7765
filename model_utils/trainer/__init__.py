"""The trainer: knows steps, checkpoints, schedules and logs, and nothing of speech.

loop.py          epochs and steps, top to bottom
checkpoint.py    sets of files that are whole or absent
optimisation.py  optimizer and learning-rate schedule
runlog.py        console lines, VisualDL, JSON lines
task.py          what a task hands to the trainer
"""
