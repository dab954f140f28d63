/** What every command has in common: help, version, what is not understood, how errors end. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CommandFailure } from '../../lib/cli/failure.js';
import { checkedArchitecture } from '../../lib/cli/modelFile.js';
import { architectures } from '../../lib/nn/models/architecture.js';
import { repconv } from './command.js';

describe('the command line', () => {
  it.each(['bench', 'fuse', 'inspect'])('%s --help shows usage, options, examples and exit codes', (command) => {
    const { code, stdout, stderr } = repconv([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: repconv ${command} `));
    for (const part of ['Options:', '--json', 'Examples:', `  repconv ${command} `, 'Exit codes:'])
      expect(stdout).toContain(part);
  });

  it('fits into 80 columns', () => {
    for (const args of [['--help'], ['bench', '--help'], ['fuse', '--help'], ['inspect', '--help']]) {
      const tooLong = repconv(args)
        .stdout.split('\n')
        .filter((line) => line.length > 80);
      expect(tooLong).toEqual([]);
    }
  });

  it('--help names every command, and --version is that of the package', () => {
    expect(repconv(['--help']).stdout).toMatch(/bench[\s\S]*fuse[\s\S]*inspect[\s\S]*Exit codes/);
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(repconv(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    ['an unknown command', ['melt'], "unknown command 'melt'"],
    ['an unknown option', ['bench', '--fast'], "unknown option '--fast'"],
    ['a missing argument', ['inspect'], "missing required argument 'file'"],
    ['a missing option', ['fuse', 'a.safetensors'], "required option '-o, --output <file>' not specified"],
    ['a number that is none', ['bench', '--threads', '2x'], 'whole number from 1 to 64'],
    ['a number out of range', ['bench', '--resolution', '8'], 'whole number from 32 to 4096'],
    ['an unknown network', ['bench', 'resnet-50'], 'unknown network "resnet-50"; known: repvgg-a0, '],
    [
      'an unknown model',
      ['inspect', 'test/golden/safetensors/reference.safetensors', '--model', 'vgg'],
      'unknown network "vgg"',
    ],
  ])('%s ends with 2 and says what is wrong', (_, args, message) => {
    const { code, stdout, stderr } = repconv(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toContain(message);
  });

  it.each([
    ['repconv', ['--fast']],
    ['repconv', ['melt']],
    ['repconv bench', ['bench', '--fast']],
    ['repconv bench', ['bench', '--threads', '2x']],
    ['repconv fuse', ['fuse', 'a.safetensors']],
    ['repconv fuse', ['fuse', 'a', 'b', 'c', '-o', 'd']],
    ['repconv inspect', ['inspect']],
  ])('points to the help of %s where that was not understood: %j', (command, args) => {
    expect(repconv(args).stderr).toMatch(new RegExp(`^error: [\\s\\S]*\\(${command} --help tells more\\)\\n$`));
  });

  it('knows every network by its name without case, dashes and underscores', () => {
    const names = [...architectures.keys()];
    for (const name of names) {
      const spellings = [name, name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', ''), `_${name}-`];
      expect(spellings.map(checkedArchitecture)).toEqual(spellings.map(() => name));
    }
    expect(() => checkedArchitecture('repvgg')).toThrow(CommandFailure);
  });

  it('an error is one line with its code, and has a stack only with REPCONV_DEBUG', () => {
    const args = ['inspect', 'not-there.safetensors'];
    const { code, stdout, stderr } = repconv(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: ERR_IO loadSafetensors: "not-there\.safetensors": ENOENT[^\n]*\n$/);
    expect(repconv(args, { REPCONV_DEBUG: '1' }).stderr).toMatch(/not-there[^\n]*\n\s+at /);
  });

  it('loads no library of the command line into programs that require the package', () => {
    const loaded = `require('repconv'); console.log(Object.keys(require.cache).filter((file) => /dist.cli|commander|picocolors/.test(file)).length)`;
    expect(repconv(['--version'], { NODE_OPTIONS: '' }).code).toBe(0);
    const { execFileSync } = process.getBuiltinModule('node:child_process');
    expect(execFileSync(process.execPath, ['-e', loaded], { encoding: 'utf8' })).toBe('0\n');
  });
});
