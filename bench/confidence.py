# SPDX-License-Identifier: BSD-2-Clause
"""The statistics of comparing two runs by a few noisy samples each: medians, an exact interval, a permutation test over all results
at once. Knows nothing of what the numbers mean; bench/compare.py decides what is worth saying.

The test: under the hypothesis that both runs drew a result's samples from the same source, which run a sample came from is a label
that could as well have been dealt otherwise. The statistic is the part of the samples' variance that the labels explain. Results of
one run are not independent (a slow moment meets them all), and with 7 samples each the least possible p of one result, 2 in 3,432,
is no longer small after Holm's correction over a hundred results. So labels are dealt anew for all results together, and each
result is held against the greatest statistic of all those not yet found different, in falling order (Westfall and Young,
Resampling-Based Multiple Testing, 1993, step-down maxT). This keeps the chance of any false finding below alpha, takes the results'
dependence as it is, and loses little by their number. All deals are tried where there are few; else a fixed random choice."""
import itertools
import math
import random
import statistics

ALPHA = 0.05
# More deals than this are sampled. 7 and 7 samples have 3,432.
DEALS_MAX = 5000
# Up to so many samples the interval is exact; above, the normal distribution is as good.
EXACT_MAX = 40


def median(values):
    v = sorted(values)
    return (v[(len(v) - 1) // 2] + v[len(v) // 2]) / 2


def rank_counts(m, n):
    """How many of the ways to lay out m and n samples in order have each value of Mann and Whitney's U."""
    rows = [[1] + [0] * (m * n) for _ in range(m + 1)]  # rows[i]: i of one kind, and so far none of the other
    for j in range(1, n + 1):
        for i in range(1, m + 1):
            # Either the greatest sample is of the first kind, and above j of the other; or it is of the other.
            rows[i] = [(rows[i - 1][u - j] if u >= j else 0) + rows[i][u] for u in range(m * n + 1)]
    return rows[m]


def shift_interval(a, b, confidence=0.95):
    """Hodges and Lehmann: by how much b lies above a. Returns (estimate, low, high), the interval by inversion of the exact rank
    test, so that it holds whatever the distribution; (estimate, -inf, inf) where there are too few samples for any."""
    differences = sorted(y - x for x, y in itertools.product(a, b))
    cut = rank_cut(len(a), len(b), (1 - confidence) / 2)
    if cut == 0:
        return median(differences), -math.inf, math.inf
    return median(differences), differences[cut - 1], differences[-cut]


def rank_cut(m, n, tail):
    """The greatest u with a chance of at most tail that U lies below it."""
    if max(m, n) > EXACT_MAX:
        return max(0, math.floor(m * n / 2 + statistics.NormalDist().inv_cdf(tail) * math.sqrt(m * n * (m + n + 1) / 12)))
    counts, below = rank_counts(m, n), 0
    for u, count in enumerate(counts):
        below += count
        if below > tail * sum(counts):
            return u
    return 0


def deals(n_a, n_b):
    """Which of the n_a + n_b samples get the first label; and whether these are all, or a choice without the real deal. Of samples of
    one size, a deal and its mirror image are the same to the statistic, and one of them is enough."""
    n = n_a + n_b
    if math.comb(n, n_a) <= DEALS_MAX:
        if n_a == n_b:
            return [(0,) + rest for rest in itertools.combinations(range(1, n), n_a - 1)], True
        return list(itertools.combinations(range(n), n_a)), True
    rng = random.Random(6)
    return [tuple(rng.sample(range(n), n_a)) for _ in range(DEALS_MAX)], False


def explained(samples, n_a, chosen):
    """The part of the variance that lies between those chosen and the others, for samples with mean 0 and squares that add up to
    1; 0 for samples that are all alike."""
    s = sum(map(samples.__getitem__, chosen))
    return s * s * len(samples) / (n_a * (len(samples) - n_a))


def standardised(values):
    mean = math.fsum(values) / len(values)
    centred = [v - mean for v in values]
    length = math.sqrt(math.fsum(c * c for c in centred))
    return [c / length for c in centred] if length > 1e-12 * max(1.0, abs(mean)) else [0.0] * len(values)


def adjusted_group(pairs):
    """Adjusted p for pairs of sample lists that all have the same two sizes."""
    n_a = len(pairs[0][0])
    ways, complete = deals(n_a, len(pairs[0][1]))
    samples = [standardised(list(a) + list(b)) for a, b in pairs]
    real = [explained(s, n_a, range(n_a)) for s in samples]
    order = sorted(range(len(pairs)), key=lambda i: real[i])  # the greatest last
    as_great = [0] * len(pairs)
    for chosen in ways:
        greatest = 0.0
        for i in order:
            greatest = max(greatest, explained(samples[i], n_a, chosen))
            # The tolerance: the same samples add up in another order.
            as_great[i] += greatest >= real[i] - 1e-9
    p = [c / len(ways) if complete else (c + 1) / (len(ways) + 1) for c in as_great]
    so_far = 0.0
    for i in reversed(order):
        so_far = p[i] = max(p[i], so_far)
    return p


def least_p(sizes):
    """The least p that two samples of these sizes can have."""
    ways = math.comb(sizes[0] + sizes[1], sizes[0])
    return (2 if sizes[0] == sizes[1] else 1) / ways if ways <= DEALS_MAX else 1 / (DEALS_MAX + 1)


def adjusted(pairs, alpha=ALPHA):
    """For each pair of sample lists the p that both came from one source, adjusted for how many pairs there are; None where the
    samples are too few for any answer. Pairs of different sizes are groups, corrected by Bonferroni among each other; a group
    that could never be significant is not counted, which its sizes alone decide."""
    groups = {}
    for i, (a, b) in enumerate(pairs):
        if a and b:
            groups.setdefault((len(a), len(b)), []).append(i)
    while groups and max(map(least_p, groups)) * len(groups) > alpha:
        del groups[max(groups, key=least_p)]
    result = [None] * len(pairs)
    for members in groups.values():
        for i, p in zip(members, adjusted_group([pairs[i] for i in members])):
            result[i] = min(1.0, p * len(groups))
    return result
