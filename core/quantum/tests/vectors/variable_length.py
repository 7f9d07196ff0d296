#!/usr/bin/env python3
"""Lengths of keys by the variable-length statement, with mpmath at 50 digits: independent of the Rust code.

    python3 variable_length.py > variable_length.json

Each case is a block's counts by intensity, its parameters, and what follows. The formulas are those of docs/quantum.md,
"Length of the key". Here the yields are solved as a linear system of photon numbers where the Rust code has closed forms, and the
bound on phase errors is a root found by bisection on the logarithm of the binomial tail's Chernoff bound written with the
relative entropy.
"""

import json

from mpmath import exp, factorial, floor, log, matrix, lu_solve, mp, mpf, sqrt

mp.dps = 50


def h(x):
    return mpf(0) if x <= 0 else -(x * log(x, 2) + (1 - x) * log(1 - x, 2))


def tau(n, mu, p):
    return sum(pk * exp(-mk) * mk**n / factorial(n) for mk, pk in zip(mu, p))


def scaled(counts, mu, p, tail):
    delta = sqrt(mpf(sum(counts)) / 2 * log(1 / tail))
    low = [exp(m) / q * (c - delta) for m, q, c in zip(mu, p, counts)]
    high = [exp(m) / q * (c + delta) for m, q, c in zip(mu, p, counts)]
    return low, high


def yields(counts, mu, p, tail):
    """Least numbers of empty and of single-photon pulses.

    With y_m = s_m/(m! tau_m) each scaled mean is sum_m mu_k^m y_m. Empty pulses: eliminate y_1 from the two weaker intensities.
    Single photons: eliminate y_2 from all three by the combination whose weights on y_0 and y_2 are given; what remains of
    higher orders has the sign that makes it a bound.
    """
    m1, m2, m3 = mu
    low, high = scaled(counts, mu, p, tail)
    # a*n3 - b*n2 with weight 1 on y_0 and 0 on y_1.
    weights = lu_solve(matrix([[1, -1], [m3, -m2]]), matrix([1, 0]))
    y0 = max(mpf(0), weights[0] * low[2] - weights[1] * high[1])
    # n2 - n3 - c*(n1 - y0) with weight 0 on y_2: c = (m2^2 - m3^2)/m1^2; y_1 then has this weight.
    c = (m2**2 - m3**2) / m1**2
    weight = (m2 - m3) - c * m1
    y1 = (low[1] - high[2] - c * (high[0] - y0)) / weight
    return tau(0, mu, p) * y0, max(mpf(0), tau(1, mu, p) * y1)


def most_errors_unseen(seen, share, tail):
    def relative_entropy(a, b):
        first = a * log(a / b) if a > 0 else mpf(0)
        return first + (1 - a) * log((1 - a) / (1 - b))

    def probability(all_errors):
        return exp(-all_errors * relative_entropy(seen / all_errors, share))

    low = seen / share + mpf(10) ** -30
    high = low + 1
    while probability(high) > tail:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) > tail else (low, middle)
    return high - seen


def lengths(case):
    mu = [mpf(x) for x in case["mean_photons"]]
    p = [mpf(x) for x in case["intensity_shares"]]
    basis, eps = mpf(case["key_basis_share"]), mpf(case["eps_sec"])
    eps_pa, eps_at = eps / 2, eps / 4
    assert 2 * eps_at + eps_pa == eps
    # Five tails of the yields in the key basis, two of the errors in the test basis, one of the assignment to bases.
    tail = eps_at**2 / (5 + 2 + 1)
    vacuum, single = yields(case["key_bits"], mu, p, tail)
    low, high = scaled(case["test_errors"], mu, p, tail)
    seen = max(mpf(0), tau(1, mu, p) * (high[1] - low[2]) / (mu[1] - mu[2]))
    test, key = (1 - basis) ** 2, basis**2
    phase = mpf(1) / 2
    if single > 0:
        phase = min(phase, most_errors_unseen(seen, test / (test + key), tail) / single)
    rest = single * (1 - h(phase)) - case["leak"] - 2 * log(1 / (2 * eps_pa), 2)
    length = [max(0, int(floor(rest))), max(0, int(floor(rest + vacuum)))]
    number = lambda x: float(mp.nstr(x, 17))
    return {"vacuum": number(vacuum), "single_photons": number(single), "phase_error_rate": number(phase), "length": length}


def expected(name, eta, pulses, basis, mu, p, y0, misalignment, eps, factor):
    """Counts of an undisturbed link, rounded, and a leak of `factor` times the Shannon limit."""
    eta, basis, y0, misalignment = mpf(eta), mpf(basis), mpf(y0), mpf(misalignment)
    some = [1 - exp(-eta * mpf(m)) for m in mu]
    gain = [1 - (1 - y0) * (1 - s) for s in some]
    error = [y0 / 2 + misalignment * s for s in some]
    count = lambda share, of: [int(pulses * share**2 * mpf(q) * x) for q, x in zip(p, of)]
    key_bits = count(basis, gain)
    q = sum(mpf(a) * b for a, b in zip(p, error)) / sum(mpf(a) * b for a, b in zip(p, gain))
    return {
        "name": name,
        "mean_photons": mu,
        "intensity_shares": p,
        "key_basis_share": float(basis),
        "eps_sec": eps,
        "key_bits": key_bits,
        "test_bits": count(1 - basis, gain),
        "test_errors": count(1 - basis, error),
        "leak": int(mpf(factor) * sum(key_bits) * h(q)),
    }


DESIGN = dict(pulses=10**10, basis=0.9, mu=["0.5", "0.1", "0.0002"], p=["0.7", "0.2", "0.1"], y0="6e-7", misalignment="0.01", factor="1.16")
DEFAULT = dict(basis=0.84, mu=["0.6", "0.3", "0.0002"], p=["0.4", "0.4", "0.2"], y0="2e-6", misalignment="0.01", factor="1.05")
CASES = [
    expected("design, eta 0.1", "0.1", eps="1e-9", **DESIGN),
    expected("design, eta 0.01", "0.01", eps="1e-9", **DESIGN),
    expected("design, eta 0.001", "0.001", eps="1e-9", **DESIGN),
    expected("default, 0 km", "0.25", 10**8, eps="1e-15", **DEFAULT),
    expected("default, 20 km", "0.0995267926", 10**8, eps="1e-15", **DEFAULT),
    expected("default, 50 km", "0.025", 10**8, eps="1e-15", **DEFAULT),
    expected("default, 20 km, 1e9 pulses", "0.0995267926", 10**9, eps="1e-15", **DEFAULT),
    expected("default, 20 km, eps 1e-9", "0.0995267926", 10**8, eps="1e-9", **DEFAULT),
    expected("dark counts, 20 km, 1e9 pulses", "0.0995267926", 10**9, eps="1e-12", **{**DEFAULT, "y0": "5e-4"}),
    expected("no key", "0.0025", 10**7, eps="1e-15", **DEFAULT),
    {
        "name": "no error seen",
        "mean_photons": ["1", "0.4", "0"],
        "intensity_shares": ["0.25", "0.5", "0.25"],
        "key_basis_share": 0.75,
        "eps_sec": "1e-12",
        "key_bits": [80_000, 90_000, 12],
        "test_bits": [9_000, 10_000, 1],
        "test_errors": [0, 0, 0],
        "leak": 0,
    },
]

if __name__ == "__main__":
    rows = []
    for case in CASES:
        row = {**case, **lengths(case)}
        for name in ("mean_photons", "intensity_shares"):
            row[name] = [float(x) for x in row[name]]
        row["eps_sec"] = float(row["eps_sec"])
        rows.append(json.dumps(row))
    print("[\n" + ",\n".join(rows) + "\n]")
