"""Random changes of training utterances, so that the network hears more than was recorded.

pipeline.py    reads conf/augmentation.json; applies the effects to one utterance, reproducibly
effect.py      what every effect is: a probability, a draw, an application
recorded.py    what effects share that draw from recordings
sounds.py      the noises or impulse responses of a list, read when drawn
noise.py       adds a noise recording at an exact signal-to-noise ratio
speed.py       faster and higher, or slower and lower
shift.py       earlier or later
volume.py      louder or softer
trim.py        shorter pauses before and after the speech
resample.py    loses the bandwidth above half a lower sample rate
impulse.py     the echo of a room
specaug.py     time warp, frequency masks and time masks, on features
"""

from data_utils.augmentation.pipeline import AugmentationPipeline, utterance_rng

__all__ = ["AugmentationPipeline", "utterance_rng"]
