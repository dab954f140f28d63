/**
 * Saving: whatever call fails, and whenever the process dies, the file is the old one or the new one, and no temporary
 * stays for good.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeAtomically } from '../../lib/formats/atomicWrite.js';
import { loadStateDict, saveStateDict } from '../../lib/formats/stateDict.js';
import { performAsync, performSync, runAsync, runSync, type Step } from '../../lib/formats/steps.js';
import { full } from '../../lib/tensor/tensor.js';
import { compiledLibrary, deadProcessId, killWhileRunning, runNode } from './childProcess.js';
import { expectRefusal, refusalOf, refusalOfAsync } from './refusal.js';

const oldBytes = Buffer.from('the old file');
const newBytes = Buffer.from('the new file, which is longer');

let root: string;
let folder: string;
let file: string;
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'repconv-save-')));
});
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(root, 'case-'));
  file = path.join(folder, 'model.safetensors');
});
afterAll(() => fs.rmSync(root, { recursive: true }));

const drivers = {
  'that waits': async (perform: (step: Step) => unknown) => runSync(writeAtomically(file, newBytes, 'save'), perform),
  'that does not wait': (perform: (step: Step) => unknown) =>
    runAsync(writeAtomically(file, newBytes, 'save'), async (step) => perform(step)),
};
const situations = {
  'a new file': () => {},
  'an old file': () => fs.writeFileSync(file, oldBytes),
  'a link to an old file': () => {
    fs.writeFileSync(path.join(folder, 'target'), oldBytes);
    fs.symlinkSync('target', file);
  },
};

describe.each(Object.entries(drivers))('a save %s', (_, save) => {
  it('makes its calls in the order that a power cut cannot harm', async () => {
    fs.writeFileSync(file, oldBytes);
    const calls: string[] = [];
    await save((step) => {
      calls.push(
        `${step.name} ${typeof step.args[0] === 'string' ? path.basename(step.args[0]).replace(/^\.repconv.*/, 'temporary') : ''}`.trim(),
      );
      return performSync(step);
    });
    expect(calls).toEqual([
      ...['lstat model.safetensors', 'readlink pid', `readdir ${path.basename(folder)}`],
      ...[`open ${path.basename(folder)}`, 'open temporary', 'write', 'fchown', 'fchmod', 'fsync', 'close'],
      ...['rename temporary', 'fsync', 'close'],
    ]);
  });

  describe.each(Object.entries(situations))('over %s', (situation, prepare) => {
    it.each(['EIO', 'ENOSPC', 'EINTR'])(
      'leaves it whole and nothing beside it, whichever call fails with %s',
      async (code) => {
        for (let failing = 0; ; failing++) {
          for (const name of fs.readdirSync(folder)) fs.unlinkSync(path.join(folder, name));
          prepare();
          const names = fs.readdirSync(folder);
          const outcome = await saveWithFailure(save, failing, code);
          if (!outcome.hasFailed) break;
          const found = fs.existsSync(file) ? fs.readFileSync(file) : undefined;
          if (outcome.error === undefined || outcome.isRenamed) expect(found).toEqual(newBytes);
          else expect(found).toEqual(situation === 'a new file' ? undefined : oldBytes);
          expect(fs.readdirSync(folder)).toEqual(
            found === undefined ? names : [...new Set([...names, 'model.safetensors'])].sort(),
          );
        }
        expect(fs.readFileSync(file)).toEqual(newBytes);
        expect(fs.lstatSync(file).isSymbolicLink()).toBe(situation === 'a link to an old file');
      },
    );
  });

  it('fails for every call that matters, and for none that only tidies', async () => {
    fs.writeFileSync(file, oldBytes);
    const refused: string[] = [];
    const tidying: string[] = [];
    for (let failing = 0; ; failing++) {
      const { hasFailed, call, error } = await saveWithFailure(save, failing, 'EIO');
      if (!hasFailed) break;
      (error === undefined ? tidying : refused).push(call);
    }
    expect(refused).toEqual(['lstat', 'open', 'open', 'write', 'fchmod', 'fsync', 'close', 'rename', 'fsync']);
    expect(tidying).toEqual(['readlink', 'readdir', 'fchown', 'close']);
  });

  it('goes on after short writes', async () => {
    await save((step) => performSync(step.name === 'write' ? shortened(step, 3) : step));
    expect(fs.readFileSync(file)).toEqual(newBytes);
  });

  it('fails rather than wait for ever when nothing more is written', async () => {
    const error = await refusalOfAsync(() => save((step) => (step.name === 'write' ? 0 : performSync(step))));
    expectRefusal(error, 'ERR_IO', 'save: EIO: nothing more was written after 0 of 29 bytes');
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('says that the new file is in place when only its folder could not be flushed', async () => {
    let isRenamed = false;
    const error = await refusalOfAsync(() =>
      save((step) => {
        if (isRenamed && step.name === 'fsync') throw systemError('EIO', 'fsync');
        isRenamed ||= step.name === 'rename';
        return performSync(step);
      }),
    );
    expectRefusal(error, 'ERR_IO', 'save: the file is in place, but a power cut could undo it', 'EIO');
    expect(fs.readFileSync(file)).toEqual(newBytes);
  });

  it('succeeds where the file system has no flushing of folders', async () => {
    let isRenamed = false;
    await save((step) => {
      if (isRenamed && step.name === 'fsync') throw systemError('EINVAL', 'fsync');
      isRenamed ||= step.name === 'rename';
      return performSync(step);
    });
    expect(fs.readFileSync(file)).toEqual(newBytes);
  });
});

describe('the saved file', () => {
  const save = (): void => runSync(writeAtomically(file, newBytes, 'save'));
  const modeOf = (name: string): number => fs.statSync(name).mode & 0o7777;

  it.each([0o600, 0o640, 0o444, 0o755])('keeps the mode %o of the file it replaces', (mode) => {
    fs.writeFileSync(file, oldBytes);
    fs.chmodSync(file, mode);
    save();
    expect(modeOf(file)).toBe(mode);
    expect(fs.readFileSync(file)).toEqual(newBytes);
  });

  it.each([0o022, 0o077, 0o002])('has what umask %o leaves of 0666 when it is new', (umask) => {
    const before = process.umask(umask);
    try {
      save();
      expect(modeOf(file)).toBe(0o666 & ~umask);
    } finally {
      process.umask(before);
    }
  });

  it('is never readable by more people while it is made than afterwards', () => {
    fs.writeFileSync(file, oldBytes, { mode: 0o640 });
    runSync(writeAtomically(file, newBytes, 'save'), (step) => {
      if (step.name === 'write') expect(fs.fstatSync(step.args[0] as number).mode & 0o777).toBe(0o600);
      return performSync(step);
    });
  });

  it.skipIf(process.getuid?.() !== 0)('keeps the owner of the file it replaces', () => {
    fs.writeFileSync(file, oldBytes);
    fs.chownSync(file, 1234, 2345);
    save();
    expect(fs.statSync(file)).toMatchObject({ uid: 1234, gid: 2345 });
  });

  it('is where a link leads, and the link stays', () => {
    fs.mkdirSync(path.join(folder, 'elsewhere'));
    fs.writeFileSync(path.join(folder, 'elsewhere', 'blob'), oldBytes);
    fs.symlinkSync('elsewhere/blob', file);
    save();
    expect(fs.readlinkSync(file)).toBe('elsewhere/blob');
    expect(fs.readFileSync(path.join(folder, 'elsewhere', 'blob'))).toEqual(newBytes);
  });

  it('is refused where a link leads nowhere', () => {
    fs.symlinkSync('missing', file);
    expectRefusal(refusalOf(save), 'ERR_IO', 'save: ENOENT');
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });

  it('may have a name as long as the file system allows', () => {
    file = path.join(folder, 'x'.repeat(255));
    save();
    expect(fs.readFileSync(file)).toEqual(newBytes);
  });

  it('may be empty', () => {
    runSync(writeAtomically(file, new Uint8Array(0), 'save'));
    expect(fs.statSync(file).size).toBe(0);
  });
});

describe('temporaries left by killed saves', () => {
  it('of the same file are swept by the next save, when their process is gone', () => {
    fs.writeFileSync(temporaryOf(deadProcessId()), '');
    runSync(writeAtomically(file, newBytes, 'save'));
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });

  it('stay when they may still be in use, or belong to another file, or are no such thing', () => {
    const dead = deadProcessId();
    const ownName = path.basename(temporaryOf(process.pid));
    const kept = [
      ownName,
      path.basename(temporaryOf(1)),
      path.basename(temporaryOf(dead)).replace(/^(\.repconv-)\w{12}/, '$1000000000000'),
      path.basename(temporaryOf(dead)).replace(/^(\.repconv-\w{12}-)\w{12}/, '$1000000000000'),
      path.basename(temporaryOf(dead)).replace(/tmp$/, 'txt'),
      '.repconv-notes',
    ];
    for (const name of kept) fs.writeFileSync(path.join(folder, name), '');
    runSync(writeAtomically(file, newBytes, 'save'));
    expect(fs.readdirSync(folder)).toEqual([...kept, 'model.safetensors'].sort());
  });

  it('of another machine are swept a day later', () => {
    const foreign = temporaryOf(deadProcessId()).replace(/(\.repconv-\w{12}-)\w{12}/, '$1000000000000');
    fs.writeFileSync(foreign, '');
    const dayAgo = Date.now() / 1000 - 25 * 60 * 60;
    fs.utimesSync(foreign, dayAgo, dayAgo);
    runSync(writeAtomically(file, newBytes, 'save'));
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });

  /** The path a save of `file` by the process would use now. */
  function temporaryOf(processId: number): string {
    const opened: string[] = [];
    const act = (): void =>
      runSync(writeAtomically(file, newBytes, 'save'), (step) => {
        if (step.name === 'open') opened.push(step.args[0] as string);
        if (opened.length === 2) throw systemError('EIO', 'open');
        return performSync(step);
      });
    refusalOf(act);
    return opened[1].replace(`-${process.pid}-`, `-${processId}-`);
  }
});

describe('saves of one file at the same time', () => {
  it('all succeed, and one of them stays', async () => {
    const dicts = Array.from({ length: 12 }, (_, i) => new Map([['weight', full([1000], i)]]));
    await Promise.all(dicts.map((dict) => saveStateDict(file, dict)));
    const bytes = fs.readFileSync(file);
    const single = path.join(folder, 'single.safetensors');
    const candidates: Buffer[] = [];
    for (const dict of dicts) {
      await saveStateDict(single, dict);
      candidates.push(fs.readFileSync(single));
    }
    expect(candidates.some((candidate) => candidate.equals(bytes))).toBe(true);
    expect(fs.readdirSync(folder).sort()).toEqual(['model.safetensors', 'single.safetensors']);
  });
});

describe('a process that dies while it saves', () => {
  const library = compiledLibrary('formats/stateDict.ts');
  // The process saves `after` over `file`, and kills itself before the call of the given number.
  const killedAt = (call: number, way: 'runSync' | 'runAsync'): string => `
    const steps = require(${JSON.stringify(path.join(library, 'formats/steps.js'))});
    const { writeAtomically } = require(${JSON.stringify(path.join(library, 'formats/atomicWrite.js'))});
    let calls = 0;
    const perform = (step) => {
      if (calls++ === ${call}) process.kill(process.pid, 'SIGKILL');
      if (step.name === 'write') step.args[3] = Math.min(step.args[3], 10);
      return steps.performSync(step);
    };
    steps.${way}(writeAtomically(${JSON.stringify(file)}, Buffer.from(${JSON.stringify(newBytes.toString())}), 'save'), perform);`;

  it('leaves the old file or the new one, whatever call it was about to make, and the next save cleans up', () => {
    let left = 0;
    for (let call = 0; ; call++) {
      fs.writeFileSync(file, oldBytes);
      const { signal } = runNode(killedAt(call, call % 2 === 0 ? 'runSync' : 'runAsync'));
      if (signal !== 'SIGKILL') break;
      const found = fs.readFileSync(file).toString();
      expect([oldBytes.toString(), newBytes.toString()]).toContain(found);
      left += fs.readdirSync(folder).length - 1;
      runSync(writeAtomically(file, newBytes, 'save'));
      expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
      expect(call).toBeLessThan(40);
    }
    expect(left).toBeGreaterThan(3);
  });

  it('leaves the one or the other when it is killed at any time', async () => {
    const source = `
      const { saveStateDict, saveStateDictSync } = require(${JSON.stringify(path.join(library, 'formats/stateDict.js'))});
      const { full } = require(${JSON.stringify(path.join(library, 'tensor/tensor.js'))});
      const dicts = [1, 2].map((value) => [['weight', full([100000], value)]]);
      (async () => {
        for (let i = 0; ; i++) {
          if (i % 2) await saveStateDict(${JSON.stringify(file)}, dicts[0]);
          else saveStateDictSync(${JSON.stringify(file)}, dicts[1]);
          if (i === 0) process.stdout.write('saved');
        }
      })();`;
    for (let run = 0; run < 8; run++) {
      fs.rmSync(file, { force: true });
      await killWhileRunning(source, 2 + run * 3);
      const weight = (await loadStateDict(file)).get('weight')!;
      expect(new Set(weight.to('float64').data).size).toBe(1);
    }
    runSync(writeAtomically(file, newBytes, 'save'));
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });

  it('is told, not killed, when a file may not become so large', () => {
    fs.writeFileSync(file, oldBytes);
    const { stdout } = runNode(
      `const { saveStateDictSync } = require(${JSON.stringify(path.join(library, 'formats/stateDict.js'))});
       const { full } = require(${JSON.stringify(path.join(library, 'tensor/tensor.js'))});
       try { saveStateDictSync(${JSON.stringify(file)}, [['weight', full([100000], 1)]]); }
       catch (error) { console.log(error.code, error.cause.code); }`,
      'ulimit -f 8',
    );
    expect(stdout.trim()).toBe('ERR_IO EFBIG');
    expect(fs.readFileSync(file)).toEqual(oldBytes);
    expect(fs.readdirSync(folder)).toEqual(['model.safetensors']);
  });
});

interface Outcome {
  /** Whether the call that was to fail was reached. */
  hasFailed: boolean;
  call: string;
  isRenamed: boolean;
  error: Error | undefined;
}

/** Saves with the call of number `failing` refused; what comes must be a coded error with that cause. */
async function saveWithFailure(save: (typeof drivers)['that waits'], failing: number, code: string): Promise<Outcome> {
  const outcome: Outcome = { hasFailed: false, call: '', isRenamed: false, error: undefined };
  let calls = 0;
  const perform = (step: Step): unknown => {
    if (calls++ !== failing) {
      const result = performSync(step);
      outcome.isRenamed ||= step.name === 'rename';
      return result;
    }
    Object.assign(outcome, { hasFailed: true, call: step.name });
    throw systemError(code, step.name);
  };
  try {
    await save(perform);
  } catch (error) {
    outcome.error = error as Error;
    const refusal = refusalOf(() => {
      throw error;
    });
    expectRefusal(refusal, 'ERR_IO', 'save: ', code);
    expect(refusal.cause).toMatchObject({ code });
  }
  return outcome;
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: made up by the test, ${syscall}`), { code, syscall });
}

function shortened(step: Step, most: number): Step {
  const [descriptor, bytes, offset, length, position] = step.args as [number, Uint8Array, number, number, null];
  return { name: step.name, args: [descriptor, bytes, offset, Math.min(length, most), position] };
}

it('the calls made without waiting have the results of those that wait', async () => {
  fs.writeFileSync(file, 'text');
  const descriptor = await performAsync({ name: 'open', args: [file, fs.constants.O_RDONLY, 0] });
  const bytes = new Uint8Array(8);
  expect(await performAsync({ name: 'read', args: [descriptor, bytes, 0, 8, null] })).toBe(4);
  expect(await performAsync({ name: 'close', args: [descriptor] })).toBe(performSync({ name: 'pause', args: [] }));
  await expect(performAsync({ name: 'readdir', args: [file] })).rejects.toMatchObject({ code: 'ENOTDIR' });
});
