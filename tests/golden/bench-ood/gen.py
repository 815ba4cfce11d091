"""Reference values for the statistics of `cargo xtask bench-ood`: SciPy's Wilcoxon test and BCa intervals, Holm's correction.

Run `python3 gen.py`; it writes statistics.safetensors beside itself. The versions used are in its metadata. statsmodels is not
needed: Holm's correction is four lines, and they were compared with `statsmodels.stats.multitest.multipletests` 0.15.0.
"""

import json
import pathlib

import numpy
import scipy
from safetensors.numpy import save_file
from scipy import stats

HERE = pathlib.Path(__file__).parent
SEED = 31


def holm(p: numpy.ndarray) -> numpy.ndarray:
    order = numpy.argsort(p, kind="stable")
    stepped = numpy.minimum(p[order] * numpy.arange(len(p), 0, -1), 1.0)
    adjusted = numpy.empty_like(p)
    adjusted[order] = numpy.maximum.accumulate(stepped)
    return adjusted


def wilcoxon(differences: numpy.ndarray) -> float:
    """Exact up to 50 non-zero differences: SciPy's table without ties, all assignments of signs with them."""
    nonzero = differences[differences != 0]
    ties = len(numpy.unique(numpy.abs(nonzero))) < len(nonzero)
    if len(nonzero) > 50:
        return stats.wilcoxon(nonzero, correction=True, method="asymptotic").pvalue
    method = stats.PermutationMethod(n_resamples=numpy.inf) if ties else "exact"
    return stats.wilcoxon(nonzero, method=method).pvalue


def mean_of_two(a, b, axis=-1):
    return 0.5 * (numpy.mean(a, axis=axis) + numpy.mean(b, axis=axis))


def main() -> None:
    generator = numpy.random.default_rng(SEED)
    tensors = {}
    cases = {
        "four": generator.normal(1.0, 1.0, 4),
        "twelve": generator.normal(0.4, 1.0, 12),
        "fifty": generator.normal(0.2, 1.0, 50),
        "fifty_one": generator.normal(0.2, 1.0, 51),
        "three_hundred": generator.normal(0.05, 1.0, 300),
        "ties": numpy.round(generator.normal(0.5, 1.5, 14)),
        "ties_and_zeros": numpy.round(generator.normal(0.3, 1.0, 18)),
        "many_ties": numpy.round(generator.normal(0.2, 2.0, 200)),
    }
    for name, differences in cases.items():
        tensors[f"wilcoxon.{name}.differences"] = differences
        tensors[f"wilcoxon.{name}.p"] = numpy.array([wilcoxon(differences)])
    for name, p in {
        "spread": generator.uniform(0, 0.06, 15),
        "small": generator.uniform(0, 1, 25) ** 6,
        "equal": numpy.array([0.01, 0.02, 0.01, 0.9, 0.02]),
    }.items():
        tensors[f"holm.{name}.p"] = p
        tensors[f"holm.{name}.adjusted"] = holm(p)
    # Samples far from normal, where BCa differs from plain percentiles.
    for name, values in {
        "normal": generator.normal(0.5, 1.0, 30),
        "skewed": generator.exponential(1.0, 20),
        "small": generator.exponential(1.0, 8),
    }.items():
        found = stats.bootstrap((values,), numpy.mean, n_resamples=400_000, batch=20_000, method="BCa", rng=generator)
        tensors[f"bootstrap.{name}.values"] = values
        tensors[f"bootstrap.{name}.interval"] = numpy.array(found.confidence_interval)
        tensors[f"bootstrap.{name}.deviation"] = numpy.array([found.standard_error])
    # Two strata, resampled apart.
    first, second = generator.exponential(1.0, 15), generator.exponential(3.0, 9)
    found = stats.bootstrap(
        (first, second), mean_of_two, n_resamples=400_000, batch=20_000, method="BCa", vectorized=True, rng=generator
    )
    tensors["bootstrap_two.first"] = first
    tensors["bootstrap_two.second"] = second
    tensors["bootstrap_two.interval"] = numpy.array(found.confidence_interval)
    tensors["bootstrap_two.deviation"] = numpy.array([found.standard_error])
    save_file(
        {name: numpy.ascontiguousarray(value, dtype=numpy.float64) for name, value in tensors.items()},
        HERE / "statistics.safetensors",
        metadata={
            "versions": json.dumps({"scipy": scipy.__version__, "numpy": numpy.__version__}),
            "seed": str(SEED),
        },
    )


if __name__ == "__main__":
    main()
