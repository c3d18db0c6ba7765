"""The trainer: knows steps, checkpoints, schedules and logs, and nothing of speech.

loop.py          epochs and steps, top to bottom
checkpoint.py    sets of files that are whole or absent
optimisation.py  the optimizer, and its state by names
schedules.py     the learning rate as a function of the place in a run
progress.py      where a run is, and how its scores went
runlog.py        console lines, VisualDL, JSON lines
task.py          what a task hands to the trainer
"""
