/**
 * float16 (IEEE binary16) and bfloat16 from and to float64, rounded once, to nearest, ties to even.
 *
 * From float64 directly, never through float32: rounding twice would put a value that lies just beside a tie on the
 * wrong side.
 */

const scratch = new DataView(new ArrayBuffer(8));

/** Nearest float16 of a float64, as its 16 bits. */
export function numberToFloat16(value: number): number {
  return narrow(value, 10, 15);
}

/** Nearest bfloat16 of a float64, as its 16 bits. */
export function numberToBfloat16(value: number): number {
  return narrow(value, 7, 127);
}

/** The value of a float16's 16 bits. */
export function float16ToNumber(bits: number): number {
  return widen(bits, 10, 15);
}

/** The value of a bfloat16's 16 bits. */
export function bfloat16ToNumber(bits: number): number {
  return widen(bits, 7, 127);
}

/**
 * A 16-bit format is its number of fraction bits and its exponent bias; the sign takes one bit, the exponent the rest.
 */
function narrow(value: number, fractionBits: number, bias: number): number {
  scratch.setFloat64(0, value);
  const sign = (scratch.getUint8(0) & 0x80) << 8;
  const maxExponent = 2 * bias + 1;
  if (Number.isNaN(value)) return sign | (maxExponent << fractionBits) | (1 << (fractionBits - 1));
  const magnitude = Math.abs(value);
  if (magnitude === 0) return sign;
  // The grid of the format around this magnitude: 2^exponent spacing, no finer than the subnormals'.
  const exponent = Math.max(((scratch.getUint16(0) >> 4) & 0x7ff) - 1023, 1 - bias);
  const steps = roundHalfEven(magnitude * 2 ** (fractionBits - exponent));
  // Steps up to 2^(fractionBits+1) carry into the exponent by themselves, from subnormal to normal and from binade to
  // binade.
  const bits = (exponent + bias - 1) * 2 ** fractionBits + steps;
  return sign | Math.min(bits, maxExponent << fractionBits);
}

function widen(bits: number, fractionBits: number, bias: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fractionBits;
  const fraction = bits & ((1 << fractionBits) - 1);
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (1 + fraction * 2 ** -fractionBits) * 2 ** (exponent - bias);
}

/** Exact for every double: the scaled magnitudes above are below 2^52, or the value overflows the format anyway. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
