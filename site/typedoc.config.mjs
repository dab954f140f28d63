// The site of `npm run docs`: README, guides, and the reference from the docstrings. A warning is an error.
import { errorCodes, mobileOneConfigs, reasonCodes, repvggConfigs } from '../dist/index.mjs';
import { guides, order, project } from './headings.mjs';

/** Tables whose rows say by themselves what they are. */
const tables = { errorCodes, reasonCodes, repvggConfigs, mobileOneConfigs };

export default {
  name: 'repconv',
  entryPoints: ['../lib/index.ts'],
  alwaysCreateEntryPointModule: false,
  tsconfig: '../tsconfig.json',
  basePath: '..',
  out: 'public',
  readme: '../README.md',
  projectDocuments: [...guides, ...project].map((page) => `../${page}`),
  plugin: ['./headings.mjs'],

  treatWarningsAsErrors: true,
  validation: { invalidLink: true, notExported: true, notDocumented: true },
  intentionallyNotDocumented: Object.entries(tables).flatMap(([name, rows]) =>
    Object.entries(rows).flatMap(([row, columns]) => [
      `${name}.__type.${row}`,
      ...(typeof columns === 'object'
        ? Object.keys(columns).map((column) => `${name}.__type.${row}.__type.${column}`)
        : []),
    ]),
  ),
  // What they hold is said where they are read.
  intentionallyNotExported: ['Arrays', 'operators'],

  categoryOrder: order,
  kindSortOrder: ['Document', 'Function', 'Class', 'Interface', 'TypeAlias', 'Variable'],
  sort: ['kind', 'alphabetical-ignoring-documents'],
  navigation: { includeCategories: true, includeFolders: false },
  // What every module has is shown on the page of `Module`, and on the others by a tick.
  visibilityFilters: { protected: true, inherited: false },
  excludeInternal: true,
  excludePrivate: true,
  highlightLanguages: ['js', 'ts', 'sh', 'python'],
  disableSources: true,
  hideGenerator: true,
};
