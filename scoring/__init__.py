"""References and hypotheses to errors and rates.

accuracy.py        what was recognised as its class
error_rate.py      character and word errors, their sums and rates
separation.py      SDR, SIR, SAR and ISR of stems
speech_quality.py  SI-SDR, STOI and PESQ of cleaned speech
"""
