"""Writes soft.txt: ln Phi(t) and the LLR of a soft bit, by scipy.special.log_ndtr.

Run: python3 soft.py > soft.txt
"""
import numpy as np
from scipy.special import log_ndtr

print("# rho y t lncdf llr; scipy.special.log_ndtr; python3 soft.py > soft.txt")
for kdr in (0.001, 0.04, 0.081, 0.2, 0.45, 0.4999):
    rho = np.cos(np.pi * kdr)
    for y in (-40, -6, -3.3, -2, -1, -0.5, -0.1, -1e-6, 0, 1e-6, 0.03, 0.2, 0.7, 1.5, 2.5, 4, 9, 30):
        t = rho * y / np.sqrt(1 - rho**2)
        print(f"{rho:.17g} {y:.17g} {t:.17g} {log_ndtr(t):.17g} {log_ndtr(-t) - log_ndtr(t):.17g}")
