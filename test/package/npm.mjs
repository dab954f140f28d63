// npm and node as a user would call them, for the package checks.
import { execFileSync } from 'node:child_process';

/** Calls npm in `folder`; its output, or an error with all it said. */
export function npm(args, folder) {
  const path = process.env.npm_execpath;
  const [command, first] = path === undefined ? ['npm', []] : [process.execPath, [path]];
  return run(command, [...first, ...args], folder);
}

export function node(args, folder, options = {}) {
  return run(options.binary ?? process.execPath, args, folder);
}

function run(command, args, folder) {
  try {
    return execFileSync(command, args, {
      cwd: folder,
      env: userEnvironment(),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 26,
    });
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: failed\n${error.stdout ?? ''}${error.stderr ?? error.message}`);
  }
}

/** Without what `npm run` tells its scripts about this checkout: another folder's npm would take it for its own. */
function userEnvironment() {
  const ours = /^(npm_(package|lifecycle|command)|npm_config_local_prefix|INIT_CWD|NODE_PATH|REPCONV_)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}
