/** What a hostile caller, a typo or a program in another realm hands over: every kind of value, made anew each time. */
import vm from 'node:vm';
import { Tensor } from '../../lib/index.js';

/** What getters and traps of ours throw: an error of the caller's own, which may pass. */
export class Mine extends Error {
  constructor() {
    super('the caller’s own error');
  }
}

const mine = (): never => {
  throw new Mine();
};

/** Every value by what it is called in a failure. */
export const hostileValues: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  NaN: () => NaN,
  Infinity: () => Infinity,
  '-Infinity': () => -Infinity,
  '-1': () => -1,
  '0': () => 0,
  '1.5': () => 1.5,
  '2^31': () => 2 ** 31,
  '2^40': () => 2 ** 40,
  '2^53': () => 2 ** 53,
  '1e308': () => 1e308,
  'empty text': () => '',
  'long text': () => 'x'.repeat(1e5),
  'escape sequences': () => '\u001b[31m\u0000\u202e\n\ud800',
  'a number as text': () => '3',
  'a symbol': () => Symbol('\u001b[31m'),
  'a BigInt': () => 1n,
  'a large BigInt': () => 2n ** 100n,
  'an empty object': () => ({}),
  'an empty list': () => [],
  'a nested list': () => [[]],
  'a list with a hole': () => Object.assign(new Array(3), { 0: 1, 2: 3 }),
  'a list of holes': () => new Array(3),
  'the longest list': () => new Array(2 ** 32 - 1),
  'a list of lists in a circle': () => {
    const list: unknown[] = [];
    list.push(list);
    return list;
  },
  'an object in a circle': () => {
    const object: Record<string, unknown> = {};
    object.self = object;
    return object;
  },
  'a list of symbols': () => [Symbol('a'), Symbol('b')],
  'a list of NaN': () => [NaN, NaN],
  'a list of large numbers': () => [2 ** 40, 2 ** 40],
  'a function': () => () => 5,
  'a class': () => class Some {},
  'an instance of a class': () =>
    new (class Some {
      value = 5;
    })(),
  'a date': () => new Date(0),
  'a broken date': () => new Date(NaN),
  'a map': () => new Map([['a', 1]]),
  'a map of odd keys': () => new Map<unknown, unknown>([[Symbol('key'), {}]]),
  'a set': () => new Set([1]),
  'a regular expression': () => /x/g,
  'an error': () => new Error('\u001b[31m'.repeat(1e4)),
  'a promise': () => Promise.resolve(5),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'a revoked proxy of a list': () => {
    const { proxy, revoke } = Proxy.revocable([1, 2], {});
    revoke();
    return proxy;
  },
  'a revoked proxy of a function': () => {
    const { proxy, revoke } = Proxy.revocable(() => 5, {});
    revoke();
    return proxy;
  },
  'a proxy that throws at everything': () =>
    new Proxy({}, { get: mine, has: mine, ownKeys: mine, getPrototypeOf: mine, getOwnPropertyDescriptor: mine }),
  'a list that throws when read': () => Object.defineProperty([1, 2], 0, { get: mine }),
  'an object that throws when read': () => Object.defineProperty({}, 'length', { get: mine, enumerable: true }),
  'an object that throws when it is text': () => ({ toString: mine, valueOf: mine, [Symbol.toPrimitive]: mine }),
  'an object that throws when it is shown': () => ({ [Symbol.for('nodejs.util.inspect.custom')]: mine }),
  'an iterable that throws': () => ({ [Symbol.iterator]: mine }),
  'an iterable of symbols': () => new Set([Symbol('entry')]),
  'a frozen object': () => Object.freeze({ a: 1 }),
  'an object without a prototype': () => Object.create(null),
  'an object that inherits': () => Object.create({ stride: 2, length: 2 }),
  'an object of many names': () => Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`name${i}`, i])),
  'an object of one long name': () => ({ ['\u001b'.repeat(1e5)]: 1 }),
  'an object of another realm': () => vm.runInNewContext('({})'),
  'a list of another realm': () => vm.runInNewContext('[1, 2]'),
  'an array of another realm': () => vm.runInNewContext('new Float32Array(4)'),
  'a float32 array': () => new Float32Array(4),
  'a float64 array': () => new Float64Array(4),
  'a byte array': () => new Uint8Array(4),
  'an array of BigInts': () => new BigInt64Array(4),
  'an empty array': () => new Float32Array(0),
  'a view of data': () => new DataView(new ArrayBuffer(8)),
  'a buffer': () => new ArrayBuffer(8),
  'a detached array': () => detached(new Float32Array(4)),
  'a tensor of one axis': () => new Tensor('float32', [4]),
  'a tensor without axes': () => new Tensor('float32', []),
  'a tensor of no elements': () => new Tensor('float32', [0, 4, 0, 3]),
  'a tensor of nine axes': () => new Tensor('float32', new Array(9).fill(1)),
  'a tensor of integers': () => new Tensor('int64', [1, 4, 5, 5]),
  'a tensor of float64': () => new Tensor('float64', [1, 4, 5, 5]),
  'a tensor that is only carried': () => new Tensor('float8_e4m3fn', [1, 4, 5, 5]),
  'a tensor of NaN': () => new Tensor('float32', [1, 4, 5, 5], new Float32Array(100).fill(NaN)),
  'a detached tensor': () => {
    const tensor = new Tensor('float32', [1, 4, 5, 5]);
    detached(tensor.data);
    return tensor;
  },
  'what only looks like a tensor': () => ({ dtype: 'float32', shape: [4], data: new Float32Array(4) }),
  'a tensor that was never made': () => Object.create(Tensor.prototype),
};

function detached<T extends ArrayBufferView>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}
