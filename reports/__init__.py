"""Pictures and pages made of what runs leave behind.

curves.py        loss, learning rate and error rate of training runs as a PNG
augmentation.py  what each effect of the augmentation does to a spectrogram
"""
