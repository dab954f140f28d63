/**
 * The one error class of the project and the table of its codes.
 *
 * A code is stable and says what kind of thing went wrong; the message says which operation, what it expected and what
 * it received. Reasons for *not fusing* are no errors: they are in `reparam/reason.ts`. `ERR_UNSAFE` waits for the
 * reader of PyTorch's pickled files.
 */

import { inspect } from 'node:util';

/** Every `code` a {@link RepconvError} can carry, with what it means. */
export const errorCodes = {
  ERR_INPUT: 'an argument or attribute that no call could accept',
  ERR_SHAPE: 'shapes that do not go together',
  ERR_TRAIN_MODE: 'the operation is defined for evaluation mode only',
  ERR_STATE_DICT: 'a state dict that does not match the module it is loaded into',
  ERR_DISPOSED: 'use of a session after dispose()',
  ERR_BUSY: 'more work waiting than the session was told to accept',
  ERR_OOM: 'memory that could not be had',
  ERR_NATIVE: 'the native addon could not be loaded, or failed',
  ERR_IO: 'the operating system refused to read or write',
  ERR_PATH: 'a path that is not a regular file of the expected kind',
  ERR_TRUNCATED: 'a file that ends before its content does',
  ERR_HEADER: 'a file whose header breaks the format',
  ERR_CORRUPT: 'a file whose content contradicts its checksum',
  ERR_LIMIT: 'a file or value beyond a named limit',
  ERR_UNSUPPORTED: 'a valid request that this version, format or processor cannot serve',
  ERR_UNSAFE: 'a file that asks for something never done for a file',
} as const;

/** One of the keys of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** The longest message, in UTF-16 units. */
const maxMessageLength = 2000;

/**
 * The error of every refusal. Its message names the operation, what it expects and what it got; it is printable and of
 * bounded length. Where another error was the reason, that is its `cause`.
 *
 * @example
 * ```ts
 * import { Conv2d, RepconvError, randn } from 'repconv';
 *
 * try {
 *   new Conv2d(3, 8, 3).forward(randn([1, 4, 8, 8]));
 * } catch (error) {
 *   if (!(error instanceof RepconvError)) throw error;
 *   console.log(error.code); // ERR_SHAPE
 * }
 * ```
 */
export class RepconvError extends Error {
  /** Always `RepconvError`. */
  override readonly name = 'RepconvError';

  constructor(
    /** Says what kind of thing went wrong. A code keeps its meaning between versions; messages may change. */
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(printable(typeof message === 'string' ? message : shown(message), maxMessageLength, '\n'), options);
  }
}

/**
 * Text from outside (a file, a user) as it may stand in a message: control and formatting characters escaped, but for
 * those of `kept`, at most `maxLength` long.
 */
export function printable(text: string, maxLength = 200, kept = ''): string {
  const escaped = text
    .slice(0, maxLength)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) =>
      kept.includes(c) ? c : `\\u${(c.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
    );
  // Escapes are longer than what they stand for.
  const isCut = text.length > maxLength || escaped.length > maxLength;
  return isCut ? `${escaped.slice(0, maxLength - 1).toWellFormed()}…` : escaped;
}

/** A value from a user as it may stand in a message: on one line, cut. */
export function shown(value: unknown, { depth = 1, maxLength = 100 } = {}): string {
  return printable(inspected(value, depth), maxLength);
}

function inspected(value: unknown, depth: number): string {
  const options = { depth, compact: true, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 200 };
  try {
    return inspect(value, options);
  } catch {
    // Objects may say themselves how they print, and fail at it.
    return `something that cannot be shown (${typeof value})`;
  }
}

/** Names from outside as they may stand in a message: the first few, each cut. */
export function listed(names: readonly string[], most = 8): string {
  const first = names.slice(0, most).map((name) => printable(name, 60));
  return (names.length > most ? [...first, `… (${names.length} in all)`] : first).join(', ');
}

/** `33.4 MB`, in powers of ten. */
export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
