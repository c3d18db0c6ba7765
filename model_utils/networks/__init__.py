"""Networks: shapes in, shapes out, nothing else.

conv.py         strided convolutions over (frequency, time) and batch statistics of valid frames
rnn.py          recurrent layers with normalisation between them, lookahead convolution
deepspeech2.py  the whole: features -> logits
unet.py         a U-Net for each stem: magnitudes of a mixture -> masks
"""
