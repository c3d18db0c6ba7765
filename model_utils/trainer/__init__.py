"""The trainer: knows steps, checkpoints, schedules and logs, and nothing of speech.

loop.py              epochs and steps, top to bottom
task.py              what a task hands to the trainer

updating.py          one step: from a batch to new weights
optimisation.py      the optimizer, and its state by names
gradients.py         one gradient of all parts and processes
precision.py         16 bits on a GPU, and the factor that they need
averaging.py         the running average of the weights
schedules.py         the learning rate as a function of the place in a run

progress.py          where a run is, and how its scores went
keeping.py           the checkpoints of one run
checkpoint.py        sets of files that are whole or absent
checkpoint_means.py  the mean of finished checkpoints

runlog.py            console lines, VisualDL, JSON lines
health.py            signs that a run goes nowhere
interruption.py      being asked to stop
watchdog.py          a process that is stuck
dry_run.py           the heaviest batch before training
range_test.py        which learning rates train
"""
