// Preloaded (node --require) to hold the package to its word: it opens no connection and starts no process.
const forbid = (what) => () => {
  throw new Error(`the package tried to ${what}`);
};
require('node:net').Socket.prototype.connect = forbid('open a connection');
for (const name of ['lookup', 'resolve']) require('node:dns')[name] = forbid('look up a name');
for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']) {
  require('node:child_process')[name] = forbid('start a process');
}
