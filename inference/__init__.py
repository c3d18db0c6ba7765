"""What trained models are used for: recordings to text, to cleaner speech, to stems.

predictor.py   Predictor: one recording or many to text
engines.py     what computes log-probabilities: ONNX Runtime or Paddle
onnx_graph.py  a recogniser as an ONNX graph, from its sizes and weights
export.py      the folder of a graph and its JSON, which needs no Paddle
loading.py     from the options of a command to a predictor
evaluation.py  scores a recogniser on manifests: the logic of eval.py

front_end.py           a mask network in front of a recogniser
masking.py             masks on recordings of any length, block by block
enhancement.py         noisy speech to cleaner speech
separation.py          songs to stems
noisy_evaluation.py    scores an enhancer, for eval.py
song_evaluation.py     scores a separator, for eval.py

files.py       the recordings that a command was given
settings.py    options of eval.py and infer.py
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.predictor import Predictor, Transcript

__all__ = ["Predictor", "Transcript"]


def __getattr__(name: str) -> object:
    # Imported at first use: the options are read, and --help answered, without NumPy.
    if name in __all__:
        from inference import predictor

        return getattr(predictor, name)
    raise AttributeError(name)
