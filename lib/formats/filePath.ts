/** Paths as users give them: what cannot name a file of the expected kind is refused before anything is opened. */
import { resolve } from 'node:path';
import { refused } from '../checks.js';
import { printable, RepconvError } from '../errors.js';

export interface CheckedPath {
  /** Independent of the working directory from here on. */
  readonly absolute: string;
  /** How messages begin: operation and file; of a long path the end, which says more. */
  readonly source: string;
}

/**
 * @param kind what the files are, and how their names end: `{ files: 'state dicts', extension: '.safetensors' }`
 * @param adviceOn what to say of other names, if there is something
 * @throws ERR_INPUT for what is no text, ERR_PATH for what cannot be the path of such a file, ERR_IO where the working
 * directory is gone
 */
export function checkedPath(
  path: string,
  operation: string,
  kind: { files: string; extension: string },
  adviceOn: (path: string) => string | null = () => null,
): CheckedPath {
  if (typeof path !== 'string') throw refused(`${operation}: path`, 'text', path);
  const source = `${operation}: "${path.length > 200 ? '…' : ''}${printable(path.slice(-200))}"`;
  if (path.includes('\0') || !path.isWellFormed())
    throw new RepconvError('ERR_PATH', `${source}: expects a path, got characters that no path can have`);
  if (!path.endsWith(kind.extension)) {
    const advice = adviceOn(path);
    throw new RepconvError(
      'ERR_PATH',
      `${source}: ${kind.files} are ${kind.extension} files: expects a name that ends so${advice === null ? '' : `; ${advice}`}`,
    );
  }
  try {
    return { absolute: resolve(path), source };
  } catch (cause) {
    throw new RepconvError('ERR_IO', `${source}: is relative to a working directory that is gone`, { cause });
  }
}
