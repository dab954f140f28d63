/**
 * Reading a file that may be anything.
 *
 * Only regular files are read, links to them included: a named pipe would hang its reader, a device never ends. Files
 * are not mapped into memory, where a file cut short by another process is a SIGBUS.
 */
import { constants, type Stats } from 'node:fs';
import { RepconvError } from '../errors.js';
import { attempt, call, type Steps, withCodedErrors } from './steps.js';

/** An open file, read from its beginning to its end. */
export interface RegularFile {
  readonly sizeBytes: number;
  /** The next `length` bytes, in memory of their own. @throws ERR_TRUNCATED, ERR_OOM */
  next(length: number): Steps<Uint8Array<ArrayBuffer>>;
  /** The first `length` bytes, or all there are; {@link next} goes on where it was. @throws ERR_TRUNCATED, ERR_OOM */
  first(length: number): Steps<Uint8Array<ArrayBuffer>>;
}

/** Most that one call reads or writes; the system's own limit is near 2^31. */
export const maxCallBytes = 2 ** 26;

/**
 * Opens `path`, lets `read` read it, closes it.
 * @param source how messages begin: operation and file
 * @throws ERR_PATH for what is not a regular file, ERR_IO when the system refuses or the file changed meanwhile,
 * ERR_TRUNCATED when it shrank
 */
export function readRegularFile<T>(path: string, source: string, read: (file: RegularFile) => Steps<T>): Steps<T> {
  return withCodedErrors(source, readOpened(path, source, read));
}

function* readOpened<T>(path: string, source: string, read: (file: RegularFile) => Steps<T>): Steps<T> {
  const descriptor = yield* openWithoutWaiting(path, source);
  try {
    const before = yield* call('fstat', descriptor);
    if (!before.isFile()) throw notRegular(before, source);
    const result = yield* read({
      sizeBytes: before.size,
      next: (length) => readExactly(descriptor, length, null, source),
      first: (length) => readExactly(descriptor, Math.min(length, before.size), 0, source),
    });
    const after = yield* call('fstat', descriptor);
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs)
      throw new RepconvError(
        'ERR_IO',
        `${source}: the file was changed while it was read (${before.size} bytes, then ${after.size})`,
      );
    return result;
  } finally {
    yield* attempt(call('close', descriptor));
  }
}

/** The error for a path that leads to something else, which the message names. */
export function notRegular(stats: Stats, source: string): RepconvError {
  const kinds: readonly [boolean, string][] = [
    [stats.isDirectory(), 'a directory'],
    [stats.isFIFO(), 'a named pipe'],
    [stats.isSocket(), 'a socket'],
    [stats.isCharacterDevice() || stats.isBlockDevice(), 'a device'],
  ];
  const kind = kinds.find(([isKind]) => isKind)?.[1] ?? 'something else';
  return new RepconvError('ERR_PATH', `${source}: expects a regular file, got ${kind}`);
}

/** Fresh memory. @throws ERR_OOM */
export function allocateBytes(length: number, source: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new RepconvError('ERR_OOM', `${source}: no memory for ${length} bytes in one piece`, { cause });
  }
}

/**
 * Opening a named pipe waits for its writer unless it is opened O_NONBLOCK; regular files do not care (and Windows has
 * no such flag).
 */
function* openWithoutWaiting(path: string, source: string): Steps<number> {
  try {
    return yield* call('open', path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0), 0);
  } catch (cause) {
    // What cannot be opened this way: a socket, a device without a driver.
    if ((cause as NodeJS.ErrnoException).code === 'ENXIO')
      throw new RepconvError('ERR_PATH', `${source}: expects a regular file, got a socket or device`, { cause });
    throw cause;
  }
}

/** @param from where in the file; null: where the last such reading ended */
function* readExactly(
  descriptor: number,
  length: number,
  from: number | null,
  source: string,
): Steps<Uint8Array<ArrayBuffer>> {
  const bytes = allocateBytes(length, source);
  for (let filled = 0; filled < length; ) {
    const wanted = Math.min(length - filled, maxCallBytes);
    const got = yield* call('read', descriptor, bytes, filled, wanted, from === null ? null : from + filled);
    if (got === 0)
      throw new RepconvError(
        'ERR_TRUNCATED',
        `${source}: the file ended ${length - filled} bytes early while it was read`,
      );
    filled += got;
  }
  return bytes;
}
