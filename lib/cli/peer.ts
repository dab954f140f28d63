/**
 * Packages that only some options need, and that users bring along: they are no dependencies of this package, so that
 * nobody installs 290 MB of another engine, or a plotting library, who never asks for a comparison or a page.
 *
 * They are looked for from the user's working directory, then beside this package, then in the folder of the benches of
 * a checkout.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { RepconvError } from '../errors.js';

export interface Peer {
  readonly version: string;
  /** The file that `require` of the package loads. */
  readonly file: string;
  /** Loads it. @throws ERR_NATIVE where that fails */
  load(): unknown;
}

/**
 * @param option the option that needs it, for messages
 * @throws ERR_UNSUPPORTED where the package is not installed, with the command that installs it
 */
export function findPeer(name: string, option: string): Peer {
  const places = [process.cwd(), __dirname, join(__dirname, '../../bench')];
  for (const place of places) {
    const requireFrom = createRequire(join(place, 'package.json'));
    const file = resolved(requireFrom, name);
    if (file === null) continue;
    return { version: versionOf(name, file), file, load: () => loaded(requireFrom, name, file) };
  }
  throw new RepconvError(
    'ERR_UNSUPPORTED',
    `bench: ${option} needs the package ${name}, which is not installed in ${places[0]}; this installs it: npm install ${name} --ignore-scripts`,
  );
}

function resolved(requireFrom: NodeJS.Require, name: string): string | null {
  try {
    return requireFrom.resolve(name);
  } catch {
    return null;
  }
}

function loaded(requireFrom: NodeJS.Require, name: string, file: string): unknown {
  try {
    return requireFrom(name);
  } catch (cause) {
    throw new RepconvError('ERR_NATIVE', `bench: ${name} at ${file} could not be loaded: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** From the package.json above the file. */
function versionOf(name: string, file: string): string {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name?: string;
        version?: string;
      };
      if (found.name === name && found.version !== undefined) return found.version;
    } catch {
      // Not every folder of a package has one.
    }
  }
  return 'unknown';
}
