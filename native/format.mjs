// Formats the C++ sources as .clang-format says; with --check, only tells which differ and how.
//
// clang-format is the one of the npm package (linux-x64 and macOS have a binary there), else the system's. Another
// version formats a few things otherwise, so what a system's version finds is told but fails nothing.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isCheck = process.argv.includes('--check');

// Folders whose files are as clang-format makes them.
const formatted = ['native', 'test/native', 'test/anywhere'];

const found = findFormatter();
if (found === undefined) {
  console.warn(
    'SKIPPED: no clang-format here (the npm package has none for this platform): the C++ sources are not checked. Debian has it: apt-get install clang-format',
  );
} else {
  const different = formatted.flatMap(sourcesBelow).filter((path) => formatOne(found, path));
  if (isCheck && different.length > 0) {
    console.log(
      `${different.length} file(s) are not as ${found.name} formats them: ${different.join(', ')}\nnpm run format mends them.`,
    );
    process.exitCode = found.isOurs ? 1 : 0;
  }
}

/** Rewrites the file, or shows the difference; returns whether there was one. */
function formatOne({ path: formatter }, path) {
  const made = execFileSync(formatter, ['--style=file', path], { cwd: root, maxBuffer: 1 << 26 });
  if (!isCheck) {
    if (readFileSync(join(root, path)).equals(made)) return false;
    writeFileSync(join(root, path), made);
    return true;
  }
  const { status, stdout } = spawnSync('diff', ['-u', '--label', path, '--label', 'formatted', join(root, path), '-'], {
    input: made,
    encoding: 'utf8',
  });
  if (status !== 0) console.log(stdout.split('\n').slice(0, 40).join('\n'));
  return status !== 0;
}

function sourcesBelow(path) {
  if (statSync(join(root, path)).isDirectory())
    return readdirSync(join(root, path))
      .sort()
      .flatMap((name) => sourcesBelow(`${path}/${name}`));
  return /\.(cc|h|inl)$/.test(path) ? [path] : [];
}

function findFormatter() {
  const folder = join(dirname(createRequire(import.meta.url).resolve('clang-format/package.json')), 'bin');
  const ours = [`${process.platform}_${process.arch}`, process.platform]
    .map((name) => join(folder, name, 'clang-format'))
    .find(works);
  if (ours !== undefined) return { path: ours, name: 'clang-format of the npm package', isOurs: true };
  return works('clang-format') ? { path: 'clang-format', name: "the system's clang-format", isOurs: false } : undefined;
}

function works(path) {
  return (!path.includes('/') || existsSync(path)) && spawnSync(path, ['--version']).status === 0;
}
