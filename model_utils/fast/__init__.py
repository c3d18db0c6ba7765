"""The fast engine on CPU: what Paddle's operations compute, with its parameters, in less time.

PyLayers on NumPy arrays that share the memory of Paddle's tensors, in float32. The plain engine,
and with it every GPU, has Paddle's own operations instead.

gru.py              a GRU layer
batch_norm.py       batch norm of convolutions
layer_norm.py       layer norm of frames
linear.py           the output layer
ctc.py              CTC
adamw.py            AdamW
images.py           frames to the images that convolutions see, and back
mkl.py              products, one factor laid out in advance, and tanh, by Paddle's MKL
memory.py           the memory of a tensor
"""
