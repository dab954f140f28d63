// Functions of one vector, to about one unit in the last place of the result's scale; NaN gives NaN.
// The polynomials are minimax fits of our own (relative weights, 400 Chebyshev nodes, Lawson iteration); errors are
// before rounding.

typedef int32_t vi __attribute__((vector_size(kVectorBytes)));

REPCONV_INLINE vf absolute(vf x) { return x < 0.0f ? -x : x; }

// e^x = 2^n · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2; e^r = 1 + r + r²·P(r), |error| ≤ 6.2e-8 r². Overflows to ∞;
// below 2^-126 it is 0.
REPCONV_INLINE vf exponential(vf x) {
  const vf inRange = clamp(x, broadcast(-104.0f), broadcast(89.0f));
  const vf shifted = inRange * 1.44269504f + 12582912.0f;  // 1.5 · 2^23: adding rounds to a whole number
  const vf n = shifted - 12582912.0f;
  vf r = inRange - n * 0.693359375f;  // ln 2 in two parts, the first with so few digits that the product is exact
  r = r + n * 2.12194440e-4f;
  const vf p = (((1.39411236e-3f * r + 8.36318079e-3f) * r + 4.16663736e-2f) * r + 0.166665763f) * r + 0.5f;
  const vf e = (p * r) * r + r + 1.0f;
  // 2^n by its exponent bits, in two steps because n may be 128.
  const vi whole = __builtin_convertvector(n, vi);
  const vi half = whole >> 1;
  const vf scaled = e * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
  const vf result = x < -87.3365f ? vf{} : scaled;
  return x != x ? x : result;
}

REPCONV_INLINE vf sigmoid(vf x) { return 1.0f / (1.0f + exponential(-x)); }

// |x| < 0.625: x + x³·P(x²), error ≤ 4.1e-8 x²; beyond, 1 − 2 / (e^2|x| + 1).
REPCONV_INLINE vf hyperbolicTangent(vf x) {
  const vf u = x * x;
  const vf p = (((-6.11319253e-3f * u + 2.10100822e-2f) * u - 5.38540706e-2f) * u + 0.133327946f) * u - 0.333333284f;
  const vf small = (p * u) * x + x;
  const vf large = 1.0f - 2.0f / (exponential(2.0f * absolute(x)) + 1.0f);
  const vf result = absolute(x) < 0.625f ? small : (x < 0.0f ? -large : large);
  // −0 and NaN as they are.
  return absolute(x) > 0.0f ? result : x;
}

// x·Φ(x) with Φ(x) = erfc(−x/√2) / 2. |z| < 1: erf z = z·P(z²), error ≤ 1.2e-9; beyond, erfc z = e^(−z²)·t·Q(t), t =
// 1/(1 + z/2), relative error ≤ 1.2e-8; the negative side uses erfc directly, where 1 − erf would cancel.
REPCONV_INLINE vf gaussianErrorLinear(vf x) {
  const vf z = absolute(x) * 0.707106781f;
  const vf u = z * z;
  const vf near =
      z *
      ((((((7.88912294e-5f * u - 8.02084222e-4f) * u + 5.18953557e-3f) * u - 2.68544443e-2f) * u + 0.112836003f) * u -
        0.37612626f) *
           u +
       1.12837911f);
  const vf t = 1.0f / (1.0f + 0.5f * z);
  const vf q =
      ((((((9.36282948e-2f * t - 0.226653561f) * t + 8.29303339e-2f) * t + 6.06937222e-2f) * t + 0.178901285f) * t +
        0.246935889f) *
           t +
       0.282043099f) *
          t +
      0.282098234f;
  const vf tail = z < 1.0f ? 1.0f - near : exponential(-u) * t * q;  // erfc(|x|/√2)
  // Not x − half·tail, which would be +0 at −0 and NaN at ∞. (At −∞ it is NaN, as in PyTorch.)
  return 0.5f * x * (x < 0.0f ? tail : 2.0f - tail);
}
