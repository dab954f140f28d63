// Builds the addon with node-gyp, without a download: the headers are those of the package node-api-headers, laid out
// as node-gyp expects them.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));

export function buildAddon(stdio = 'inherit') {
  const headers = join(root, 'build', 'headers', 'include', 'node');
  mkdirSync(headers, { recursive: true });
  cpSync(require('node-api-headers').include_dir, headers, { recursive: true });
  cpSync(join(root, 'native', 'headers', 'common.gypi'), join(headers, 'common.gypi'));
  const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js');
  // Windows links against node.lib, which only a download has.
  const local =
    process.platform === 'win32' ? [] : [`--nodedir=${join(root, 'build', 'headers')}`, '--force-process-config'];
  const jobs = ['--jobs', 'max'];
  for (const command of ['configure', 'build'])
    execFileSync(process.execPath, [nodeGyp, command, '--release', ...local, ...jobs], { cwd: root, stdio });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildAddon();
