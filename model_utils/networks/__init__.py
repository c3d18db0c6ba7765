"""Networks: shapes in, shapes out, nothing else.

conv.py           strided convolutions over (frequency, time)
batch_norm.py     batch statistics of valid frames alone
dropout.py        dropout, on CPU drawn by NumPy
rnn.py            recurrent layers with normalisation between them, lookahead convolution
deepspeech2.py    the whole: features -> logits
head.py           one class for each utterance
front_end.py      a mask network in front of the whole: power and magnitudes -> logits
power_features.py power -> normalised features, with gradients
r_transformer.py  magnitudes -> masks: R-Transformers, and an LSTM to compare with
sizes.py          of the convolutions, and of what they leave; importable without Paddle
settings.py       sizes of mask networks; importable without Paddle
unet.py           a U-Net for each stem: magnitudes of a mixture -> masks
"""
