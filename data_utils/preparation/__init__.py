"""Before training: annotations and recordings to manifests, vocabulary and statistics.

annotation.py  annotation files, as users write them
recordings.py  what annotations name: where it is, whether it can be used
splitting.py   recordings divided between training, dev and test
manifests.py   all of it: annotation files -> manifests
vocabulary.py  the characters of manifests, counted into a vocabulary
statistics.py  mean and std of a manifest's features, by all cores
"""
