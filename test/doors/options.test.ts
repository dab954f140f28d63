import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import { isPlainObject, optionsOf } from '../../lib/options.js';

interface Options {
  readonly stride?: number;
  readonly paddingMode?: 'zeros' | 'reflect';
  readonly axis?: number;
  readonly savePath?: string;
}
const defaults = { stride: 1, paddingMode: 'zeros', axis: -1, savePath: undefined } as const;
const read = (given: unknown): object => optionsOf(given as Options, defaults, 'work');
const refusal = (given: unknown): unknown => {
  try {
    return read(given);
  } catch (error) {
    return error;
  }
};

class Settings {
  stride = 2;
}

describe('an options object', () => {
  it('is completed with the defaults, and an option that is undefined takes its own', () => {
    expect(read(undefined)).toEqual(defaults);
    expect(read({})).toEqual(defaults);
    expect(read({ stride: 2, axis: undefined })).toEqual({ ...defaults, stride: 2 });
    expect(read(Object.assign(Object.create(null), { stride: 3 }))).toEqual({ ...defaults, stride: 3 });
    expect(read(Object.freeze({ stride: 4 }))).toEqual({ ...defaults, stride: 4 });
  });

  it('may come from another realm', () => {
    const foreign: unknown = vm.runInNewContext('({ stride: 5 })');
    expect(foreign).not.toBeInstanceOf(Object);
    expect(read(foreign)).toEqual({ ...defaults, stride: 5 });
    expect(isPlainObject(vm.runInNewContext('[]'))).toBe(false);
    expect(isPlainObject(vm.runInNewContext('new Map()'))).toBe(false);
  });

  it('is read by its own properties only', () => {
    const prototype = Object.prototype as { stride?: number };
    prototype.stride = 9;
    try {
      expect(read({})).toEqual({ ...defaults, stride: 1 });
    } finally {
      delete prototype.stride;
    }
  });

  it('may have a getter, whose error is its own', () => {
    const thrown = new Error('mine');
    expect(read({ get stride() { return 6; } })).toEqual({ ...defaults, stride: 6 }); // biome-ignore format: short
    const throwing = { get stride() { throw thrown; } }; // biome-ignore format: short
    expect(refusal(throwing)).toBe(thrown);
  });

  it.each([
    ['null', null],
    ['a number', 5],
    ['text', 'stride'],
    ['a symbol', Symbol('stride')],
    ['a BigInt', 1n],
    ['a function', () => ({ stride: 2 })],
    ['a list', [1]],
    ['an instance of a class', new Settings()],
    ['a map', new Map([['stride', 2]])],
    ['a date', new Date(0)],
    ['an object that inherits from another', Object.create({ stride: 2 })],
    ['an object that inherits from one without a prototype', Object.create(Object.create(null))],
    ['a revoked proxy', revoked()],
  ])('is not %s', (_, given) => {
    expect(refusal(given)).toMatchObject({
      code: 'ERR_INPUT',
      message: expect.stringMatching(
        /^work: options expects a plain object of stride, paddingMode, axis, savePath, got /,
      ),
    });
  });
});

describe('an unknown name', () => {
  it.each([
    ['padding_mode', 'did you mean paddingMode?'],
    ['PaddingMode', 'did you mean paddingMode?'],
    ['save_path', 'did you mean savePath?'],
    ['savepath', 'did you mean savePath?'],
    ['strid', 'did you mean stride?'],
    ['stried', 'did you mean stride?'],
    ['dim', 'did you mean axis?'],
    ['momentum', 'it has stride, paddingMode, axis, savePath'],
    ['__proto__', 'it has stride, paddingMode, axis, savePath'],
    ['constructor', 'it has stride, paddingMode, axis, savePath'],
  ])('%s is refused, and the message says: %s', (name, advice) => {
    expect(refusal(JSON.parse(`{ "${name}": 1 }`))).toMatchObject({
      code: 'ERR_INPUT',
      message: `work: options has no ${name}; ${advice}`,
    });
  });

  it('is refused together with the others, in a message of bounded length', () => {
    const given = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`\u001b[31m${i}${'x'.repeat(1000)}`, i]));
    const { message } = refusal(given) as Error;
    expect(message.length).toBeLessThan(1000);
    expect(message).not.toContain('\u001b');
    expect(refusal({ foo: 1, strde: 2, padding_mode: 3 })).toMatchObject({
      message: 'work: options has no foo, strde, padding_mode; did you mean stride, paddingMode?',
    });
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
