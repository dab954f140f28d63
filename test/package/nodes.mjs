// Runs the smoke test of the built package on other versions of Node, which the npm registry has as packages.
//
//   node test/package/nodes.mjs [major …]       default: 22 24 26, on this checkout
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { node, npm } from './npm.mjs';

/** Runs smoke.cjs and smoke.mjs of `folder` on the newest Node of each major; a line for each. */
export function smokeOnNodes(folder, majors = ['22', '24', '26']) {
  const home = mkdtempSync(join(tmpdir(), 'repconv-nodes-'));
  try {
    return installNodes(home, majors).map((binary) =>
      [join(folder, 'smoke.cjs'), join(folder, 'smoke.mjs')]
        .map((script) => node([script], folder, { binary }).trim())
        .join('; '),
    );
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/**
 * Installs the newest Node of each version (`22`, `20.19`) in `home`, an empty folder, with `others` beside; their
 * binaries.
 */
export function installNodes(home, versions, others = {}) {
  // The packages behind the package `node`: the same binaries, without its install script.
  const binaries = `${process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'}-${process.platform}-${process.arch}`;
  const nodes = Object.fromEntries(versions.map((version) => [`node${version}`, `npm:${binaries}@${version}`]));
  writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, dependencies: { ...nodes, ...others } }));
  npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], home);
  return versions.map((version) => join(home, 'node_modules', `node${version}`, 'bin', 'node'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const majors = process.argv.slice(2);
  for (const line of smokeOnNodes(
    fileURLToPath(new URL('consumer', import.meta.url)),
    majors.length === 0 ? undefined : majors,
  ))
    console.log(line);
}
