// The list of sources and the compiler flags, for binding.gyp and for CMakeLists.txt: `node native/sources.mjs engine
// addon` prints paths from the repository's root, `--flags` the flags.
import { readFileSync } from 'node:fs';

const lists = JSON.parse(readFileSync(new URL('./sources.json', import.meta.url), 'utf8'));

// Contraction is pinned: the same bits from every build of the same instruction set. The sanitizer builds keep it at
// their lower optimization by
// -fexpensive-optimizations, without which GCC forms no fused multiply-adds.
const flags = [
  '-std=c++20',
  '-O3',
  '-fexceptions',
  '-fvisibility=hidden',
  '-ffunction-sections',
  '-Wall',
  '-Wextra',
  '-ffp-contract=fast',
  '-fexpensive-optimizations',
  '-fno-math-errno',
  '-fno-trapping-math',
];

const [...wanted] = process.argv.slice(2);
const lines = wanted.includes('--flags')
  ? flags
  : wanted.flatMap((list) => lists[list].map((file) => `native/${file}`));
process.stdout.write(`${lines.join('\n')}\n`);
