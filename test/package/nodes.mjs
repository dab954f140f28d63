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
    // The packages behind the package `node`: the same binaries, without its install script.
    const binaries = `${process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'}-${process.platform}-${process.arch}`;
    const dependencies = Object.fromEntries(majors.map((major) => [`node${major}`, `npm:${binaries}@${major}`]));
    writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, dependencies }));
    npm(['install', '--no-audit', '--no-fund', '--loglevel=error'], home);
    return majors.map((major) => {
      const binary = join(home, 'node_modules', `node${major}`, 'bin', 'node');
      return [join(folder, 'smoke.cjs'), join(folder, 'smoke.mjs')]
        .map((script) => node([script], folder, { binary }).trim())
        .join('; ');
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const majors = process.argv.slice(2);
  for (const line of smokeOnNodes(
    fileURLToPath(new URL('consumer', import.meta.url)),
    majors.length === 0 ? undefined : majors,
  ))
    console.log(line);
}
