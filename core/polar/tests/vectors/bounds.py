"""Reference values for the finite-length bounds, by exact integer arithmetic (fractions) and scipy quadrature.

python3 tests/vectors/bounds.py prints the table in tests/bounds.rs.
"""
from fractions import Fraction
from math import comb, log2, pi, cos, sqrt
import numpy as np
from scipy import integrate, stats
from scipy.special import log_ndtr, ndtr


def lg(x):  # log2 of a positive Fraction without overflow
    a, b = x.numerator, x.denominator
    sa, sb = max(a.bit_length() - 60, 0), max(b.bit_length() - 60, 0)
    return log2(a >> sa) + sa - log2(b >> sb) - sb


def meta_converse_rate(n, p, fer):
    p, fer = Fraction(p), Fraction(fer)
    reached, beta = Fraction(0), Fraction(0)
    for t in range(n + 1):
        mass = comb(n, t) * p**t * (1 - p) ** (n - t)
        if reached + mass >= 1 - fer:
            beta += comb(n, t) * (1 - fer - reached) / mass
            break
        reached += mass
        beta += comb(n, t)
    return (n - lg(beta)) / n


def rcu_fer(n, p, k):
    p, total, closer = Fraction(p), 0.0, 0
    for t in range(n + 1):
        closer += comb(n, t)
        mass = comb(n, t) * p**t * (1 - p) ** (n - t)
        total += float(mass * min(Fraction(1), Fraction((2**k - 1) * closer, 2**n)))
    return total


def gaussian(kdr):
    rho = cos(pi * kdr)
    slope = rho / sqrt(1 - rho * rho)

    def moment(m):
        def f(y):
            t = slope * y
            up, down = 1 + log_ndtr(t) / np.log(2), 1 + log_ndtr(-t) / np.log(2)
            return stats.norm.pdf(y) * (ndtr(t) * up**m + ndtr(-t) * down**m)
        return integrate.quad(f, -12, 12, limit=400, epsabs=1e-12)[0]

    c = moment(1)
    return c, moment(2) - c * c


for n, p, e in [(128, "0.11", "1e-3"), (500, "0.11", "1e-3"), (1024, "0.047", "0.02"),
                (1024, "0.058", "0.02"), (1024, "0.081", "0.02")]:
    print("meta", n, p, e, "%.12f" % meta_converse_rate(n, p, e))
for n, p, k in [(128, "0.11", 40), (256, "0.081", 120), (500, "0.11", 200), (1024, "0.081", 512)]:
    print("rcu", n, p, k, "%.12e" % rcu_fer(n, p, k))
for kdr in [0.047, 0.058, 0.081, 0.17]:
    print("gaussian", kdr, "%.10f %.10f" % gaussian(kdr))
