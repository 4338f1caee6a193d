"""The inverse of the standard normal distribution, with the same bits on every machine.

Wichura's PPND16 (Algorithm AS 241, Applied Statistics 37, 1988; relative accuracy about 1e-16), with a logarithm of
our own. Only IEEE additions, multiplications, divisions and square roots are used, each one NumPy operation, so that
neither the CPU's vector width nor a libm can change a bit; NumPy's own `log` differs between AVX2 and AVX-512.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LN2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476
_ODD = tuple(1.0 / odd for odd in range(23, 0, -2))
"""Taylor coefficients of atanh, the highest first; the series is cut where a term is under 1e-17."""

_CENTRE = 0.425
_CENTRE_SQUARED = 0.180625
_FAR = 5.0
_FAR_SHIFT = 1.6

_A = (
    2.5090809287301226727e3,
    3.3430575583588128105e4,
    6.7265770927008700853e4,
    4.5921953931549871457e4,
    1.3731693765509461125e4,
    1.9715909503065514427e3,
    1.3314166789178437745e2,
    3.3871328727963666080,
)
_B = (
    5.2264952788528545610e3,
    2.8729085735721942674e4,
    3.9307895800092710610e4,
    2.1213794301586595867e4,
    5.3941960214247511077e3,
    6.8718700749205790830e2,
    4.2313330701600911252e1,
    1.0,
)
_C = (
    7.74545014278341407640e-4,
    2.27238449892691845833e-2,
    2.41780725177450611770e-1,
    1.27045825245236838258,
    3.64784832476320460504,
    5.76949722146069140550,
    4.63033784615654529590,
    1.42343711074968357734,
)
_D = (
    1.05075007164441684324e-9,
    5.47593808499534494600e-4,
    1.51986665636164571966e-2,
    1.48103976427480074590e-1,
    6.89767334985100004550e-1,
    1.67638483018380384940,
    2.05319162663775882187,
    1.0,
)
_E = (
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    1.24266094738807843860e-3,
    2.65321895265761230930e-2,
    2.96560571828504891230e-1,
    1.78482653991729133580,
    5.46378491116411436990,
    6.65790464350110377720,
)
_F = (
    2.04426310338993978564e-15,
    1.42151175831644588870e-7,
    1.84631831751005468180e-5,
    7.86869131145613259100e-4,
    1.48753612908506148525e-2,
    1.36929880922735805310e-1,
    5.99832206555887937690e-1,
    1.0,
)


def inverse_normal(p: Floats) -> Floats:
    """Return the quantiles of probabilities, which lie strictly between 0 and 1; any shape."""
    q = p - 0.5
    result = np.empty_like(p)
    centre = np.abs(q) <= _CENTRE
    near = q[centre]
    r = _CENTRE_SQUARED - near * near
    result[centre] = near * (_horner(_A, r) / _horner(_B, r))
    tail = ~centre
    result[tail] = _tail(p[tail], q[tail])
    return result


def _tail(p: Floats, q: Floats) -> Floats:
    r = np.sqrt(_minus_log(np.where(q < 0.0, p, 1.0 - p)))
    near, far = r - _FAR_SHIFT, r - _FAR
    size = np.where(r <= _FAR, _horner(_C, near) / _horner(_D, near), _horner(_E, far) / _horner(_F, far))
    return np.where(q < 0.0, -size, size)


def _minus_log(x: Floats) -> Floats:
    """Return -log(x): x = m 2^k with m in [sqrt(1/2), sqrt(2)), and log(m) = 2 atanh((m - 1) / (m + 1))."""
    m, k = np.frexp(x)
    low = m < _SQRT_HALF
    m = np.where(low, m * 2.0, m)
    s = (m - 1.0) / (m + 1.0)
    return (low.astype(np.float64) - k.astype(np.float64)) * _LN2 - 2.0 * s * _horner(_ODD, s * s)


def _horner(coefficients: tuple[float, ...], x: NDArray[Any]) -> Floats:
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value
