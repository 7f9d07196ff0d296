#!/usr/bin/env python3
"""Vectors for PolyHash64, by plain shift-and-add arithmetic.  python3 poly_hash.py > poly_hash.txt"""
import random

MODULUS = (1 << 64) | 0b11011


def multiply(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
    for degree in range(product.bit_length() - 1, 63, -1):
        if product >> degree & 1:
            product ^= MODULUS << (degree - 64)
    return product


def power(a, n):
    result = 1
    for _ in range(n):
        result = multiply(result, a)
    return result


def tag(key, bits):
    words = [int(bits[i:i + 64][::-1], 2) for i in range(0, len(bits), 64)]
    terms = words + [len(bits)]
    total = 0
    for i, word in enumerate(terms):
        total ^= multiply(word, power(key, len(terms) - i))
    return total


random.seed(20)
print("# key, message as bits in order, tag; made by poly_hash.py")
for length in [0, 1, 2, 63, 64, 65, 127, 128, 129, 200, 384, 1000]:
    for key in [random.getrandbits(64), random.getrandbits(64) | 1 << 63]:
        message = "".join(random.choice("01") for _ in range(length))
        print(f'{key:016x} "{message}" {tag(key, message):016x}')
