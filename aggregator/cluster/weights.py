"""The weights of the score: a logistic regression on labelled pairs.

Fitted by `python benchmarks/calibrate_pairs.py DIR --write` on the first halves of neus, neus_sparse
(each set weighs the same; candidate pairs that are no copies; ridge 1). docs/benchmarks.md has the figures of the
second halves, whose events the fit has not seen. To be fitted again when the features change.
"""

BIAS = -8.296
WEIGHTS = {
    "title": 0.262,
    "words": 7.253,
    "words with text": 3.988,
    "title in the other's text, better": 4.032,
    "title in the other's text, worse": 3.820,
    "shared names": 0.000,
    "rarest shared title word": 0.161,
    "shared numbers": 0.697,
    "titles' numbers differ": -0.842,
}
