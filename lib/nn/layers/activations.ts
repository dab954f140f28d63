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
  readonly inplace: boolean;

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
  readonly negativeSlope: number;

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
 * the slopes. @throws ERR_INPUT
 */
export class PReLU extends Module {
  readonly numParameters: number;

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
  readonly approximate: 'none' | 'tanh';

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

/** e^(x − max) / Σ e^(x − max) along the axis `dim`, negative ones counted from the last. */
export class Softmax extends Module {
  readonly dim: number;

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
