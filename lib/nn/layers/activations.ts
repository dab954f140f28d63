/** Activations as modules, under PyTorch's names. `inplace` is printed as PyTorch would; memory is never shared. */
import { finiteNumber, flag, oneOf } from '../../checks.js';
import { axisNumber } from '../../ops/operator.js';
import type { Ops } from '../../ops/vocabulary.js';
import { optionsOf } from '../../options.js';
import { type AnyTensor, full } from '../../tensor/tensor.js';
import { Module } from '../module.js';
import { pythonFloat } from '../python.js';
import { channels } from './conv2d.js';

/** The input itself. */
export class Identity extends Module {
  override compute<X>(_: Ops<X>, x: X): X {
    return x;
  }
}

/** Activations that PyTorch prints with `inplace=True` where asked to. */
abstract class InplaceActivation extends Module {
  /** Whether PyTorch prints `inplace=True`; it changes nothing here. */
  readonly inplace: boolean;

  /** @throws ERR_INPUT */
  constructor(options: { inplace?: boolean } = {}) {
    super();
    const { inplace } = optionsOf(options, { inplace: false }, this.typeName);
    this.inplace = flag(inplace, `${this.typeName}: inplace`);
  }

  protected override extraRepr(): string {
    return this.inplace ? 'inplace=True' : '';
  }
}

/** max(0, x), element by element, any shape. */
export class ReLU extends InplaceActivation {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.relu(x);
  }
}

/** min(6, max(0, x)), element by element, any shape. */
export class ReLU6 extends InplaceActivation {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.relu6(x);
  }
}

/** x · sigmoid(x), element by element, any shape. */
export class SiLU extends InplaceActivation {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.silu(x);
  }
}

// PyTorch prints the next two without `inplace`.

/** x · min(6, max(0, x + 3)) / 6, element by element, any shape. Howard et al. 2019 (arXiv:1905.02244), section 5.2. */
export class Hardswish extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.hardSwish(x);
  }
}

/** min(6, max(0, x + 3)) / 6, element by element, any shape. */
export class Hardsigmoid extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.hardSigmoid(x);
  }
}

/** 1 / (1 + e⁻ˣ), element by element, any shape. */
export class Sigmoid extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.sigmoid(x);
  }
}

/** The hyperbolic tangent, element by element, any shape. */
export class Tanh extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.tanh(x);
  }
}

/** x where x ≥ 0, negativeSlope · x elsewhere, element by element, any shape. */
export class LeakyReLU extends Module {
  /** What negative numbers are multiplied with; default 0.01. */
  readonly negativeSlope: number;

  /** @throws ERR_INPUT */
  constructor(options: { negativeSlope?: number } = {}) {
    super();
    const { negativeSlope } = optionsOf(options, { negativeSlope: 0.01 }, 'LeakyReLU');
    this.negativeSlope = finiteNumber(negativeSlope, 'LeakyReLU: negativeSlope');
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.leakyRelu(x, { negativeSlope: this.negativeSlope });
  }

  protected override extraRepr(): string {
    return `negative_slope=${pythonFloat(this.negativeSlope)}`;
  }
}

/**
 * x where x ≥ 0, slope · x elsewhere, one slope for all or one for each channel of [N, C, …]. Key: `weight` [1] or [C],
 * the slopes, 0.25 at first. He et
 * al. 2015 (arXiv:1502.01852).
 */
export class PReLU extends Module {
  /** Number of slopes: 1, or one for each channel. */
  readonly numParameters: number;

  /** @throws ERR_INPUT */
  constructor(options: { numParameters?: number; init?: number } = {}) {
    super();
    const { numParameters, init } = optionsOf(options, { numParameters: 1, init: 0.25 }, 'PReLU');
    this.numParameters = channels(numParameters, 'PReLU', 'numParameters');
    this.parameter('weight', full([numParameters], finiteNumber(init, 'PReLU: init')));
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.prelu(x, f.lift(this.tensor('weight') as AnyTensor));
  }

  protected override extraRepr(): string {
    return `num_parameters=${this.numParameters}`;
  }
}

/**
 * x · Φ(x) with the normal distribution Φ, element by element, any shape; `approximate: 'tanh'` by the tanh formula.
 * Hendrycks and Gimpel (arXiv:1606.08415).
 */
export class GELU extends Module {
  /** `none`: the formula itself, the default. */
  readonly approximate: 'none' | 'tanh';

  /** @throws ERR_INPUT */
  constructor(options: { approximate?: 'none' | 'tanh' } = {}) {
    super();
    const { approximate } = optionsOf(options, { approximate: 'none' }, 'GELU');
    this.approximate = oneOf(approximate, ['none', 'tanh'], 'GELU: approximate');
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.gelu(x, { approximate: this.approximate });
  }

  protected override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

/** e^(x − max) / Σ e^(x − max) along the axis `dim`; the result has the input's shape, and sums to 1 along it. */
export class Softmax extends Module {
  /** The axis; a negative one counts from the last. */
  readonly dim: number;

  /** @throws ERR_INPUT */
  constructor(options: { dim: number }) {
    super();
    const { dim } = optionsOf(options, { dim: undefined }, 'Softmax');
    this.dim = axisNumber(dim, 'Softmax: dim');
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.softmax(x, { axis: this.dim });
  }

  protected override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}
