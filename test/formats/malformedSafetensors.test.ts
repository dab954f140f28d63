/** Hostile and damaged files: each ends in its coded error, quickly, and nothing is allocated for what it claims. */
import { describe, expect, it } from 'vitest';
import { RepconvError } from '../../lib/errors.js';
import { parseSafetensors, type SafetensorsContent } from '../../lib/formats/safetensors.js';
import { serializeSafetensors } from '../../lib/formats/serializeSafetensors.js';
import { Random } from '../../lib/tensor/random.js';
import { Tensor, tensor } from '../../lib/tensor/tensor.js';
import { fileOf, malformedFiles } from './malformedSafetensors.js';
import { mutated, sampleTensors } from './mutatedFile.js';
import { expectRefusal, refusalOf } from './refusal.js';

describe('a malformed file', () => {
  it.each(malformedFiles)('is refused: $name ($code)', ({ bytes, code, says, limits }) => {
    const started = process.cpuUsage();
    const error = refusalOf(() => parseSafetensors(bytes, { name: 'model.safetensors', ...(limits && { limits }) }));
    expectRefusal(error, code, 'parseSafetensors: "model.safetensors"', says);
    expect(secondsSince(started)).toBeLessThan(2);
  });

  it('is refused at whatever byte a good file is cut', () => {
    const bytes = serializeSafetensors([
      ['weight', tensor([1, 2, 3])],
      ['step', new Tensor('int64', [])],
    ]);
    for (let length = 0; length < bytes.length; length++)
      expectRefusal(
        refusalOf(() => parseSafetensors(bytes.subarray(0, length))),
        'ERR_TRUNCATED',
      );
    expect(parseSafetensors(bytes).tensors.size).toBe(2);
  });

  it('cannot put control characters or endless names into the message', () => {
    const name = `\\u001b[31m\\u202e${'long'.repeat(1000)}`;
    const error = refusalOf(() =>
      parseSafetensors(fileOf(`{"${name}":{"dtype":"\\u0007"}}`, 0), { name: '\x1b]0;\n'.repeat(1000) }),
    );
    expectRefusal(error, 'ERR_UNSUPPORTED', '\\u001b[31m\\u202elong', '\\u0007');
  });

  it('has nothing allocated for tensors it only claims', () => {
    const claims = Array.from(
      { length: 1000 },
      (_, i) => `"${i}":{"dtype":"U8","shape":[4194304],"data_offsets":[${i * 2 ** 22},${(i + 1) * 2 ** 22}]}`,
    );
    const bytes = fileOf(`{${claims.join(',')}}`, 0);
    const before = process.memoryUsage().arrayBuffers;
    expectRefusal(
      refusalOf(() => parseSafetensors(bytes)),
      'ERR_TRUNCATED',
      `data expects ${1000 * 2 ** 22} bytes, got 0`,
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  it.each([
    ['escapes', `{"${'\\n'.repeat(2 ** 21)}":0}`, 'ERR_HEADER'],
    ['spaces', `{${' '.repeat(2 ** 22)}`, 'ERR_HEADER'],
    ['digits', `{"a":{"extra":${'1'.repeat(2 ** 22)}}}`, 'ERR_HEADER'],
    ['empty objects', `{"a":{"extra":[${'{},'.repeat(900)}${'[],'.repeat(2 ** 20)}`, 'ERR_LIMIT'],
    [
      'empty tensors',
      `{${Array.from({ length: 2 ** 16 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join()}}x`,
      'ERR_HEADER',
    ],
    ['texts', `{"__metadata__":{${Array.from({ length: 2 ** 18 }, (_, i) => `"${i}":""`).join()}}}`, 'ERR_LIMIT'],
  ] as const)('is refused within two seconds when it is made of %s', (_, header, code) => {
    const bytes = fileOf(header, 0);
    const started = process.cpuUsage();
    expectRefusal(
      refusalOf(() => parseSafetensors(bytes)),
      code,
    );
    expect(secondsSince(started)).toBeLessThan(2);
  });
});

describe('an odd but valid file', () => {
  const entry = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';
  it.each<[string, string, number, string[]]>([
    ['nothing in it', '{}', 0, []],
    ['spaces behind the header', `{"a":${entry}}        `, 1, ['a']],
    ['white space between everything', ` { "a" : ${entry.replaceAll(/[,:]/g, ' \n\t\r$& ')} } `.trimStart(), 1, ['a']],
    ['fields of another order', '{"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}}', 1, ['a']],
    [
      'fields it does not know',
      `{"a":${entry.replace('{', '{"extra":[1,-2.5e+3,{"x":[true,false,null,"\\u00e9"]}],')}}`,
      1,
      ['a'],
    ],
    ['metadata behind the tensors', `{"a":${entry},"__metadata__":{"key":"value"}}`, 1, ['a']],
    ['empty metadata', `{"__metadata__":{},"a":${entry}}`, 1, ['a']],
    [
      'tensors listed in another order than they lie',
      '{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
      2,
      ['b', 'a'],
    ],
    [
      'empty tensors at both ends and between',
      `{"x":{"dtype":"F64","shape":[0],"data_offsets":[0,0]},"a":${entry},"y":{"dtype":"F32","shape":[3,0],"data_offsets":[1,1]}}`,
      1,
      ['x', 'a', 'y'],
    ],
    [
      'names like members of Object.prototype',
      `{"__proto__":${entry},"constructor":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},"toString":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`,
      1,
      ['__proto__', 'constructor', 'toString'],
    ],
    ['escapes in a name', `{"\\u0061\\n\\ud83d\\ude00\\/":${entry}}`, 1, ['a\n😀/']],
    ['32 axes', `{"a":{"dtype":"U8","shape":[${'1,'.repeat(31)}1],"data_offsets":[0,1]}}`, 1, ['a']],
    ['nesting of 100', `{"a":${entry.replace('{', `{"extra":${'['.repeat(98)}${']'.repeat(98)},`)}}`, 1, ['a']],
  ])('is read: %s', (_, header, dataBytes, names) => {
    expect([...parseSafetensors(fileOf(header, dataBytes)).tensors.keys()]).toEqual(names);
  });
});

describe('parseSafetensors', () => {
  const bytes = serializeSafetensors([['a', tensor([1, 2])]]);

  it('reads from memory shared between threads', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    expect([...parseSafetensors(shared).tensors.get('a')!.to('float64').data]).toEqual([1, 2]);
  });

  it('copies nothing that is aligned', () => {
    expect(parseSafetensors(bytes).tensors.get('a')!.data.buffer).toBe(bytes.buffer);
  });

  it.each([[undefined], [null], ['text'], [new ArrayBuffer(8)], [new Float32Array(2)], [[1, 2]]])(
    'refuses %o for bytes',
    (value) => {
      expectRefusal(
        refusalOf(() => parseSafetensors(value as never)),
        'ERR_INPUT',
        'expects the bytes as a Uint8Array, got ',
      );
    },
  );

  it.each([
    [null, 'options expects a plain object of name, limits, got null'],
    [7, 'options expects a plain object of name, limits, got 7'],
    [{ limits: null }, 'limits expects a plain object of fileBytes, headerBytes'],
    [{ limits: { headerbytes: 1 } }, 'limits has no headerbytes; did you mean headerBytes?'],
    [{ limits: { tensors: -1 } }, 'limits.tensors expects a whole number of at least 0, got -1'],
    [{ limits: { tensors: 1.5 } }, 'got 1.5'],
    [{ limits: { tensors: '1' } }, 'limits.tensors expects'],
    [{ limits: { tensors: Infinity } }, 'got Infinity'],
  ])('refuses the options %o', (options, says) => {
    expectRefusal(
      refusalOf(() => parseSafetensors(bytes, options as never)),
      'ERR_INPUT',
      says,
    );
  });

  it('keeps the default of a limit given as undefined', () => {
    expect(parseSafetensors(bytes, { limits: { tensors: undefined } as never }).tensors.size).toBe(1);
  });
});

describe('a damaged file with a checksum', () => {
  const seed = 20_240_607;
  const mutants = 5000;

  it(`is noticed in each of ${mutants} mutants, or means the same`, () => {
    const random = new Random(seed);
    const original = serializeSafetensors(sampleTensors(random), {
      metadata: { architecture: '{"kind":"ConvBlock","eps":1e-05}', note: 'größer' },
    });
    const outcomes = new Map<string, number>();
    let slowest = 0;
    for (let i = 0; i < mutants; i++) {
      const mutant = mutated(original, random);
      const started = process.cpuUsage();
      const outcome = outcomeOf(mutant, original, `mutant ${i} of seed ${seed}`);
      slowest = Math.max(slowest, secondsSince(started));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect(slowest).toBeLessThan(2);
    for (const code of ['ERR_TRUNCATED', 'ERR_HEADER', 'ERR_CORRUPT', 'ERR_LIMIT', 'same content'])
      expect([...outcomes.keys()]).toContain(code);
  });
});

/** Time of the processor: other work on the machine does not count. */
function secondsSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1e6;
}

/**
 * The code it was refused with, or that it was accepted with the content of the original, whose bytes it is then
 * written as.
 */
function outcomeOf(mutant: Uint8Array, original: Uint8Array, label: string): string {
  let content: SafetensorsContent;
  try {
    content = parseSafetensors(mutant);
  } catch (error) {
    if (!(error instanceof RepconvError)) throw new Error(`${label} was refused without a code`, { cause: error });
    return error.code;
  }
  const { tensors, metadata } = content;
  const written = serializeSafetensors(tensors, { metadata, checksum: metadata.has('repconv.sha256') });
  expect(Buffer.compare(written, original), `${label} was accepted with another content`).toBe(0);
  return 'same content';
}
