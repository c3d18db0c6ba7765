"""Recordings to text: features, engine, decoder, for eval.py, infer.py and servers alike.

predictor.py   Predictor: one recording or many to text
engines.py     what computes log-probabilities: Paddle
loading.py     from the options of a command to a predictor
evaluation.py  scores a model on manifests: the logic of eval.py
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
