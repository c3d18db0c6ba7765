"""Pictures and pages made of what runs leave behind.

curves.py        loss, learning rate and error rate of training runs as a PNG
augmentation.py  what each effect of the augmentation does to a spectrogram
options.py       the tables of options in the pages
masks.py         what a mask is, in four spectrograms
schedules.py     the learning rate of every schedule over a run, as a PNG
runs.py          the training loss of several runs in one picture
data_check.py    what tools/check_data.py found, as text and as an HTML page
range_test.py    loss over learning rate, as a PNG
picture.py       where a picture may be put
"""
