// Users of TypeScript: the versions that are promised, in every way they find a package with `exports`, with and
// without the types of Node. Our declarations are checked with the rest: `skipLibCheck` would hide what is wrong in
// them.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { node, npm } from './npm.mjs';

/** The oldest that knows `using`, two on the way, and the one in native code. */
const versions = ['5.2', '5.5', '5.9', '7.0'];

/** `.cts` and `.mts` take the two doors; what names an AbortSignal needs somebody's declaration of it. */
const variants = [
  { module: 'node16', moduleResolution: 'node16', files: ['types.cts', 'types.mts'] },
  { module: 'nodenext', moduleResolution: 'nodenext', files: ['types.cts', 'types.mts'] },
  { module: 'es2022', moduleResolution: 'bundler', files: ['types.ts'] },
  { module: 'es2022', moduleResolution: 'bundler', files: ['types.ts', 'signals.ts'], lib: ['es2022', 'dom'] },
  {
    module: 'nodenext',
    moduleResolution: 'nodenext',
    files: ['types.cts', 'types.mts', 'signals.ts'],
    types: ['node'],
  },
];

/**
 * Compiles the users' files in `project`, where the package is installed, in a folder beside it that has the compilers.
 */
export function typeCheck(project, home, nodeTypes) {
  const workshop = join(home, 'typescript');
  mkdirSync(workshop);
  writeFileSync(join(workshop, 'package.json'), JSON.stringify({ name: 'compilers', private: true }));
  const compilers = versions.map((version) => `typescript-${version}@npm:typescript@~${version}`);
  npm(['install', ...compilers, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], workshop);
  for (const extension of ['cts', 'mts']) copyFileSync(join(project, 'types.ts'), join(project, `types.${extension}`));
  const used = versions.map((version) => {
    const compiler = join(workshop, `node_modules/typescript-${version}/bin/tsc`);
    for (const { files, ...variant } of variants) {
      const compilerOptions = {
        target: 'es2022',
        lib: ['es2022'],
        types: [],
        typeRoots: [nodeTypes],
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        noEmit: true,
        ...variant,
      };
      writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
      node([compiler, '-p', 'tsconfig.json'], project);
    }
    return node([compiler, '--version'], project).trim();
  });
  return `${used.join(', ')}: ${variants.length} ways each`;
}
