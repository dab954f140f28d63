/** The formulas of GELU, x · Φ(x), to double precision. Hendrycks and Gimpel 2016, arXiv:1606.08415. */

/** x · Φ(x), with the normal distribution Φ exactly. */
export function exactGelu(x: number): number {
  return x * normalDistribution(x);
}

/** x · ½·(1 + tanh z), z = √(2/π)·(x + 0.044715·x³). */
export function tanhGelu(x: number): number {
  // ½·(1 + tanh z) = 1 / (1 + e^−2z), which does not cancel where tanh z nears −1.
  const z = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
  return x / (1 + Math.exp(-2 * z));
}

/**
 * Φ to double precision, relatively too: near zero ½ + φ(x) · Σ x^(2n+1) / (2n+1)!!, in the lower tail, where that
 * would cancel, φ(x) times a continued fraction; 1 − Φ(−x) above. Abramowitz and Stegun 26.2.11 and 26.2.14.
 */
function normalDistribution(x: number): number {
  if (x > 0.75) return 1 - normalDistribution(-x);
  if (x < -39) return 0;
  if (x < -0.75) {
    // Levels enough to settle the last bit, from trials between −0.75 and −30.
    let fraction = -x;
    for (let n = Math.ceil(430 / (x * x)) + 15; n > 0; n--) fraction = n / fraction - x;
    return normalDensity(x) / fraction;
  }
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (x * x) / (2 * n + 1);
    sum += term;
  }
  return 0.5 + normalDensity(x) * sum;
}

/**
 * φ(x) = e^(−x²/2) / √(2π). The square is split, x² = h² + (x − h)(x + h) with h² exact, or its rounding would show in
 * the last digits.
 */
function normalDensity(x: number): number {
  const high = Math.fround(x);
  return (Math.exp((-high * high) / 2) * Math.exp(((high - x) * (high + x)) / 2)) / Math.sqrt(2 * Math.PI);
}
