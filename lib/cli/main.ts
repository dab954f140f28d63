#!/usr/bin/env node
/**
 * The `repconv` command. Each command's own file, and the libraries that only it needs, are loaded when it runs.
 *
 * Exit codes: 0 success, 1 failed or refused, 2 not understood, 130 interrupted.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { debugSettings, isas, maxThreads } from '../debug.js';
import { printable, RepconvError } from '../errors.js';
import { precisions } from '../session/options.js';
import { packageVersion } from './environment.js';
import { CommandFailure, exitCodes } from './failure.js';
import { endWithReader } from './reader.js';

const exitCodesHelp = `
Exit codes:
  0 success   1 failed or refused   2 not understood   130 interrupted`;

function program(): Command {
  const repconv = new Command('repconv')
    .description(
      'Fuses the parallel branches of re-parameterizable networks into plain convolutions, and measures what that saves.',
    )
    .version(packageVersion(), '-V, --version', 'prints the version')
    .helpOption('-h, --help', 'prints this help')
    .helpCommand('help [command]', 'prints the help of a command')
    .addHelpText(
      'after',
      `
Examples:
  repconv bench
  repconv inspect model.safetensors
  repconv fuse model.safetensors -o fast.safetensors --model repvgg-a0

Environment:
  REPCONV_THREADS   threads of a run, 1 to ${maxThreads}
  REPCONV_ISA       the most the kernels may use: ${isas.join(', ')}
  REPCONV_DEBUG     1 to 3: what is chosen and why; errors with their stack
  NO_COLOR          plain text on a terminal too
${exitCodesHelp}`,
    );
  repconv
    .command('bench')
    .description(
      'measures networks as written, with batch norms folded, and with branches merged; first checks that all three compute the same',
    )
    .argument('[network...]', 'published networks, with seeded weights (default: mobileone-s0 repvgg-a0)')
    .option(
      '-t, --threads <n,...>',
      `threads of a run, at most ${maxThreads} (default: as many as this process may use)`,
      severalOf(wholeNumber(1, maxThreads)),
    )
    .addOption(
      new Option('-b, --batch <n,...>', 'images in a run').argParser(severalOf(wholeNumber(1, 1024))).default([1], '1'),
    )
    .addOption(
      new Option('-p, --precision <name,...>', `what is computed in: ${precisions.join(', ')}`)
        .argParser(severalOf(precision))
        .default(['float32'], 'float32'),
    )
    .option('-r, --resolution <pixels>', 'height and width of the images', wholeNumber(32, 4096), 224)
    .option('-s, --seconds <s>', 'how long to measure each case', positiveNumber(3600), 8)
    .option('--rounds <n>', 'so many rounds instead', wholeNumber(1, 100_000))
    .option('--seed <n>', 'seed of weights and images', wholeNumber(0, 2 ** 32), 1)
    .addOption(
      new Option(
        '-c, --compare <engine>',
        'measures the merged form against another engine (npm install onnxruntime-node)',
      ).choices(['onnxruntime']),
    )
    .option(
      '-l, --layers',
      "also each layer's algorithm, time and share of the peak (of several cases: the slowest ten)",
    )
    .option('--json', 'prints one JSON document, with every time measured')
    .option('--html <file>', 'writes a page with charts (npm install chart.js)')
    .option('-f, --force', 'replaces the page if it is there')
    .addHelpText(
      'after',
      `
Examples:
  repconv bench
  repconv bench repvgg-b1g4 --threads 1,2 --batch 1,8
  repconv bench repvgg-a0 --compare onnxruntime --layers --html report.html
  repconv bench mobileone-s0 --resolution 160 --seconds 20 --json > result.json
${exitCodesHelp}`,
    )
    .action(async (networks: string[], options) => {
      const { bench } = await import('./bench.js');
      await bench(networks, options);
    });
  repconv
    .command('fuse')
    .description(
      'puts one convolution in place of the branches of every block, certified, and writes the deployed state dict',
    )
    .argument('<file>', 'state dict in training form (.safetensors); - reads standard input')
    .requiredOption('-o, --output <file>', 'where to write the deployed form (.safetensors)')
    .option('-m, --model <name>', 'the network in the file, where its metadata does not say')
    .option('--eps <number>', 'eps of its batch norms, where it is not the published one', positiveNumber(1))
    .addOption(
      new Option('--dtype <format>', 'number format to write, where it is not to be that of the file').choices([
        'float32',
        'float64',
        'float16',
        'bfloat16',
      ]),
    )
    .option('-f, --force', 'replaces the output file if it is there; it may be the input')
    .option('--json', 'prints the report as one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  repconv fuse repvgg-a0.safetensors -o fast.safetensors --model repvgg-a0
  repconv fuse trained.safetensors -o deployed.safetensors --json
${exitCodesHelp}`,
    )
    .action(async (file: string, options) => {
      const { fuse } = await import('./fuse.js');
      await fuse(file, options);
    });
  repconv
    .command('inspect')
    .description('shows tensors, metadata and checksum of a file, and what of its network can be fused')
    .argument('<file>', 'state dict (.safetensors); - reads standard input')
    .option('-m, --model <name>', 'the network in the file, where its metadata does not say')
    .option('--eps <number>', 'eps of its batch norms, where it is not the published one', positiveNumber(1))
    .option('-a, --all', 'lists every tensor')
    .option('--json', 'prints one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  repconv inspect model.safetensors
  repconv inspect model.safetensors --model mobileone-s0 --all
  curl -L https://example.com/model.safetensors | repconv inspect -
${exitCodesHelp}`,
    )
    .action(async (file: string, options) => {
      const { inspect } = await import('./inspect.js');
      await inspect(file, options);
    });
  for (const command of [repconv, ...repconv.commands]) {
    const name = command === repconv ? 'repconv' : `repconv ${command.name()}`;
    command.showHelpAfterError(`(${name} --help tells more)`);
    // Otherwise commander ends the process by itself, with 1 for a command line that it does not understand.
    command.exitOverride();
  }
  return repconv;
}

/** Runs a command line and tells how the process should end. */
async function run(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...argv], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // Commander has said its piece already; help and version end so too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    process.stderr.write(`${messageOf(error)}\n`);
    return error instanceof CommandFailure ? error.exitCode : exitCodes.failed;
  }
}

/**
 * `error: ERR_PATH loadStateDict: …`; with REPCONV_DEBUG the stack too. Anything but an error of ours is a fault of
 * this program: the stack helps.
 */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return `error: ${printable(String(error))}`;
  const isExpected = error instanceof RepconvError || error instanceof CommandFailure;
  if (!isExpected || isDebugging()) return `error: ${error.stack ?? error.message}`;
  return `error: ${error instanceof RepconvError ? `${error.code} ` : ''}${error.message}`;
}

function isDebugging(): boolean {
  try {
    return debugSettings().level > 0;
  } catch {
    // The variable itself is what is wrong.
    return false;
  }
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      throw new InvalidArgumentError(`Expects a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** One or more, with commas between; each counts once. */
function severalOf<T>(parse: (text: string) => T): (text: string) => T[] {
  return (text) => [...new Set(text.split(',').map(parse))];
}

function precision(text: string): string {
  if (!(precisions as readonly string[]).includes(text))
    throw new InvalidArgumentError(`Expects some of ${precisions.join(', ')}.`);
  return text;
}

function positiveNumber(max: number): (text: string) => number {
  return (text) => {
    const value = /^[\d.eE+-]{1,40}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value > 0 && value <= max)) throw new InvalidArgumentError(`Expects a number above 0, at most ${max}.`);
    return value;
  };
}

endWithReader(({ code }) => process.exit(code === 'EPIPE' ? exitCodes.ok : exitCodes.failed));
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
