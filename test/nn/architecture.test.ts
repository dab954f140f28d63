/** Networks by name, and what a file's metadata says about the one it holds. */
import { describe, expect, it } from 'vitest';
import {
  type ArchitectureName,
  architecture,
  architectures,
  describedBy,
  formOf,
  type ModelDescription,
  metadataOf,
  modelFrom,
} from '../../lib/nn/models/architecture.js';
import { createMobileOne, mobileOneConfigs } from '../../lib/nn/models/mobileone.js';
import { repvggConfigs } from '../../lib/nn/models/repvgg.js';
import { randn } from '../../lib/tensor/random.js';
import { refusalOf } from '../formats/refusal.js';

describe('the table of networks', () => {
  it('has every published one', () => {
    expect([...architectures.keys()]).toEqual([...Object.keys(repvggConfigs), ...Object.keys(mobileOneConfigs)]);
  });

  it('refuses other names, those of every object among them', () => {
    for (const name of ['resnet', '', 'toString', '__proto__'])
      expect(refusalOf(() => architecture(name, 'test'))).toMatchObject({
        code: 'ERR_INPUT',
        message: expect.stringContaining('repvgg-a0'),
      });
  });
});

describe('metadata', () => {
  it.each<ModelDescription>([
    { name: 'repvgg-b1g4', eps: 1e-5, form: 'training' },
    { name: 'mobileone-s4', eps: 1e-3, form: 'training' },
    { name: 'mobileone-s0', eps: 1e-5, form: 'deployed' },
  ])('says what was written: %o', (description) => {
    expect(describedBy(new Map(Object.entries(metadataOf(description))), 'file')).toEqual(description);
  });

  it('keeps every digit of eps', () => {
    const eps = 0.1 + 0.2;
    expect(
      describedBy(new Map(Object.entries(metadataOf({ name: 'repvgg-a0', eps, form: 'training' }))), 'file')?.eps,
    ).toBe(eps);
  });

  it('says nothing where it names no network', () => {
    expect(describedBy(new Map([['format', 'pt']]), 'file')).toBeNull();
  });

  it.each([
    ['repconv.model', 'resnet\u001b[2J', 'ERR_UNSUPPORTED'],
    ['repconv.model', '__proto__', 'ERR_UNSUPPORTED'],
    ['repconv.form', 'half', 'ERR_HEADER'],
    ['repconv.eps', '', 'ERR_HEADER'],
    ['repconv.eps', '1e999', 'ERR_HEADER'],
    ['repconv.eps', '0x1', 'ERR_HEADER'],
    ['repconv.eps', '2', 'ERR_HEADER'],
    ['repconv.eps', `0.${'0'.repeat(1000)}1`, 'ERR_HEADER'],
  ])('%s = %.40j is refused', (key, value, code) => {
    const metadata = new Map(
      Object.entries({ ...metadataOf({ name: 'repvgg-a0', eps: 1e-5, form: 'training' }), [key]: value }),
    );
    const { code: found, message } = refusalOf(() => describedBy(metadata, 'file'));
    expect(found).toBe(code);
    expect(message.length).toBeLessThan(300);
  });
});

describe('a model from a state dict', () => {
  const name: ArchitectureName = 'mobileone-s0';
  const trained = createMobileOne(name, { numClasses: 3, eps: 1e-3 }).eval();

  it('has its classes, its eps and its numbers, and is in evaluation mode', () => {
    const model = modelFrom(trained.stateDict(), { name, eps: 1e-3, form: 'training' });
    const images = randn([1, 3, 32, 32]);
    expect(model.training).toBe(false);
    expect(model.forward(images)).toEqual(trained.forward(images));
    expect(String(model)).toBe(String(trained));
  });

  it('shows its form in its keys', () => {
    expect(formOf(trained.stateDict(), name)).toBe('training');
    expect(formOf(createMobileOne(name, { numClasses: 3, deploy: true }).stateDict(), name)).toBe('deployed');
  });

  it('keeps the format of the weights', () => {
    const half = trained.copy().to('float16');
    const { dtype } = modelFrom(half.stateDict(), { name, eps: 1e-3, form: 'training' })
      .stateDict()
      .get('linear.weight')!;
    expect(dtype).toBe('float16');
  });

  it('is refused where the keys are not those of the network', () => {
    const dict = trained.stateDict();
    const mismatch = expect.objectContaining({ code: 'ERR_STATE_DICT' });
    expect(() => modelFrom(dict, { name, eps: 1e-3, form: 'deployed' })).toThrowError(mismatch);
    expect(() => modelFrom(new Map(), { name, eps: 1e-3, form: 'training' })).toThrowError(mismatch);
  });
});
