/** State dicts on disk: what is loaded, what is never opened for reading, and which errors name what. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readRegularFile } from '../../lib/formats/regularFile.js';
import { loadSafetensors, loadStateDict, saveStateDict, saveStateDictSync } from '../../lib/formats/stateDict.js';
import { performAsync, runAsync, type Step } from '../../lib/formats/steps.js';
import { isIdentical } from '../../lib/tensor/compare.js';
import { type AnyTensor, full, tensor } from '../../lib/tensor/tensor.js';
import { compiledLibrary, runNode } from './childProcess.js';
import { fileOf } from './malformedSafetensors.js';
import { expectRefusal, refusalOf, refusalOfAsync } from './refusal.js';

let folder: string;
let file: string;
const dict = new Map<string, AnyTensor>([
  ['weight', tensor([1, 2, 3])],
  ['step', tensor([7], [], 'int64')],
]);

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'repconv-state-'));
});
beforeEach(() => {
  file = path.join(fs.mkdtempSync(path.join(folder, 'case-')), 'model.safetensors');
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

describe('a state dict', () => {
  it('comes back from disk as it was saved', async () => {
    await saveStateDict(file, dict);
    expect([...(await loadStateDict(file))].sort()).toEqual([...dict].sort());
  });

  it('is saved with the same bytes whether awaited or not, and each time', async () => {
    await saveStateDict(file, dict, { metadata: { note: 'x' } });
    const bytes = fs.readFileSync(file);
    saveStateDictSync(file, [...dict].reverse(), { metadata: { note: 'x' } });
    expect(fs.readFileSync(file)).toEqual(bytes);
  });

  it('keeps metadata, and the checksum of it', async () => {
    saveStateDictSync(file, dict, { metadata: { architecture: '{"kind":"ConvBlock"}' } });
    const { tensors, metadata } = await loadSafetensors(file);
    expect(tensors.size).toBe(2);
    expect(metadata.get('architecture')).toBe('{"kind":"ConvBlock"}');
    expect(metadata.get('repconv.sha256')).toMatch(/^[0-9a-f]{64}$/);
    fs.writeFileSync(file, fs.readFileSync(file, 'latin1').replace('ConvBlock', 'ConvBlack'), 'latin1');
    expectRefusal(
      await refusalOfAsync(() => loadStateDict(file)),
      'ERR_CORRUPT',
      `loadStateDict: "${file}": checksum expects`,
    );
  });

  it('is saved as it was at the time of the call', async () => {
    // Long enough for the checksum to pause in its midst.
    const changing = full([3 * 2 ** 20], 7);
    const before = changing.clone();
    const saved = saveStateDict(file, [['weight', changing]]);
    changing.data.fill(0);
    await saved;
    expect(isIdentical((await loadStateDict(file)).get('weight')!, before)).toBe(true);
  });

  it('lets other work run while it is loaded and saved', async () => {
    const large = new Map([['weight', full([6 * 2 ** 20], 7)]]);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await saveStateDict(file, large);
    const afterSave = turns;
    await loadStateDict(file);
    clearInterval(timer);
    expect(afterSave).toBeGreaterThan(2);
    expect(turns - afterSave).toBeGreaterThan(2);
  });
});

const library = compiledLibrary('formats/stateDict.ts');

describe('a path', () => {
  const operations = {
    loadStateDict: (name: string) => loadStateDict(name),
    loadSafetensors: (name: string) => loadSafetensors(name),
    saveStateDict: (name: string) => saveStateDict(name, dict),
    saveStateDictSync: async (name: string) => saveStateDictSync(name, dict),
  };

  describe.each(Object.entries(operations))('given to %s', (operation, run) => {
    it.each<[string, unknown, 'ERR_PATH' | 'ERR_INPUT', string]>([
      ['no extension', '/tmp/model', 'ERR_PATH', 'state dicts are .safetensors files'],
      [
        'the extension of another format',
        '/tmp/model.pth',
        'ERR_PATH',
        '"/tmp/model.pth": state dicts are .safetensors files',
      ],
      ['the extension in its midst', '/tmp/model.safetensors.json', 'ERR_PATH', 'state dicts are .safetensors files'],
      ['a NUL', '/tmp/model.pth\0.safetensors', 'ERR_PATH', '"/tmp/model.pth\\u0000.safetensors": expects a path'],
      ['a lone surrogate', '/tmp/\ud800.safetensors', 'ERR_PATH', 'expects a path'],
      ['control characters', '/tmp/\x1b[2J\n.bin', 'ERR_PATH', '\\u001b[2J\\u000a'],
      ['nothing', '', 'ERR_PATH', 'state dicts are .safetensors files'],
      ['a number', 7, 'ERR_INPUT', 'path expects text, got 7'],
      ['undefined', undefined, 'ERR_INPUT', 'path expects text, got undefined'],
      ['a URL', new URL('file:///tmp/model.safetensors'), 'ERR_INPUT', 'path expects text, got URL'],
    ])('is refused when it has %s', async (_, name, code, says) => {
      expectRefusal(await refusalOfAsync(() => run(name as string)), code, `${operation}: `, says);
    });

    it('is refused when its folder does not exist', async () => {
      const name = path.join(path.dirname(file), 'missing', 'model.safetensors');
      const error = await refusalOfAsync(() => run(name));
      expectRefusal(error, 'ERR_IO', `${operation}: "${name}": ENOENT`);
      expect(error.cause).toMatchObject({ code: 'ENOENT' });
    });

    it('is refused when it leads through a file', async () => {
      fs.writeFileSync(file, '');
      expectRefusal(await refusalOfAsync(() => run(path.join(file, 'model.safetensors'))), 'ERR_IO', 'ENOTDIR');
    });

    it('is refused when it is too long, showing its end', async () => {
      const error = await refusalOfAsync(() => run(`/tmp/${'x'.repeat(5000)}/end.safetensors`));
      expectRefusal(error, 'ERR_IO', 'ENAMETOOLONG', 'xxx/end.safetensors"');
    });

    it('is refused when its links go round in a circle', async () => {
      fs.symlinkSync(file, file);
      expectRefusal(await refusalOfAsync(() => run(file)), 'ERR_IO', 'ELOOP');
    });

    it('is refused when it is a folder', async () => {
      fs.mkdirSync(file);
      expectRefusal(
        await refusalOfAsync(() => run(file)),
        'ERR_PATH',
        `${operation}: "${file}": expects a regular file, got a directory`,
      );
    });

    it('is refused when it is a named pipe, without waiting for who writes into it', async () => {
      execFileSync('mkfifo', [file]);
      expectRefusal(await refusalOfAsync(() => run(file)), 'ERR_PATH', 'expects a regular file, got a named pipe');
      expect(fs.lstatSync(file).isFIFO()).toBe(true);
    });

    it('is refused when it links to a device', async () => {
      fs.symlinkSync('/dev/zero', file);
      expectRefusal(await refusalOfAsync(() => run(file)), 'ERR_PATH', 'expects a regular file, got a device');
    });

    it('is refused when it is a socket', async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(file, resolve));
      try {
        expectRefusal(await refusalOfAsync(() => run(file)), 'ERR_PATH', 'expects a regular file, got a socket');
      } finally {
        server.close();
      }
    });
  });

  it('may be a link to a file, of whatever name', async () => {
    const blob = path.join(path.dirname(file), 'blob');
    saveStateDictSync(file, dict);
    fs.renameSync(file, blob);
    fs.symlinkSync('blob', file);
    expect((await loadStateDict(file)).size).toBe(2);
  });

  it('is refused when it is relative to a folder that is gone', () => {
    const { stdout } = runNode(`
      const { saveStateDictSync } = require(${JSON.stringify(path.join(library, 'formats/stateDict.js'))});
      const fs = require('node:fs');
      fs.mkdirSync(${JSON.stringify(file)});
      process.chdir(${JSON.stringify(file)});
      fs.rmdirSync(${JSON.stringify(file)});
      try { saveStateDictSync('model.safetensors', []); }
      catch (error) { console.log(error.code, error.message); }`);
    expect(stdout).toContain(
      'ERR_IO saveStateDictSync: "model.safetensors": is relative to a working directory that is gone',
    );
  });

  it('may have any other characters', async () => {
    const name = path.join(path.dirname(file), '- "ü 😀\n\\.safetensors');
    await saveStateDict(name, dict);
    expect((await loadStateDict(name)).size).toBe(2);
  });
});

describe('a file on disk', () => {
  it('is refused with its name when it is damaged', async () => {
    fs.writeFileSync(file, fileOf('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}', 9));
    expectRefusal(
      await refusalOfAsync(() => loadStateDict(file)),
      'ERR_HEADER',
      `loadStateDict: "${file}": tensor "a"`,
    );
  });

  it.each([
    ['a header of 2^64 − 1 bytes', fileOf('{}', 0, 2n ** 64n - 1n), 'ERR_LIMIT'],
    ['a header of 99 MB', fileOf('{}', 0, 99_000_000n), 'ERR_TRUNCATED'],
    [
      '4 GiB of data',
      fileOf('{"a":{"dtype":"U8","shape":[4294967296],"data_offsets":[0,4294967296]}}', 0),
      'ERR_TRUNCATED',
    ],
  ] as const)('gets no memory for %s it only claims', async (_, bytes, code) => {
    fs.writeFileSync(file, bytes);
    const before = process.memoryUsage().arrayBuffers;
    expectRefusal(await refusalOfAsync(() => loadStateDict(file)), code, file);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  it('gets no memory for its holes before its header is read', async () => {
    fs.writeFileSync(file, '');
    fs.truncateSync(file, 2 ** 32);
    const before = process.memoryUsage().arrayBuffers;
    expectRefusal(await refusalOfAsync(() => loadStateDict(file)), 'ERR_HEADER', 'got nothing');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  it('is held to the limits of the call', async () => {
    saveStateDictSync(file, dict);
    expectRefusal(
      await refusalOfAsync(() => loadStateDict(file, { limits: { tensors: 1 } })),
      'ERR_LIMIT',
      'at most 1 tensors',
    );
    expectRefusal(
      await refusalOfAsync(() => loadStateDict(file, null as never)),
      'ERR_INPUT',
      'options expects a plain object of limits, got null',
    );
  });

  it('may be replaced while it is read: the old one is read to its end', async () => {
    saveStateDictSync(file, dict);
    const sizeBytes = fs.statSync(file).size;
    const replace = async (step: Step): Promise<unknown> => {
      if (step.name === 'read') saveStateDictSync(file, [['other', tensor([0])]]);
      return performAsync(step);
    };
    expect(await loadWith(replace)).toBe(sizeBytes);
    expect([...(await loadStateDict(file)).keys()]).toEqual(['other']);
  });

  it.each([
    ['grows', 'ERR_IO', 'was changed while it was read', () => fs.appendFileSync(file, 'x')],
    ['is overwritten', 'ERR_IO', 'was changed while it was read', () => fs.utimesSync(file, 1, 1)],
    ['shrinks', 'ERR_TRUNCATED', 'bytes early while it was read', () => fs.truncateSync(file, 4)],
  ] as const)('is refused when it %s while it is read', async (_, code, says, change) => {
    fs.writeFileSync(file, Buffer.alloc(1000));
    const act = (): Promise<number> =>
      loadWith(async (step) => {
        if (step.name === 'read') change();
        return performAsync(step);
      });
    expectRefusal(await refusalOfAsync(act), code, says);
  });

  it.each(['open', 'fstat', 'read'] as const)('is refused with the cause when %s fails', async (name) => {
    fs.writeFileSync(file, Buffer.alloc(1000));
    const cause = Object.assign(new Error(`EIO: i/o error, ${name}`), { code: 'EIO' });
    const closed: unknown[] = [];
    const act = (): Promise<number> =>
      loadWith(async (step) => {
        if (step.name === name) throw cause;
        if (step.name === 'close') closed.push(step.args[0]);
        return performAsync(step);
      });
    const error = await refusalOfAsync(act);
    expectRefusal(error, 'ERR_IO', `test: EIO: i/o error, ${name}`);
    expect(error.cause).toBe(cause);
    expect(closed).toHaveLength(name === 'open' ? 0 : 1);
  });

  it('is read to its end when calls return less than they were asked for', async () => {
    fs.writeFileSync(file, Buffer.alloc(1000));
    const length = await loadWith((step) => {
      if (step.name !== 'read') return performAsync(step);
      const [descriptor, bytes, offset, wanted, position] = step.args as [number, Uint8Array, number, number, null];
      return performAsync({ name: 'read', args: [descriptor, bytes, offset, Math.min(7, wanted), position] });
    });
    expect(length).toBe(1000);
  });

  it('that is refused leaves no open file behind', async () => {
    if (process.platform !== 'linux') return;
    fs.writeFileSync(file, fileOf('{"a":0}', 0));
    const before = fs.readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 50; i++) await refusalOfAsync(() => loadStateDict(file));
    expect(fs.readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
  });

  /** Reads the whole file, carrying the calls out as given; returns how many bytes came. */
  async function loadWith(perform: (step: Step) => Promise<unknown>): Promise<number> {
    const steps = readRegularFile(file, 'test', function* ({ sizeBytes, next }) {
      return (yield* next(sizeBytes)).length;
    });
    return runAsync(steps, perform);
  }
});

it('errors of the synchronous save are thrown, not promised', () => {
  expectRefusal(
    refusalOf(() => saveStateDictSync('/nowhere/model.pth', dict)),
    'ERR_PATH',
  );
});

it('a processor that stores numbers the other way round is told so', () => {
  const { stdout } = runNode(`
    require('node:os').endianness = () => 'BE';
    const { saveStateDictSync, loadStateDict } = require(${JSON.stringify(path.join(library, 'formats/stateDict.js'))});
    try { saveStateDictSync('/tmp/x.safetensors', []); } catch (error) { console.log(error.code, error.message); }
    loadStateDict('/tmp/x.safetensors').catch((error) => console.log(error.code, error.message));`);
  const says = (operation: string): string =>
    `ERR_UNSUPPORTED ${operation}: "/tmp/x.safetensors": expects a little-endian processor, got a big-endian one`;
  expect(stdout.trim().split('\n')).toEqual([says('saveStateDictSync'), says('loadStateDict')]);
});
