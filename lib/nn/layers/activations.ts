/** Activations as modules, under PyTorch's names. `inplace` is printed as PyTorch would; memory is never shared. */
import type { Ops } from '../../ops/vocabulary.js';
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

  constructor({ inplace = false }: { inplace?: boolean } = {}) {
    super();
    this.inplace = inplace;
  }

  protected override extraRepr(): string {
    return this.inplace ? 'inplace=True' : '';
  }
}

export class ReLU extends InplaceActivation {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.relu(x);
  }
}

export class ReLU6 extends InplaceActivation {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.relu6(x);
  }
}

export class SiLU extends InplaceActivation {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.silu(x);
  }
}

/** PyTorch prints these two without `inplace`. */
export class Hardswish extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.hardSwish(x);
  }
}

export class Hardsigmoid extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.hardSigmoid(x);
  }
}

export class Sigmoid extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.sigmoid(x);
  }
}

export class Tanh extends Module {
  override compute<X>(f: Ops<X>, x: X): X {
    return f.tanh(x);
  }
}

export class LeakyReLU extends Module {
  readonly negativeSlope: number;

  constructor({ negativeSlope = 0.01 }: { negativeSlope?: number } = {}) {
    super();
    this.negativeSlope = negativeSlope;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.leakyRelu(x, { negativeSlope: this.negativeSlope });
  }

  protected override extraRepr(): string {
    return `negative_slope=${pythonFloat(this.negativeSlope)}`;
  }
}

/** Key: `weight` [1] or [C], the slopes. */
export class PReLU extends Module {
  readonly numParameters: number;

  constructor({ numParameters = 1, init = 0.25 }: { numParameters?: number; init?: number } = {}) {
    super();
    this.numParameters = channels(numParameters, 'PReLU', 'numParameters');
    this.parameter('weight', full([numParameters], init));
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.prelu(x, f.lift(this.tensor('weight') as AnyTensor));
  }

  protected override extraRepr(): string {
    return `num_parameters=${this.numParameters}`;
  }
}

export class GELU extends Module {
  readonly approximate: 'none' | 'tanh';

  constructor({ approximate = 'none' }: { approximate?: 'none' | 'tanh' } = {}) {
    super();
    this.approximate = approximate;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.gelu(x, { approximate: this.approximate });
  }

  protected override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

export class Softmax extends Module {
  readonly dim: number;

  constructor({ dim }: { dim: number }) {
    super();
    this.dim = dim;
  }

  override compute<X>(f: Ops<X>, x: X): X {
    return f.softmax(x, { axis: this.dim });
  }

  protected override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}
