/**
 * Replacing a file's content so that, whatever happens, the file is the old one or the new one, whole.
 *
 *     open folder → write temporary beside it → its owner and mode → fsync → close → rename over the target → fsync
 *     folder
 *
 * A failure before the rename removes the temporary and leaves the old file as it was. A process that is killed leaves
 * its temporary behind; the next save of the same file sweeps it. Savers of one file do not wait for each other: each
 * has a temporary of its own, the last rename stays.
 *
 * A target that is a symbolic link stays one: what it points to is replaced. The new file has the mode and, where the
 * system allows it, the owner of the old one, or what the umask makes of 0666; access lists and extended attributes are
 * not carried over.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { RepconvError } from '../errors.js';
import { maxCallBytes, notRegular } from './regularFile.js';
import { attempt, call, type Steps, withCodedErrors } from './steps.js';

/** A temporary of another machine, whose processes cannot be asked about, counts as abandoned after this long. */
const abandonedAfterMs = 24 * 60 * 60 * 1000;

/** Windows cannot open a folder as a file; renames are ordered by its journal. */
const canFlushFolders = process.platform !== 'win32';

/**
 * Makes `bytes` the content of the file at `path` (absolute), which need not exist.
 * @param source how messages begin: operation and file
 * @throws ERR_PATH when something other than a regular file is there, ERR_IO with the cause when the system refuses
 */
export function writeAtomically(path: string, bytes: Uint8Array, source: string): Steps<void> {
  return withCodedErrors(source, replaceFile(path, bytes, source));
}

/**
 * What {@link writeAtomically} would refuse about the place, found before there is anything to write. A disk that fills
 * up, or a folder that may be read but not written, shows only then.
 * @throws ERR_PATH, ERR_IO
 */
export function checkReplaceable(path: string, source: string): Steps<void> {
  return withCodedErrors(source, lookAtPlace(path, source));
}

function* lookAtPlace(path: string, source: string): Steps<void> {
  const { target } = yield* resolveTarget(path, source);
  yield* call('readdir', dirname(target));
}

function* replaceFile(path: string, bytes: Uint8Array, source: string): Steps<void> {
  const { target, previous } = yield* resolveTarget(path, source);
  const folder = dirname(target);
  const mark = yield* temporaryMark(basename(target));
  yield* sweepAbandoned(folder, mark);
  // Opened before anything is written, so that after the rename only the flush itself can fail.
  const folderDescriptor = canFlushFolders
    ? yield* call('open', folder, constants.O_RDONLY | constants.O_DIRECTORY, 0)
    : undefined;
  try {
    const temporary = join(
      folder,
      `${mark.target}${mark.machine}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`,
    );
    try {
      yield* writeTemporary(temporary, bytes, previous);
      yield* call('rename', temporary, target);
    } catch (error) {
      yield* attempt(call('unlink', temporary));
      throw error;
    }
    if (folderDescriptor !== undefined) yield* flushFolder(folderDescriptor, source);
  } finally {
    if (folderDescriptor !== undefined) yield* attempt(call('close', folderDescriptor));
  }
}

/** What is to be replaced: `path` itself, or what it links to; `previous` is absent where nothing is there yet. */
function* resolveTarget(path: string, source: string): Steps<{ target: string; previous?: Stats }> {
  const found = yield* lstatIfAny(path);
  if (found === undefined) return { target: path };
  if (!found.isSymbolicLink()) return { target: path, previous: checkRegular(found, source) };
  const target = yield* call('realpath', path);
  return { target, previous: checkRegular(yield* call('lstat', target), source) };
}

function* lstatIfAny(path: string): Steps<Stats | undefined> {
  try {
    return yield* call('lstat', path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function checkRegular(stats: Stats, source: string): Stats {
  if (!stats.isFile()) throw notRegular(stats, source);
  return stats;
}

function* writeTemporary(temporary: string, bytes: Uint8Array, previous: Stats | undefined): Steps<void> {
  // Nobody may read a file while it is made who may not read it afterwards. The system applies the umask by itself:
  // asking for it would change it for a moment, in every thread.
  const mode = previous === undefined ? 0o666 : 0o600;
  const descriptor = yield* call('open', temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    yield* writeAll(descriptor, bytes);
    if (previous !== undefined) {
      // Only root may give files away, so this may fail.
      yield* attempt(call('fchown', descriptor, previous.uid, previous.gid));
      yield* call('fchmod', descriptor, previous.mode & 0o777);
    }
    yield* call('fsync', descriptor);
  } finally {
    yield* call('close', descriptor);
  }
}

function* writeAll(descriptor: number, bytes: Uint8Array): Steps<void> {
  for (let written = 0; written < bytes.length; ) {
    const count = yield* call(
      'write',
      descriptor,
      bytes,
      written,
      Math.min(bytes.length - written, maxCallBytes),
      null,
    );
    if (count === 0)
      throw Object.assign(new Error(`EIO: nothing more was written after ${written} of ${bytes.length} bytes`), {
        code: 'EIO',
      });
    written += count;
  }
}

function* flushFolder(descriptor: number, source: string): Steps<void> {
  try {
    yield* call('fsync', descriptor);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // A file system without such a thing (some network and user-space ones).
    if (code === 'EINVAL' || code === 'ENOTSUP') return;
    throw new RepconvError(
      'ERR_IO',
      `${source}: the file is in place, but a power cut could undo it: flushing its folder failed (${code})`,
      {
        cause,
      },
    );
  }
}

/**
 * How names of temporaries begin, for one target and made on this machine: fixed in length, so that long names of
 * targets stay possible.
 */
interface TemporaryMark {
  readonly target: string;
  readonly machine: string;
}

function* temporaryMark(targetName: string): Steps<TemporaryMark> {
  // A container may share folder and host name with another and yet not see its processes.
  const processSpace = yield* attempt(call('readlink', '/proc/self/ns/pid'));
  return { target: `.repconv-${shortHash(targetName)}-`, machine: shortHash(`${hostname()} ${processSpace ?? ''}`) };
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/**
 * Removes what killed saves of this target left. Where it errs, the save it disturbs fails at its rename, with an error
 * and nothing lost.
 */
function* sweepAbandoned(folder: string, mark: TemporaryMark): Steps<void> {
  for (const name of (yield* attempt(call('readdir', folder))) ?? []) {
    if (!name.startsWith(mark.target)) continue;
    const match = /^([0-9a-f]{12})-([1-9]\d{0,9})-[0-9a-f]{12}\.tmp$/.exec(name.slice(mark.target.length));
    if (match === null) continue;
    const path = join(folder, name);
    const isAbandoned = match[1] === mark.machine && !isAlive(Number(match[2]));
    if (isAbandoned || (yield* isOld(path))) yield* attempt(call('unlink', path));
  }
}

function* isOld(path: string): Steps<boolean> {
  const stats = yield* attempt(call('lstat', path));
  return stats !== undefined && Date.now() - stats.mtimeMs > abandonedAfterMs;
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
