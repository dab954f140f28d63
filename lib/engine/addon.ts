/**
 * The addon: its exports, typed, and how it is found and loaded.
 *
 * It is looked for in two places, a build in this checkout and the prebuilt binary in the package; nothing from the
 * environment names a file to load. The paths are literal, so that bundlers see them.
 */
import { types } from 'node:util';
import { type ErrorCode, errorCodes, RepconvError, shown } from '../errors.js';
import type { Program } from './program.js';

/** Options of a native session; empty texts and 0 mean the default. */
export interface NativeOptions {
  readonly isa: string;
  /** Threads that one run may use. */
  readonly threads: number;
  /** Threads of the pool that all runs share; it also grows to what any of them may use. */
  readonly poolThreads: number;
  readonly conv: string;
  readonly precision: string;
}

/** What native code decided about one step. */
export interface NativeStep {
  /** The layer, by the path of its module; in parentheses what no layer asked for, such as another memory layout. */
  readonly label: string;
  /** What it does: `conv2d`, `linear`, `pool`, … */
  readonly operation: string;
  /** How it does that: `direct`, `winograd4`, … ; empty where there is but one way. */
  readonly algorithm: string;
  /** The kernels it runs on: the instruction set; for bfloat16 `amx` or `avx512-bf16`. */
  readonly kernel: string;
  /**
   * What the algorithms that fitted were estimated to cost, in multiply-adds of a vector: the least was taken. Empty
   * where one was forced, and where there is no other.
   */
  readonly costs: Readonly<Record<string, number>>;
  readonly isForced: boolean;
  /** Multiply-accumulates. */
  readonly macs: number;
}

/** What a session settled on, as native code knows it. */
export interface NativeSettings {
  /** Instruction set of the kernels it runs: `scalar`, `avx2` or `avx512`. */
  readonly isa: string;
  /** Threads that one run may use. */
  readonly threads: number;
  /**
   * What convolutions may be computed in: `float32`, `bfloat16x3` or `bfloat16`. `describe` tells which of them are.
   */
  readonly precision: 'float32' | 'bfloat16x3' | 'bfloat16';
}

export interface NativeMemory {
  /** Weights, packed in the order in which kernels read them. */
  readonly packedBytes: number;
  /** Constants as they are in the model: those that a shape yet to come may need, and small ones. */
  readonly constantBytes: number;
  /** What lives only while a run computes: one arena for each run at a time so far. */
  readonly arenaBytes: number;
  /** Copies of the inputs and outputs of runs that wait or compute, some kept for the next ones. */
  readonly stagingBytes: number;
}

type Numbers = Float32Array | Float64Array | Uint8Array;
type Shapes = readonly (readonly number[])[];

/** native/addon/session_object.h */
export interface NativeSession {
  prepare(shapes: Shapes, largest: Shapes): number;
  /**
   * {@link prepare} on the pool. Before: `keepConstants('shared')`; until it is settled `keepConstants` may not be
   * called again.
   */
  prepareAsync(shapes: Shapes, largest: Shapes): Promise<number>;
  forget(plan: number): void;
  keepConstants(which: 'all' | 'shared' | 'used'): void;
  runSync(plan: number, inputs: readonly Numbers[], outputs: readonly Numbers[], nanoseconds?: Float64Array): void;
  run(
    plan: number,
    inputs: readonly Numbers[],
    outputs: readonly Numbers[],
    nanoseconds?: Float64Array,
  ): { id: number; promise: Promise<readonly Numbers[]> };
  describe(plan: number): NativeStep[];
  /** Where the values that live only inside a run lie, and during which steps. */
  arena(plan: number): readonly { value: number; offset: number; bytes: number; from: number; to: number }[];
  settings(): NativeSettings;
  memory(): NativeMemory;
  dispose(): void;
}

export interface NativeAddon {
  Session: new (program: Program, options: NativeOptions) => NativeSession;
  execute(
    program: Program,
    shapes: Shapes,
    inputs: readonly Numbers[],
    outputs: readonly Numbers[],
    options: NativeOptions,
  ): void;
  cancel(id: number): void;
  /**
   * `bfloat16`: the kernels of that precision, `amx` or `avx512-bf16`; empty where the processor has none that are
   * faster than float32.
   */
  info(): {
    model: string;
    isa: string;
    bfloat16: string;
    l2Bytes: number;
    affinity: number;
    quota: number;
    threads: number;
  };
  /** Floating-point operations per second of multiply-adds in registers, one thread. */
  peak(isa: string): number;
  /** {@link peak}, measured on the pool. */
  peakAsync(isa: string): Promise<number>;
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded by the first call. Whatever it throws or rejects with is a {@link RepconvError}.
 * @throws ERR_NATIVE telling what was tried and what to do; ERR_OOM
 */
export function nativeAddon(): NativeAddon {
  loaded ??= behindDoor(loadAddon());
  return loaded;
}

/**
 * The same addon, every function and method of it behind {@link door}: there is no way past it. (Copies of this library
 * may share the addon, as the test files of one Jest process do: it stays as it is.)
 */
function behindDoor({ Session: NativeSession, ...functions }: NativeAddon): NativeAddon {
  class Session extends NativeSession {
    constructor(...args: ConstructorParameters<NativeAddon['Session']>) {
      try {
        super(...args);
      } catch (error) {
        throw nativeError(error);
      }
    }
  }
  const { constructor: _, ...methods } = Object.getOwnPropertyDescriptors(NativeSession.prototype);
  for (const [name, method] of Object.entries(methods))
    Object.defineProperty(Session.prototype, name, { ...method, value: door(method.value) });
  const doors = Object.entries(functions).map(([name, native]) => [name, door(native)]);
  return { Session, ...(Object.fromEntries(doors) as typeof functions) };
}

/** A native function whose errors are ours, also those of the promise that it answers with, or that its answer has. */
function door(native: (...args: never[]) => unknown): (...args: never[]) => unknown {
  return function (this: unknown, ...args) {
    try {
      const answer = native.apply(this, args);
      const promise = (answer as { promise?: unknown } | undefined)?.promise;
      return types.isPromise(promise) ? { ...(answer as object), promise: settled(promise) } : settled(answer);
    } catch (error) {
      throw nativeError(error);
    }
  };
}

function settled(answer: unknown): unknown {
  if (!types.isPromise(answer)) return answer;
  return answer.catch((error: unknown) => {
    throw nativeError(error);
  });
}

/**
 * What native code threw, as the error users see. It was made in the realm that loaded the addon, which need not be
 * this one (Jest, `vm`): `instanceof Error` would not know it.
 */
function nativeError(error: unknown): unknown {
  if (!types.isNativeError(error)) return error;
  const { code = 'ERR_NATIVE', message } = error as NodeJS.ErrnoException;
  return Object.hasOwn(errorCodes, code) ? new RepconvError(code as ErrorCode, message) : error;
}

function loadAddon(): NativeAddon {
  const platform = platformName();
  const failures: { place: string; error: LoadError }[] = [];
  for (const [name, place] of [
    ['build', 'build/Release/repconv.node (built on this machine)'],
    [platform, `prebuilds/${platform}/repconv.node (part of the package)`],
  ]) {
    const { addon, error } = requireBinary(name);
    if (error === undefined) return addon;
    // It is there, and may be loaded at another time.
    if (error.code === 'ERR_OOM') throw nativeError(error);
    failures.push({ place, error });
  }
  const tried = failures.map(({ place, error }) => `  - ${place}: ${error.message.split('\n')[0]}`);
  const advice = adviceOn(failures.map(({ error }) => error.code)).map((line, i) => `  ${i + 1}. ${line}`);
  throw new RepconvError(
    'ERR_NATIVE',
    [
      `the native addon could not be loaded on ${platform}, Node ${process.versions.node}. Tried:`,
      ...tried,
      'What helps:',
      ...advice,
    ].join('\n'),
    { cause: failures.at(-1)?.error },
  );
}

/** What to do about the failures with these codes. */
function adviceOn(codes: readonly (string | undefined)[]): string[] {
  if (codes.includes('ERR_DLOPEN_DISABLED'))
    return ['this process may not load addons: start Node with --allow-addons, or without --permission'];
  const isMissing = codes.every((code) => code === 'MODULE_NOT_FOUND');
  return [
    ...(isMissing
      ? [
          'node_modules made on another platform: install again on this one',
          'a bundle without the binary: let the bundler copy .node files, or leave repconv out of the bundle (docs/troubleshooting.md)',
        ]
      : [
          'a file that is there does not fit this system (another platform, older system libraries): install again here',
        ]),
    'no binary for this platform: build one from the sources in the package (needs a C++20 compiler, make, Python 3)\n' +
      '       npm install --no-save node-gyp node-addon-api node-api-headers\n' +
      '       npm explore repconv -- npm run build:native',
  ];
}

/** `linux-x64`, `linuxmusl-arm64`, `darwin-arm64`, … */
function platformName(): string {
  return `${process.platform}${isMusl() ? 'musl' : ''}-${process.arch}`;
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  // The report would look up the names of open sockets.
  const { excludeNetwork } = report;
  report.excludeNetwork = true;
  const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  report.excludeNetwork = excludeNetwork ?? false;
  return header.glibcVersionRuntime === undefined;
}

type LoadError = Error & { code?: string };
type Attempt = { addon: NativeAddon; error?: never } | { addon?: never; error: LoadError };

/**
 * Loads the binary of a platform, or that of this machine's own build (`build`). Bundlers see all of these paths and
 * few of the files: where a literal `require` stands right inside a `try`, they take a missing one for a case that is
 * handled, and copy the others.
 */
function requireBinary(name: string): Attempt {
  try {
    switch (name) {
      case 'build':
        return attempt(require('../../build/Release/repconv.node'));
      case 'linux-x64':
        return attempt(require('../../prebuilds/linux-x64/repconv.node'));
      case 'linux-arm64':
        return attempt(require('../../prebuilds/linux-arm64/repconv.node'));
      case 'linuxmusl-x64':
        return attempt(require('../../prebuilds/linuxmusl-x64/repconv.node'));
      case 'darwin-arm64':
        return attempt(require('../../prebuilds/darwin-arm64/repconv.node'));
      case 'darwin-x64':
        return attempt(require('../../prebuilds/darwin-x64/repconv.node'));
      default:
        return missing('no prebuilt binary for this platform');
    }
  } catch (error) {
    return { error: error as LoadError };
  }
}

/** What `require` gave: the addon, or what some bundlers put in the place of files they cannot read. */
function attempt(required: Partial<NativeAddon> | undefined): Attempt {
  return typeof required?.execute === 'function'
    ? { addon: required as NativeAddon }
    : missing(`a bundler put ${shown(required)} in its place`);
}

function missing(message: string): Attempt {
  return { error: Object.assign(new Error(message), { code: 'MODULE_NOT_FOUND' }) };
}
